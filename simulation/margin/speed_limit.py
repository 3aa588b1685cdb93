"""Speed limit: the rate follows the inner one no faster than a stated growth per stated time.

Formula, with x the time since the last update in units of `seconds`:
``charged_t = clip(M_t, charged_{t-1} * (1 - down)**x, charged_{t-1} * (1 + up)**x)``.
Over n units the rise is at most ``(1 + up)**n - 1``, exactly; the price is breaches while the rate catches up.
Compare the tools of Murphy, Vasios and Vause (2016), Bank of England Staff Working Paper 597 (from memory: a limit on
rises); a separate limit on falls is this project's addition.
"""

import dataclasses

import numpy as np

from spirals.simulation.margin.brackets import common_brackets
from spirals.simulation.margin.requirement import MarginRequirement
from spirals.simulation.margin.wrapper import Wrapper, WrapperState
from spirals.simulation.market.view import MarketState
from spirals.simulation.parameters import parameter

__all__ = ["SpeedLimit", "SpeedLimitState"]


@dataclasses.dataclass
class SpeedLimitState(WrapperState):
    """As :class:`WrapperState`, with the time of the last update [s]."""

    seconds: float = 0.0


@dataclasses.dataclass(frozen=True)
class SpeedLimit(Wrapper):
    """Limits on how fast rates rise and fall, separately."""

    up: float = parameter(0.03, unit="fraction per `seconds`", low=0, help="largest rise, 0.03 = 3 %")
    down: float = parameter(1.0, unit="fraction per `seconds`", low=0, high=1, help="largest fall, 1 = no limit")
    seconds: float = parameter(86400.0, unit="s", above=0, help="time that `up` and `down` refer to")

    def start(self, market: MarketState) -> SpeedLimitState:
        return SpeedLimitState(self.inner.start(market))

    def update(self, state: SpeedLimitState, market: MarketState) -> tuple[SpeedLimitState, MarginRequirement]:
        state.inner, source = self.inner.update(state.inner, market)
        now = market.seconds
        if state.charged is None:
            state.charged = source
        elif source is not state.source or state.charged is not source:
            state.charged = self._limit(source, state.charged, (now - state.seconds) / self.seconds)
        state.source = source
        state.seconds = now
        return state, state.charged

    def _limit(self, source: MarginRequirement, before: MarginRequirement, elapsed: float) -> MarginRequirement:
        before, target = common_brackets(before, source)
        lowest = before.rates * (1.0 - self.down) ** elapsed
        highest = before.rates * (1.0 + self.up) ** elapsed
        rates = np.minimum(np.maximum(target.rates, lowest), highest)
        if rates.tobytes() == target.rates.tobytes():
            return target
        return target.with_rates(rates)
