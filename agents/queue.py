"""Orders sent from Python: collected as plain numbers, turned into ORDER rows once per step."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.agents.orders import write_order
from spirals.simulation.errors import InputError
from spirals.simulation.kernel import kernel
from spirals.simulation.state import Cause

__all__ = ["OrderQueue"]

WIDTH = 9
VOLUNTARY = Cause.VOLUNTARY


class OrderQueue:
    """Orders waiting for the next step.

    Parameters
    ----------
    limit : int
        Most orders per step; more raise :class:`InputError`.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.numbers: list[int] = []

    @property
    def n(self) -> int:
        """Number of waiting orders."""
        return len(self.numbers) // WIDTH

    def add(
        self, account: int, instrument: int, kind: int, side: int, price_ticks: int, lots: int, arrival: int,
        target: int = 0, reduce_only: int = 0,
    ) -> None:
        """Queue one order; meanings and units as in ORDER."""
        self.numbers += (account, instrument, kind, side, price_ticks, lots, arrival, target, reduce_only)

    def write(self, orders: NDArray[Any], n: int, simulation: Any) -> int:
        """Write the waiting orders from row `n` on, forget them, return the next free row."""
        if self.n > self.limit:
            waiting, self.numbers = self.n, []
            raise InputError([f"orders of users' agents must be at most {self.limit} per step, were {waiting}"])
        table = np.array(self.numbers, np.int64).reshape(-1, WIDTH)
        self.numbers = []
        return int(write_queue(table, simulation.accounts, orders, n))


@kernel
def write_queue(table, accounts, orders, n):
    """Write one ORDER row per row of `table`; return the next free row."""
    for k in range(len(table)):
        row = table[k]
        write_order(orders[n], row[2], row[3], row[4], row[5], row[6], row[0], row[1], accounts[row[0]]["kind"],
                    VOLUNTARY, row[7])
        orders[n]["reduce_only"] = row[8]
        n += 1
    return n
