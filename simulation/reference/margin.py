"""Requirement, margin calls and the check of new orders (compare `spirals.simulation.accounts`).

Left out: tiers and grandfathering; rates are flat and do not change.
"""

import math
from typing import Any

from spirals.simulation.contracts import Instrument
from spirals.simulation.reference.ledger import Account, rounded, unrealised_value
from spirals.simulation.state import OrderKind, OrderStatus, Reject, Status

__all__ = ["Rates", "assess", "check_orders"]

Rates = list[tuple[float, float]]          # initial and maintenance rate of every instrument
Resting = dict[tuple[int, int, int], int]  # open lots of resting orders by account, instrument, side


def worst_case(held: int, buys: int, sells: int) -> int:
    """Return the larger exposure [lots] if all orders of one side fill."""
    return max(abs(held + buys), abs(held - sells))


def assess(
    account: Account, marks: list[float], instruments: tuple[Instrument, ...], rates: Rates, resting: Resting,
    rules: Any, grace_steps: int, step: int,
) -> tuple[bool, bool]:
    """Value one account; return whether a new call is issued and whether it is due for liquidation."""
    owned = [unrealised_value(*pair) for pair in zip(account.positions, marks, instruments, strict=True)]
    account.equity = account.cash + sum(owned)
    if not account.margined:
        return False, False
    initial, maintenance = 0.0, 0.0
    atom = instruments[0].atom
    required = []
    for i, position in enumerate(account.positions):
        buys, sells = resting.get((account.row, i, 1), 0), resting.get((account.row, i, -1), 0)
        exposure = worst_case(position.lots, buys, sells)
        initial += rates[i][0] * (exposure * marks[i] * instruments[i].lot_size)
        required.append(rates[i][1] * (abs(position.lots) * marks[i] * instruments[i].lot_size))
        maintenance += required[i]
    account.initial_margin, account.maintenance_margin = rounded(initial / atom), rounded(maintenance / atom)
    if account.isolated:
        tests = [(owned[i] * atom, required[i]) for i, p in enumerate(account.positions) if p.lots]
    else:
        tests = [(account.equity * atom, maintenance)] if maintenance > 0 else []
    if not any(equity < rules.call_level * need for equity, need in tests):
        account.call_step = account.event = -1
        if account.status in (Status.CALLED, Status.LIQUIDATING):
            account.status = Status.ACTIVE
        return False, False
    called = account.call_step < 0
    if called:
        account.call_step = step
        if account.status == Status.ACTIVE:
            account.status = Status.CALLED
    below = any(equity < rules.liquidation_level * need for equity, need in tests)
    return called, below and step - account.call_step >= grace_steps and step >= account.cooldown_step


def check_orders(
    orders: list[dict[str, int]], accounts: list[Account], marks: list[float], instruments: tuple[Instrument, ...],
    rates: Rates, resting: Resting, book_orders: dict[int, Any],
) -> tuple[int, int]:
    """Accept, trim or reject orders in order of arrival; return how many were rejected and trimmed."""
    open_lots = dict(resting)
    rejected = trimmed = 0
    for order in orders:
        account, i, side = accounts[order["account"]], order["instrument"], order["side"]
        if (not account.margined or order["reduce_only"] or order["lots"] <= 0
                or order["kind"] in (OrderKind.CANCEL, OrderKind.CANCEL_ALL)):
            continue
        own, other = (account.row, i, side), (account.row, i, -side)
        freed = 0
        target = book_orders.get(order["target"]) if order["kind"] == OrderKind.REPLACE else None
        if target is not None and target.account == account.row and target.side == side:
            freed = target.lots
        held = side * account.positions[i].lots        # seen from the order's side
        toward, opposite = open_lots.get(own, 0), open_lots.get(other, 0)
        before = worst_case(held, toward, opposite)
        after = worst_exposure(held + toward - freed + order["lots"], held - opposite)
        size = marks[i] * instruments[i].lot_size
        if after > before:
            held_margin = sum(
                rates[j][0] * (abs(position.lots) * marks[j] * instruments[j].lot_size)
                for j, position in enumerate(account.positions)
            )
            room = affordable_lots(account, before, size, instruments[i].atom, rates[i][0], held_margin)
            room -= held + toward - freed
            if account.status == Status.CLOSED or room <= 0:
                closed = account.status == Status.CLOSED
                order["status"] = OrderStatus.REJECTED
                order["reason"] = Reject.ACCOUNT_BLOCKED if closed else Reject.MARGIN
                rejected += 1
                continue
            if room < order["lots"]:
                order["lots"], order["reason"] = room, Reject.TRIMMED
                trimmed += 1
                after = worst_exposure(held + toward - freed + room, held - opposite)
            change = rates[i][0] * (after * size) - rates[i][0] * (before * size)
            account.initial_margin += math.ceil(change / instruments[i].atom)
        # What a replacement gives back is not lent to other orders: it might be replaced again.
        open_lots[own] = toward + max(order["lots"] - freed, 0)
    return rejected, trimmed


def worst_exposure(toward: int, opposite: int) -> int:
    """Return the larger exposure [lots]; an order toward the other side of zero counts from zero on."""
    return max(toward, abs(opposite))


def affordable_lots(
    account: Account, before: int, size: float, atom: float, rate: float, held_margin: float
) -> int:
    """Return the largest exposure [lots] whose initial margin the account can bear.

    Isolated positions have theirs (`held_margin`, all instruments); the wallet pays for what goes beyond.
    """
    others = account.initial_margin * atom - rate * (before * size)
    money = account.cash * atom + held_margin if account.isolated else account.equity * atom
    money -= others
    return math.floor(max(money, 0.0) / rate / size)
