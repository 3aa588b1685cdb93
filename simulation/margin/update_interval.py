"""Update interval: the venue looks at its rates only at fixed times and holds them in between.

The inner policy is *called* at the opening and at multiples of `seconds` only: one with memory sees those moments and
nothing between. Nobody reprices maintenance every second, so the main comparisons use this wrapper.
"""

import dataclasses
import math
from typing import Any

from spirals.simulation.margin.requirement import MarginRequirement
from spirals.simulation.margin.wrapper import Wrapper
from spirals.simulation.market.view import MarketState
from spirals.simulation.parameters import parameter

__all__ = ["UpdateInterval", "UpdateIntervalState"]

TOLERANCE = 1e-6  # [s] rounding of step * step_seconds


@dataclasses.dataclass
class UpdateIntervalState:
    """State of the inner policy, the requirement held, and the time of the next update [s]."""

    inner: Any
    held: MarginRequirement | None = None
    due: float = 0.0


@dataclasses.dataclass(frozen=True)
class UpdateInterval(Wrapper):
    """Rates change only at multiples of an interval since the opening."""

    seconds: float = parameter(28800.0, unit="s", above=0, help="time between two updates")

    def start(self, market: MarketState) -> UpdateIntervalState:
        return UpdateIntervalState(self.inner.start(market))

    def update(self, state: UpdateIntervalState, market: MarketState) -> tuple[UpdateIntervalState, MarginRequirement]:
        now = market.step * market.step_seconds + TOLERANCE
        if state.held is None or now >= state.due:
            state.inner, state.held = self.inner.update(state.inner, market)
            state.due = (math.floor(now / self.seconds) + 1) * self.seconds
        return state, state.held
