"""Stressed weight: mix in the rate of a stressed period, so that calm cannot erode margin fully.

Formula: ``charged = M + weight * (S - M)``, with S the inner policy's rate at the stressed volatility. A relative rise
of M by r raises the charged rate by ``r * (1 - weight) * M / ((1 - weight) * M + weight * S)``.
Source: EMIR RTS 153/2013, Art. 28(1)(b), weight at least 25 %.
"""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.margin.brackets import common_brackets
from spirals.simulation.margin.requirement import MarginRequirement, bounded
from spirals.simulation.margin.volatility_view import at_volatility
from spirals.simulation.margin.wrapper import Wrapper
from spirals.simulation.market.view import MarketState
from spirals.simulation.parameters import parameter

__all__ = ["StressedWeight", "StressedWeightState"]


@dataclasses.dataclass
class StressedWeightState:
    """Two independent states of the inner policy (current and stressed), their last requirements, and the mix."""

    inner: Any
    stressed_inner: Any
    source: MarginRequirement | None = None
    stressed: MarginRequirement | None = None
    charged: MarginRequirement | None = None


@dataclasses.dataclass(frozen=True)
class StressedWeight(Wrapper):
    """Weighted mean of the current rate and the rate at the stressed volatility."""

    weight: float = parameter(0.25, low=0, high=1, help="weight of the stressed rate")
    stressed_volatility: float | None = parameter(
        None, unit="per sqrt day", above=0, help="left out: the market's own stressed window"
    )

    def start(self, market: MarketState) -> StressedWeightState:
        return StressedWeightState(self.inner.start(market), self.inner.start(self._stressed(market)))

    def update(self, state: StressedWeightState, market: MarketState) -> tuple[StressedWeightState, MarginRequirement]:
        state.inner, source = self.inner.update(state.inner, market)
        state.stressed_inner, stressed = self.inner.update(state.stressed_inner, self._stressed(market))
        if state.charged is None or source is not state.source or stressed is not state.stressed:
            state.source, state.stressed = source, stressed
            source, stressed = common_brackets(source, stressed)
            rates = source.rates + self.weight * (stressed.rates - source.rates)
            state.charged = source.with_rates(bounded(rates))
        return state, state.charged

    def _stressed(self, market: MarketState) -> MarketState:
        volatility: NDArray[np.float64] = market.stressed_volatility
        if self.stressed_volatility is not None:
            volatility = np.full(market.n_instruments, self.stressed_volatility)
        return at_volatility(market, volatility)
