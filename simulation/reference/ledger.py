"""Accounts, positions and fills in Python integers (compare `spirals.simulation.accounts.ledger`)."""

import dataclasses
import math

from spirals.simulation.contracts import Instrument
from spirals.simulation.state import Kind, Mode, Status

__all__ = ["Account", "Position", "fill", "lot_value", "rounded", "unrealised_value"]


def rounded(amount: float) -> int:
    """Round to whole atoms, halves up."""
    return math.floor(amount + 0.5)


def lot_value(instrument: Instrument) -> float:
    """Return the money of one lot per unit of price [atoms / quote]."""
    return instrument.lot_size / instrument.atom


@dataclasses.dataclass(slots=True)
class Position:
    """What an account holds in one instrument; units as in POSITION."""

    lots: int = 0
    cost: int = 0
    collateral: int = 0
    realised_pnl: int = 0
    funding: int = 0


@dataclasses.dataclass(slots=True)
class Account:
    """One ledger row; units as in ACCOUNT."""

    row: int
    positions: list[Position]
    kind: int = Kind.TRADER
    mode: int = Mode.CROSS
    margined: bool = False
    cash: int = 0
    deposits: int = 0
    withdrawals: int = 0
    outside_wealth: int = 0
    in_transfer: int = 0
    transfer_step: int = -1
    equity: int = 0
    initial_margin: int = 0
    maintenance_margin: int = 0
    fees: int = 0
    bad_debt: int = 0
    advance: int = 0
    call_step: int = -1
    cooldown_step: int = 0
    event: int = -1
    status: int = Status.ACTIVE

    @property
    def isolated(self) -> bool:
        return self.mode == Mode.ISOLATED

    @property
    def flat(self) -> bool:
        return all(position.lots == 0 for position in self.positions)


def unrealised_value(position: Position, mark: float, instrument: Instrument) -> int:
    """Return collateral plus value at the mark less cost [atoms]."""
    value = rounded(position.lots * (mark * lot_value(instrument)))
    return position.collateral + value - position.cost


def fill(account: Account, i: int, lots: int, value: int, initial_rate: float) -> None:
    """Buy (+) or sell (-) `lots` for `value` atoms of the same sign.

    What closes realises its share of the cost; what opens adds to it. An isolated position keeps its
    own collateral: closing releases its share of it, with the profit or loss of the closed lots, to the
    wallet (nothing before the end of a liquidation); opening sets initial margin aside as far as the
    wallet reaches.
    """
    position = account.positions[i]
    closing = min(abs(lots), abs(position.lots)) if lots * position.lots < 0 else 0
    if closing:
        held = abs(position.lots)
        closing_value = value if closing == abs(lots) else rounded(value * (closing / abs(lots)))
        closed_cost = position.cost if closing == held else rounded(position.cost * (closing / held))
        profit = -closing_value - closed_cost
        direction = 1 if lots > 0 else -1
        position.lots += direction * closing
        position.cost -= closed_cost
        position.realised_pnl += profit
        if account.isolated:
            if closing == held:
                released = max(position.collateral + profit, 0)
            elif account.status == Status.LIQUIDATING:
                released = 0
            else:
                released = max(rounded(position.collateral * (closing / held)) + profit, 0)
            position.collateral += profit
            position.collateral -= released
            account.cash += released
        else:
            account.cash += profit
        lots -= direction * closing
        value -= closing_value
    if lots:
        position.lots += lots
        position.cost += value
        if account.isolated:
            aside = min(max(account.cash, 0), rounded(initial_rate * abs(value)))
            account.cash -= aside
            position.collateral += aside
