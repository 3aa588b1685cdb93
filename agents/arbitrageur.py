"""Arbitrageurs: bring the venue back to the outside price, as far as their capital reaches.

When the mid is further from the index than `threshold`, an arbitrageur sells (buys) on the venue with
an IOC that never trades beyond the threshold and hedges every fill outside at the index. Positions are
closed at the smaller `exit_threshold`. The outside leg is not on the venue's ledger: it is tracked
here, so that the profit of the pair can be reported.
"""

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.agents.orders import its_turn, write_order
from spirals.agents.rows import ARBITRAGEUR, ARBITRAGEUR_RULE
from spirals.simulation.kernel import inlined, lean
from spirals.simulation.parameters import Part, parameter
from spirals.simulation.randomness import uniform
from spirals.simulation.state import BUY, SELL, Cause, Kind, OrderKind, Status

__all__ = ["Arbitrageurs", "arbitrageur_rows", "arbitrageur_rule", "decide_arbitrageurs", "hedge_outside"]

ORIGIN = Kind.ARBITRAGEUR
VOLUNTARY = Cause.VOLUNTARY
IOC = OrderKind.IOC
LIQUIDATING = Status.LIQUIDATING


@dataclasses.dataclass(frozen=True)
class Arbitrageurs(Part):
    """Parameters of the arbitrageurs; `count` 0 leaves the anchor to the other actors."""

    count: int = parameter(2, unit="arbitrageurs", low=0, high=1000)
    capital: float = parameter(0.0, unit="quote each", low=0, help="0: capital_share of open interest")
    capital_share: float = parameter(0.01, unit="fraction of open interest each", above=0, high=10)
    leverage: float = parameter(3.0, unit="x", above=0, high=100, help="largest position over capital")
    order_share: float = parameter(0.1, unit="fraction of the largest position", above=0, high=1,
                                   help="largest single order")
    threshold_bp: float = parameter(8.0, unit="bp", low=0, high=10000,
                                    help="gap from which it trades; above the taker fee")
    exit_bp: float = parameter(2.0, unit="bp", low=0, high=10000, help="gap from which it closes")
    latency_us: int = parameter(60_000, unit="us", low=0, high=900_000)
    reaction_seconds: float = parameter(1.0, unit="s", low=0, high=3600,
                                        help="it looks at the market once in so long, each in its turn")
    margin_use: float = parameter(0.7, unit="fraction of equity", above=0, high=1,
                                  help="own initial margin never exceeds this share of equity")

    def rule(self) -> NDArray[Any]:
        """Return the parameters as one ARBITRAGEUR_RULE row."""
        row = np.zeros(1, ARBITRAGEUR_RULE)
        row[0] = (self.threshold_bp * 1e-4, self.exit_bp * 1e-4, self.latency_us, self.margin_use,
                  self.reaction_seconds)
        return row

    def max_orders(self, n_instruments: int) -> int:
        return self.count * n_instruments


def arbitrageur_rows(
    part: Arbitrageurs, capital: float, prices: list[float], lot_sizes: list[float], first_row: int
) -> NDArray[Any]:
    """Return ARBITRAGEUR rows, shape (count * n_instruments,); capital [quote] is split over instruments."""
    rows = np.zeros(part.count * len(prices), ARBITRAGEUR)
    for a in range(part.count):
        for i, (price, lot_size) in enumerate(zip(prices, lot_sizes, strict=True)):
            row = rows[a * len(prices) + i]
            row["account"], row["instrument"] = first_row + a, i
            row["limit_lots"] = max(1, round(capital * part.leverage / len(prices) / (price * lot_size)))
            row["order_lots"] = max(1, round(row["limit_lots"] * part.order_share))
    return rows


@lean
def decide_arbitrageurs(
    first, last, rule, arbitrageurs, accounts, positions, record, contracts, requirement, step, seconds, key, orders,
    n, out_owners,
):
    """Let arbitrageurs `first` .. `last` - 1 act; return the number of order rows."""
    for a in range(first, last):
        row = arbitrageurs[a]
        i = row["instrument"]
        account = row["account"]
        if not its_turn(rule[0]["reaction_seconds"], seconds, step, a):
            continue
        before = n
        n = arbitrageur_rule(
            rule[0], row, accounts[account], positions[account, i], record[i], contracts[i],
            requirement[i, 0]["initial_rate"], step, key, orders, n,
        )
        if n > before:
            out_owners[before] = a
    return n


@inlined
def arbitrageur_rule(rule, arbitrageur, account, position, market, contract, initial_rate, step, key, orders, n):
    """Write at most one order in row `n`; return the next free row."""
    if account["status"] >= LIQUIDATING:
        return n
    gap = market["mid"] / market["index"] - 1.0
    side = SELL if gap > 0.0 else BUY
    held = side * position["lots"]
    threshold = rule["exit_threshold"] if held < 0 else rule["threshold"]
    if abs(gap) <= threshold:
        return n
    affordable = rule["margin_use"] * account["equity"] / (initial_rate * market["mark"] * contract["lot_value"])
    limit = min(np.int64(arbitrageur["limit_lots"]), np.int64(max(affordable, 0.0)))
    # Between the two thresholds only the existing position may be closed.
    room = limit - held if abs(gap) > rule["threshold"] else -held
    lots = min(arbitrageur["order_lots"], room)
    if lots <= 0:
        return n
    ticks = market["index"] * (1.0 - side * threshold) / contract["tick_size"]
    price = int(math.floor(ticks)) if side > 0 else int(math.ceil(ticks))
    price = min(max(price, 1), contract["n_ticks"] - 1)
    arrival = int(rule["latency"] * (1.0 + uniform(key, step, arbitrageur["account"], arbitrageur["instrument"])))
    write_order(orders[n], IOC, side, price, lots, arrival, arbitrageur["account"], arbitrageur["instrument"], ORIGIN,
                VOLUNTARY, 0)
    return n + 1


@inlined
def hedge_outside(arbitrageur, order, index, lot_size):
    """Offset the fills of one order outside at the index; the row is modified in place."""
    bought = order["side"] * order["filled_lots"]
    arbitrageur["outside_lots"] -= bought
    arbitrageur["outside_cash"] += bought * index * lot_size
