"""Volatility-scaled margin: a multiple of the volatility over the closing-out horizon. The point-in-time rate.

Formula: ``initial = multiplier * sigma * sqrt(horizon_hours / 24)``, ``maintenance = maintenance_fraction *
initial``, with sigma the market's volatility estimate [per sqrt day], limited to [1e-4, 1].
Fully procyclical: the elasticity of the rate to sigma is 1; speed and memory are those of the estimate.
Source: the parametric value at risk of clearing houses; multiplier 2.326 is the normal 99 % quantile.
It ignores fat tails, position size and liquidity.
"""

import dataclasses
import math

import numpy as np

from spirals.simulation.margin.policy import MarginPolicy
from spirals.simulation.margin.requirement import SMALLEST_RATE, MarginRequirement
from spirals.simulation.market.view import MarketState
from spirals.simulation.parameters import parameter

__all__ = ["VolatilityScaled", "VolatilityScaledState"]


@dataclasses.dataclass
class VolatilityScaledState:
    """The volatility last seen [per sqrt day], one per instrument, and what it asked for."""

    volatility: tuple[float, ...] = ()
    requirement: MarginRequirement | None = None


@dataclasses.dataclass(frozen=True)
class VolatilityScaled(MarginPolicy):
    """Rate proportional to the volatility estimate (point-in-time, elasticity 1).

    Examples
    --------
    >>> from spirals.simulation.market.view import MarketState
    >>> policy = VolatilityScaled(multiplier=2.0, horizon_hours=6.0, maintenance_fraction=0.5)
    >>> market = MarketState.constant(volatility=0.04)   # 4 % a day: 2 * 0.04 * sqrt(6 / 24) = 0.04
    >>> state, requirement = policy.update(policy.start(market), market)
    >>> requirement.initial_rates, requirement.maintenance_rates
    (array([0.04]), array([0.02]))
    """

    multiplier: float = parameter(2.326, unit="standard deviations", above=0, help="quantile times safety factor")
    horizon_hours: float = parameter(24.0, unit="h", above=0, help="time to close out a position")
    maintenance_fraction: float = parameter(0.5, unit="fraction of the initial rate", above=0, high=1)

    monotone_in_volatility = True

    def start(self, market: MarketState) -> VolatilityScaledState:
        return VolatilityScaledState()

    def update(
        self, state: VolatilityScaledState, market: MarketState
    ) -> tuple[VolatilityScaledState, MarginRequirement]:
        volatility = tuple(market.volatility.tolist())
        if state.requirement is None or volatility != state.volatility:
            # A few instruments: plain numbers take half the time of array operations.
            factor, fraction = self.multiplier * math.sqrt(self.horizon_hours / 24.0), self.maintenance_fraction
            initial = [min(max(factor * sigma, SMALLEST_RATE), 1.0) for sigma in volatility]
            state.volatility = volatility
            state.requirement = MarginRequirement.of(np.array((initial, [fraction * rate for rate in initial])))
        return state, state.requirement
