"""Behaviour parameters that an event fit may move, with their ranges."""

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from spirals.scenarios.inputs.scenario import Scenario

__all__ = ["BEHAVIOUR", "FreeParameter", "as_overrides", "current_value"]


@dataclasses.dataclass(frozen=True)
class FreeParameter:
    """A behaviour parameter with the range it may take.

    Attributes
    ----------
    path : str
        As in ``-s PATH=VALUE``.
    low, high : float
    logarithmic : bool
        Whether the range is crossed in logs.
    label : str
        In tables.
    """

    path: str
    low: float
    high: float
    logarithmic: bool
    label: str

    def value(self, unit: float) -> float:
        """Return the parameter at a place in its range, 0 to 1; rounded, so that it prints short."""
        if self.logarithmic:
            found = self.low * (self.high / self.low) ** unit
        else:
            found = self.low + unit * (self.high - self.low)
        return float(f"{found:.6g}")

    def unit(self, value: float) -> float:
        """Return the place of a value in the range; values outside it go to its ends."""
        value = min(max(value, self.low), self.high)
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


BEHAVIOUR = (
    FreeParameter("price_feed.index_feedback", 0.0, 0.8, False, "kappa"),
    FreeParameter("population.leverage_multiplier", 0.5, 2.0, True, "leverage"),
    FreeParameter("depth.volatility_elasticity", 0.0, 1.6, False, "depth elasticity"),
    FreeParameter("makers.withdraw_multiple", 1.5, 24.0, True, "maker withdrawal"),
    FreeParameter("background.order_rate", 0.2, 20.0, True, "order rate"),
    FreeParameter("background.activity_elasticity", 0.0, 1.6, False, "activity elasticity"),
    FreeParameter("background.anchor_bias", 0.0, 0.5, False, "anchor bias"),
)


def as_overrides(parameters: Sequence[FreeParameter], values: Sequence[float] | NDArray[np.float64]) -> list[str]:
    """Return parameters and their values as ``PATH=VALUE``."""
    return [f"{parameter.path}={float(value)!r}" for parameter, value in zip(parameters, values, strict=True)]


def current_value(scenario: "Scenario", path: str) -> float:
    """Return what a scenario has at a path; AttributeError, TypeError or ValueError where that is no number."""
    value: Any = scenario
    for name in path.split("."):
        value = getattr(value, name)
    return float(value)
