"""Notice: a change of rates is announced first and binds later.

With a(t) the rates announced by the inner policy and T the notice, for each rate by itself:

- ``increases``: ``charged(t) = min of a(s) over t - T <= s <= t``; a fall binds at once, a rise after T, and a
  rise that is taken back within T never binds;
- ``both``: ``charged(t) = a(t - T)``, a pure delay.

Before the opening the opening rates were in force.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.margin.brackets import common_brackets, rates_on
from spirals.simulation.margin.requirement import MarginRequirement
from spirals.simulation.margin.wrapper import Wrapper, WrapperState
from spirals.simulation.market.view import MarketState
from spirals.simulation.parameters import parameter

__all__ = ["Notice", "NoticeState"]

TOLERANCE = 1e-6  # [s] rounding of step * step_seconds


@dataclasses.dataclass
class NoticeState(WrapperState):
    """As :class:`WrapperState`, with the announcements that still matter, oldest first."""

    replaced: NDArray[np.float64] | None = None     # [s] when each of k was replaced, infinity for the last
    announced: NDArray[np.float64] | None = None    # rates, shape (k, 2, n_instruments[, n_brackets])


@dataclasses.dataclass(frozen=True)
class Notice(Wrapper):
    """Announced rates bind after a delay (only increases, or both directions)."""

    seconds: float = parameter(3600.0, unit="s", low=0, help="time from announcement to effect")
    direction: str = parameter("increases", choices=("increases", "both"), help="which changes wait")

    def start(self, market: MarketState) -> NoticeState:
        return NoticeState(self.inner.start(market))

    def update(self, state: NoticeState, market: MarketState) -> tuple[NoticeState, MarginRequirement]:
        state.inner, source = self.inner.update(state.inner, market)
        now = market.seconds
        changed = source is not state.source
        if changed:
            self._announce(state, source, now)
        if self._expire(state, now) or changed or state.charged is None:
            state.charged = self._charge(state)
        return state, state.charged

    def _announce(self, state: NoticeState, source: MarginRequirement, now: float) -> None:
        if state.replaced is None or state.announced is None or state.source is None:
            state.replaced, state.announced = np.array([np.inf]), source.rates[None].copy()
        else:
            before, source = common_brackets(state.source, source)
            replaced, announced = state.replaced, state.announced
            if before is not state.source and before.floors is not None:
                announced = rates_on(announced, state.source.floors, before.floors)
            replaced[-1] = now
            if self.direction == "increases":
                # What is nowhere below the new announcement can never be the minimum again.
                keep = (announced < source.rates).reshape(len(announced), -1).any(axis=1)
                replaced, announced = replaced[keep], announced[keep]
            state.replaced = np.append(replaced, np.inf)
            state.announced = np.concatenate((announced, source.rates[None]))
        state.source = source

    def _expire(self, state: NoticeState, now: float) -> bool:
        """Drop announcements that were replaced before the notice period began; return whether there were any."""
        replaced, announced = state.replaced, state.announced
        begin = now - self.seconds + TOLERANCE
        if replaced is None or announced is None or replaced[0] > begin:
            return False
        first = int(np.searchsorted(replaced, begin, side="right"))
        state.replaced, state.announced = replaced[first:].copy(), announced[first:].copy()
        return True

    def _charge(self, state: NoticeState) -> MarginRequirement:
        announced, source = state.announced, state.source
        assert announced is not None and source is not None
        if len(announced) == 1:
            return source
        return source.with_rates(announced[0].copy() if self.direction == "both" else announced.min(axis=0))
