"""Floor and cap: bounds on the rate. A floor is the commonest remedy against margin that falls too low in calm.

Formulas: ``initial = max(inner, floor)`` and ``initial = min(inner, cap)``; the maintenance rate moves by the
same factor, so the ratio of the two is kept. Source of the floor: EMIR RTS 153/2013, Art. 28(1)(c) (there: the
margin at the volatility of a ten-year look-back).
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.margin.requirement import MarginRequirement
from spirals.simulation.margin.wrapper import Transform
from spirals.simulation.parameters import parameter

__all__ = ["Cap", "Floor"]


@dataclasses.dataclass(frozen=True)
class Floor(Transform):
    """Lower bound of the initial rate; maintenance rises by the same factor."""

    floor: float = parameter(0.05, unit="fraction of notional", above=0, high=1, help="lowest initial rate")

    def transform(self, source: MarginRequirement) -> MarginRequirement:
        return _with_initial(source, np.maximum(source.initial_rates, self.floor))


@dataclasses.dataclass(frozen=True)
class Cap(Transform):
    """Upper bound of the initial rate; maintenance falls by the same factor."""

    cap: float = parameter(0.50, unit="fraction of notional", above=0, high=1, help="highest initial rate")

    def transform(self, source: MarginRequirement) -> MarginRequirement:
        return _with_initial(source, np.minimum(source.initial_rates, self.cap))


def _with_initial(source: MarginRequirement, initial: NDArray[np.float64]) -> MarginRequirement:
    if initial.tobytes() == source.initial_rates.tobytes():
        return source
    rates = source.rates * (initial / source.initial_rates)
    rates[0] = initial
    np.minimum(rates[1], initial, out=rates[1])  # rounding, where the two rates are equal
    return source.with_rates(rates)
