"""MarketState: what everybody may see of the market, as named arrays over the MARKET record."""

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.state import MARKET

__all__ = ["MarketState"]


class MarketState:
    """Read-only view of the market at the start of a step; valid until the next step.

    Every field of :data:`spirals.simulation.state.MARKET` is an attribute: an array of shape
    ``(n_instruments,)`` (depths: ``(n_instruments, 3)``). Prices are in quote units, volatilities
    per square root of a day.

    Attributes
    ----------
    step : int
        Index of the step, 0 at the opening.
    step_seconds : float
        Length of a step [s].
    seconds : float
        Time since the opening [s].
    """

    def __init__(self, record: NDArray[Any], step_seconds: float) -> None:
        self.record = record
        self.step = 0
        self.step_seconds = step_seconds
        for name in MARKET.names or ():
            column = record[name].view()
            column.flags.writeable = False
            setattr(self, name, column)

    def __deepcopy__(self, memo: dict[int, Any]) -> "MarketState":
        found = type(self)(copy.deepcopy(self.record, memo), self.step_seconds)
        found.step = self.step
        return found

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"MarketState has no field {name!r}; fields: {', '.join(MARKET.names or ())}")

    @property
    def seconds(self) -> float:
        return self.step * self.step_seconds

    @property
    def n_instruments(self) -> int:
        return len(self.record)

    @classmethod
    def constant(cls, n_instruments: int = 1, step_seconds: float = 1.0, **fields: Any) -> "MarketState":
        """Return a market with the given constant fields, for tests and policies without agents."""
        record = np.zeros(n_instruments, MARKET)
        for name in ("exogenous", "index", "oracle", "mark", "mid", "last"):
            record[name] = fields.get("price", 100.0)
        for name, value in fields.items():
            if name != "price":
                record[name] = value
        return cls(record, step_seconds)
