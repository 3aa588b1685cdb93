"""Entries: newcomers arrive, liquidated traders come back, both with money from outside the venue.

Whoever is out waits an exponential time, asks its outside wealth for the equity of a position at a
leverage drawn anew below the limit of that moment, waits for the transfer, and builds the position in
slices with one wallet (cross margin). While tighter margin keeps people away (`entry_elasticity` of the
population), the waiting clock runs slower. Without entries a crash measures an empty market; with
instant ones a cascade refuels: share, delay and arrivals are to be calibrated to the recovery of open
interest.
"""

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.agents.leveraged_trader import ASKED, IDLE, ORDERED, take
from spirals.agents.opening import HOLDING, MARGIN_CUSHION, apportion, draw_habits, pareto_shares, use_of_limit
from spirals.agents.rows import ENTRY, ENTRY_RULE, Behaviour, Stage
from spirals.simulation.accounts.requirement import affordable_notional, initial_requirement
from spirals.simulation.kernel import inlined, kernel
from spirals.simulation.parameters import Part, parameter
from spirals.simulation.randomness import exponential, stream_key, uniforms
from spirals.simulation.state import BUY, SELL, Cause, Mode, Status

__all__ = ["Entries", "decide_entries", "entry_rule"]

VOLUNTARY = Cause.VOLUNTARY
CROSS = Mode.CROSS
LIQUIDATING, CLOSED = Status.LIQUIDATING, Status.CLOSED
IN, OUT, FUNDING, ENTERING, GONE = Stage.IN, Stage.OUT, Stage.FUNDING, Stage.ENTERING, Stage.GONE
STOPPING, TAKING = Behaviour.STOP_LOSS, Behaviour.TAKE_PROFIT


@dataclasses.dataclass(frozen=True)
class Entries(Part):
    """Who comes (back) during the run; off by default."""

    return_share: float = parameter(0.0, unit="fraction of liquidated accounts", low=0, high=1,
                                    help="come back with new money, drawn anew at every liquidation")
    return_seconds: float = parameter(1800.0, unit="s", above=0, high=1e7,
                                      help="mean wait before the money is sent; the transfer adds to it [assumption]")
    return_size: float = parameter(1.0, unit="x opening position", above=0, high=10,
                                   help="position of those who come back, as far as their wealth reaches [assumption]")
    newcomers: int = parameter(0, unit="accounts", low=0, high=1_000_000, help="without a position at the opening")
    newcomer_interest: float = parameter(0.1, unit="fraction of open interest", above=0, high=10,
                                         help="what all newcomers of a side hold once they are in [assumption]")
    arrival_seconds: float = parameter(3600.0, unit="s", above=0, high=1e7,
                                       help="mean wait of a newcomer from the opening [assumption]")

    @property
    def active(self) -> bool:
        """Whether anybody can come."""
        return self.newcomers > 0 or self.return_share > 0.0

    def rule(self) -> NDArray[Any]:
        """Return the parameters as one ENTRY_RULE row."""
        row = np.zeros(1, ENTRY_RULE)
        row[0] = (self.return_share, self.return_seconds)
        return row

    def newcomer_holdings(
        self, population: Any, seed: int, interest_lots: list[int], accounts_before: int
    ) -> NDArray[Any]:
        """Return what the newcomers will want, as HOLDING rows; they are dealt to the instruments in turn.

        `interest_lots` is the open interest of each instrument [lots]; numbers of accounts follow
        `accounts_before`.
        """
        key = stream_key(seed, "population.opening")
        rows = np.zeros(self.newcomers, HOLDING)
        n = len(interest_lots)
        rows["account"] = accounts_before + np.arange(self.newcomers)
        rows["instrument"] = np.arange(self.newcomers) % n
        for i in range(n):
            own = np.arange(i, self.newcomers, n)
            longs = round(population.long_accounts * len(own))
            for side, part in ((1, own[:longs]), (-1, own[longs:])):
                if len(part):
                    draws = [uniforms(key, 0, int(rows[k]["account"]), 0)[0] for k in part]
                    total = max(round(self.newcomer_interest * interest_lots[i]), len(part))
                    rows["lots"][part] = side * apportion(pareto_shares(draws, population.size_exponent, ()), total)
        complete_habits(key, population.opening_rule()[0], rows)
        return rows

    def entry_rows(self, traders: NDArray[Any], newcomers: int, stops: NDArray[Any], slices: NDArray[Any],
                   seed: int) -> NDArray[Any]:
        """Return one ENTRY row per TRADER row; the last `newcomers` of them are out and wait."""
        rows = np.zeros(len(traders), ENTRY)
        rows["wanted_lots"], rows["order_rate"] = traders["home_lots"], traders["order_rate"]
        before = len(rows) - newcomers
        rows["wanted_lots"][:before] = (rows["wanted_lots"][:before] * self.return_size).astype(np.int64)
        rows["stop_distance"], rows["slice_lots"] = stops, slices
        key = stream_key(seed, "entries")
        for row, trader in zip(rows[before:], traders[before:], strict=True):
            row["stage"] = OUT
            row["waiting"] = self.arrival_seconds * exponential(uniforms(key, 0, int(trader["account"]), 0)[1])
            trader["home_lots"], trader["order_rate"] = 0, 0.0
        return rows


@kernel
def complete_habits(key, rule, out_holdings):
    """Fill stop distance and habits of newcomers."""
    for k in range(len(out_holdings)):
        _, stop = uniforms(key, 0, out_holdings[k]["account"], 4)
        draw_habits(key, rule, out_holdings[k], stop)
    return 0


@kernel
def decide_entries(
    first, last, rule, leverage, rounds, rules, entries, traders, accounts, positions, record, contracts, requirement,
    step, seconds, key, top_up_requests, orders, n,
):
    """Let those of traders `first` .. `last` - 1 act who are on their way in; return the number of order rows.

    `leverage` (OPENING_RULE) and `rules` (TRADER_RULE) have one row per instrument.
    """
    for t in range(first, last):
        entry, trader = entries[t], traders[t]
        a, i = trader["account"], trader["instrument"]
        if top_up_requests[a] > 0:
            continue
        did = entry_rule(
            rule[0], leverage[i], rounds, rules[i], entry, trader, accounts[a], positions[a, i], record[i],
            contracts[i], requirement[i], step, seconds, key, orders[n],
        )
        if did == ORDERED:
            n += 1
        elif did == ASKED:
            top_up_requests[a] = orders[n]["lots"]
    return n


@inlined
def entry_rule(
    rule, leverage, rounds, trading, entry, trader, account, position, market, contract, brackets, step, seconds, key,
    out_order,
):
    """Move one trader along liquidated, waiting, funding, entering, in; return what it did, as `trader_rule`.

    Parameters
    ----------
    rule, leverage, trading : ENTRY_RULE, OPENING_RULE, TRADER_RULE records
    entry : ENTRY record
        State, modified in place, as are `trader` (new target) and the mode of `account` (cross when it enters).
    """
    stage = entry["stage"]
    if stage == IN:
        if account["status"] == CLOSED and position["lots"] == 0 and trader["hedged"] == 0:
            leave(rule, entry, trader, key)
        return IDLE
    if stage == OUT:
        entry["waiting"] -= seconds * trading["activity"]
        if entry["waiting"] > 0.0 or account["transfer_step"] >= 0:
            return IDLE
        return ask(leverage, rounds, entry, trader, account, market, contract, brackets, key, out_order)
    if stage == FUNDING:
        if account["transfer_step"] < 0:
            arrive(entry, trader, account, market)
        return IDLE
    if stage == ENTERING:
        return enter(trading, entry, trader, account, position, market, contract, brackets, step, seconds, key,
                     out_order)
    return IDLE


@inlined
def leave(rule, entry, trader, key):
    """Draw whether and when a liquidated trader comes back."""
    entry["returns"] += 1
    willing, wait = uniforms(key, entry["returns"], trader["account"], 0)
    if willing < rule["return_share"]:
        entry["stage"] = OUT
        entry["waiting"] = rule["return_seconds"] * exponential(wait)
    else:
        entry["stage"] = GONE


@inlined
def ask(leverage, rounds, entry, trader, account, market, contract, brackets, key, out_order):
    """Draw a leverage that the margin of this moment allows and ask for the equity that it takes."""
    u, v = uniforms(key, entry["returns"], trader["account"], 1)
    notional = abs(entry["wanted_lots"]) * market["mark"] * contract["lot_size"]
    if notional <= 0.0 or account["outside_wealth"] <= 0:
        entry["stage"] = GONE
        return IDLE
    limit = MARGIN_CUSHION * notional / initial_requirement(notional, brackets)
    median = leverage["long_median"] if entry["wanted_lots"] > 0 else leverage["short_median"]
    free = use_of_limit(leverage["law"], u, v, median, leverage["sigma"], rounds, limit / leverage["multiplier"])
    chosen = min(free * leverage["multiplier"], limit)
    needed = notional / chosen / contract["atom"]
    amount = min(np.int64(needed), account["outside_wealth"])
    entry["wanted_lots"] = np.int64(entry["wanted_lots"] * min(1.0, amount / needed))
    trader["target_leverage"] = chosen
    entry["stage"] = FUNDING if entry["wanted_lots"] != 0 else GONE
    out_order["lots"] = amount
    return ASKED if entry["stage"] == FUNDING and amount > 0 else IDLE


@inlined
def arrive(entry, trader, account, market):
    """Take up trading once the money is there; a transfer that was refused is asked for again."""
    if account["cash"] <= 0 or account["status"] == CLOSED:
        entry["stage"] = OUT
        return
    entry["stage"] = ENTERING
    account["mode"] = CROSS
    trader["home_lots"] = entry["wanted_lots"]
    trader["order_rate"] = entry["order_rate"]
    if trader["behaviour"] == STOPPING or trader["behaviour"] == TAKING:
        gain = entry["stop_distance"] if trader["behaviour"] == TAKING else -entry["stop_distance"]
        trader["exit_price"] = market["mark"] * math.exp(gain if entry["wanted_lots"] > 0 else -gain)


@inlined
def enter(trading, entry, trader, account, position, market, contract, brackets, step, seconds, key, out_order):
    """Buy or sell the next slice; the entry ends when position, leverage or margin allow no more."""
    side = BUY if entry["wanted_lots"] > 0 else SELL
    equity = max(account["equity"], 0) * contract["atom"]
    bearable = min(equity * trader["target_leverage"], MARGIN_CUSHION * affordable_notional(equity, brackets))
    most = min(abs(entry["wanted_lots"]), np.int64(bearable / (market["mark"] * contract["lot_size"])))
    lots = min(most - side * position["lots"], entry["slice_lots"])
    if account["status"] >= LIQUIDATING or lots <= 0:
        entry["stage"] = IN
        return IDLE
    when, _ = uniforms(key, step, trader["account"], 2 + trader["instrument"])
    return take(trading, trader, market, contract, side, lots, VOLUNTARY, seconds, when, out_order)
