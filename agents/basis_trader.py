"""Basis traders: long spot outside, short the perpetual, for the premium that longs pay.

A basis trader extends the short (and buys the same amount outside) while the perpetual trades above
the index by more than `entry_bp`, and closes both while it trades below by more than `exit_bp`; the
running mean of the basis decides, so it does not trade on noise. The two legs cancel in price, but only
the short is margined here: in a rise it needs money, which it moves from outside with the delay of
transfers. Auto-deleveraging strips the short and leaves the spot: see :mod:`spirals.agents.hedging`.
"""

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.agents.orders import write_order
from spirals.agents.rows import BASIS, BASIS_RULE
from spirals.simulation.kernel import inlined, lean
from spirals.simulation.parameters import Part, parameter
from spirals.simulation.randomness import uniform
from spirals.simulation.state import BUY, SELL, Cause, Kind, OrderKind, Status

__all__ = ["BasisTraders", "basis_rows", "basis_rule", "decide_basis_traders"]

ORIGIN = Kind.BASIS_TRADER
VOLUNTARY = Cause.VOLUNTARY
IOC = OrderKind.IOC
LIQUIDATING = Status.LIQUIDATING


@dataclasses.dataclass(frozen=True)
class BasisTraders(Part):
    """Parameters of the basis traders; none by default."""

    count: int = parameter(0, unit="basis traders", low=0, high=1000)
    interest_share: float = parameter(0.2, unit="fraction of open interest", low=0, high=0.9,
                                      help="short at the opening, all together; part of the open interest [assumption]")
    leverage: float = parameter(2.0, unit="x", above=0, high=50, help="of the short leg at the opening [assumption]")
    capacity: float = parameter(1.5, unit="x opening short", low=1, high=100, help="largest short")
    entry_bp: float = parameter(5.0, unit="bp", low=0, high=10000, help="mean premium from which it extends")
    exit_bp: float = parameter(10.0, unit="bp", low=0, high=10000, help="mean discount from which it closes")
    order_share: float = parameter(0.02, unit="fraction of the largest short", above=0, high=1,
                                   help="largest single order")
    margin_use: float = parameter(0.7, unit="fraction of equity", above=0, high=1,
                                  help="own initial margin never exceeds this share of equity when it extends")
    top_up_level: float = parameter(3.0, unit="x maintenance margin", low=1, high=100,
                                    help="below it, money is sent to restore the opening leverage")
    outside_multiple: float = parameter(1.0, unit="x equity", low=0, high=100, help="outside wealth, beside the spot")
    latency_us: int = parameter(80_000, unit="us", low=0, high=490_000)

    def rule(self) -> NDArray[Any]:
        """Return the parameters as one BASIS_RULE row."""
        row = np.zeros(1, BASIS_RULE)
        row[0] = (self.entry_bp * 1e-4, self.exit_bp * 1e-4, self.latency_us, self.margin_use, self.top_up_level,
                  self.leverage)
        return row

    def opening_lots(self, interest_lots: int) -> list[int]:
        """Return the opening short of each (positive, equal but for one lot), given the open interest [lots]."""
        total = round(self.interest_share * interest_lots) if self.count else 0
        return [total // self.count + (k < total % self.count) for k in range(self.count)]


def basis_rows(part: BasisTraders, interest_lots: list[int], first_row: int) -> NDArray[Any]:
    """Return BASIS rows, shape (count * n_instruments,)."""
    n = len(interest_lots)
    rows = np.zeros(part.count * n, BASIS)
    for i, interest in enumerate(interest_lots):
        for k in range(part.count):
            row = rows[k * n + i]
            row["account"], row["instrument"] = first_row + k, i
            mean = part.interest_share * interest / part.count
            row["limit_lots"] = max(1, round(part.capacity * mean))
            row["order_lots"] = max(1, round(part.order_share * int(row["limit_lots"])))
    return rows


@lean
def decide_basis_traders(
    first, last, rule, rows, hedges, hedge_of, accounts, positions, record, contracts, requirement, step, key,
    top_up_requests, orders, n,
):
    """Let basis traders `first` .. `last` - 1 act; return the number of order rows.

    Who still restores a lost hedge does nothing else.
    """
    for b in range(first, last):
        row = rows[b]
        i = row["instrument"]
        account = row["account"]
        request = needed_money(rule[0], accounts[account], positions[account, i], record[i], contracts[i])
        if request > 0:
            top_up_requests[account] = request
        if hedges[hedge_of[account, i]]["cut_lots"] == 0:
            n = basis_rule(rule[0], row, accounts[account], positions[account, i], record[i], contracts[i],
                           requirement[i, 0]["initial_rate"], step, key, orders, n)
    return n


@inlined
def needed_money(rule, account, position, market, contract):
    """Return what restores the opening leverage [atoms] once equity is near the call; 0 when it is not."""
    if account["status"] >= LIQUIDATING or account["transfer_step"] >= 0 or position["lots"] == 0:
        return 0
    if account["equity"] >= rule["top_up_level"] * account["maintenance_margin"]:
        return 0
    notional = abs(position["lots"]) * market["mark"] * contract["lot_value"]
    return max(np.int64(notional / rule["leverage"]) - account["equity"], 0)


@inlined
def basis_rule(rule, trader, account, position, market, contract, initial_rate, step, key, orders, n):
    """Write at most one order in row `n`; return the next free row."""
    if account["status"] >= LIQUIDATING:
        return n
    held = -position["lots"]
    if market["basis"] > rule["entry"]:
        affordable = rule["margin_use"] * account["equity"] / (initial_rate * market["mark"] * contract["lot_value"])
        side = SELL
        room = min(np.int64(trader["limit_lots"]), np.int64(max(affordable, 0.0))) - held
        exact = math.ceil(market["index"] * (1.0 + rule["entry"]) / contract["tick_size"])
    elif market["basis"] < -rule["exit"]:
        side = BUY
        room = held
        exact = math.floor(market["index"] * (1.0 - rule["exit"]) / contract["tick_size"])
    else:
        return n
    lots = min(trader["order_lots"], room)
    if lots <= 0:
        return n
    price = min(max(np.int64(exact), 1), contract["n_ticks"] - 1)
    arrival = np.int64(rule["latency"] * (1.0 + uniform(key, step, trader["account"], trader["instrument"])))
    write_order(orders[n], IOC, side, price, lots, arrival, trader["account"], trader["instrument"], ORIGIN, VOLUNTARY,
                0)
    orders[n]["reduce_only"] = 1 if side > 0 else 0
    return n + 1
