"""What the venue asks of a population: the interface between `simulation` and `agents`."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["PopulationLike"]


class PopulationLike(Protocol):
    """Who trades: what `agents` provides and the venue calls.

    Where it has them, the venue also calls ``after_deleveraging(simulation, cuts)`` with the ADL records of a
    round, ``react(simulation, orders, round)`` for orders between liquidation rounds, and
    ``outside_profit(simulation)`` for the profit of legs held elsewhere [quote] by account.
    """

    n_accounts: int
    max_orders: int
    top_up_requests: NDArray[np.int64]

    def open(self, simulation: Any) -> None:
        """Write opening money and positions into the ledger."""

    def decide(self, simulation: Any, orders: NDArray[Any]) -> int:
        """Write the orders of this step; return how many."""

    def after_trading(self, simulation: Any, orders: NDArray[Any]) -> None:
        """See what became of the orders."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the state by name."""

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Continue from saved arrays."""
