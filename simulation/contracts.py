"""Instrument: tick, lot, money unit and fees of one linear perpetual."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.parameters import Part, parameter, problems_of
from spirals.simulation.state import CONTRACT

__all__ = ["Instrument", "contracts_of"]


@dataclasses.dataclass(frozen=True)
class Instrument(Part):
    """A linear perpetual, quoted and settled in the quote currency.

    The book works in integer ticks and lots, the ledger in integer atoms:
    ``value [atoms] = ticks * lots * atoms_per_tick_lot``.
    """

    name: str = parameter("BTCUSDT", help="label in tables")
    tick_size: float = parameter(0.5, unit="quote", above=0, help="smallest price step")
    lot_size: float = parameter(0.001, unit="base", above=0, help="smallest quantity step")
    atom: float = parameter(1e-6, unit="quote", above=0, help="smallest amount of money")
    max_price: float = parameter(32768.0, unit="quote", above=0, help="highest price the book can hold")
    maker_fee_rate: float = parameter(0.0002, unit="fraction of notional", low=-0.01, high=0.05)
    taker_fee_rate: float = parameter(0.0005, unit="fraction of notional", low=0, high=0.05)

    @property
    def atoms_per_tick_lot(self) -> int:
        """Money value of one lot moved by one tick [atoms]."""
        return round(self.tick_size * self.lot_size / self.atom)

    @property
    def lot_value(self) -> float:
        """Money value of one lot per quote unit of price [atoms]."""
        return self.lot_size / self.atom

    @property
    def n_ticks(self) -> int:
        """Number of price levels of the book (prices lie in ticks 1 .. n_ticks - 1)."""
        return int(round(self.max_price / self.tick_size)) + 1

    def problems(self) -> list[str]:
        found = problems_of(self)
        if found:
            return found
        exact = self.tick_size * self.lot_size / self.atom
        if exact < 1 or abs(exact - round(exact)) > 1e-6 * exact:
            found.append(f"tick_size * lot_size must be a whole number of atoms, was {exact:g} atoms")
        if not 16 <= self.n_ticks <= 1 << 21:
            found.append(f"max_price / tick_size must lie in [15, 2097151] ticks, was {self.n_ticks - 1}")
        return found


def contracts_of(instruments: tuple[Instrument, ...]) -> NDArray[Any]:
    """Return the CONTRACT rows of instruments."""
    rows = np.zeros(len(instruments), CONTRACT)
    for row, instrument in zip(rows, instruments, strict=True):
        for name in CONTRACT.names or ():
            row[name] = getattr(instrument, name)
    return rows
