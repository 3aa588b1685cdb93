"""Ramp: a higher maintenance rate reaches open positions gradually; new positions pay the new rate at once.

Formula: the initial rate follows the inner policy; an increase of a maintenance rate announced at t0 is phased in
linearly, ``m(t) = m(t0) + (target - m(t0)) * (t - t0) / seconds``; a decrease binds at once. A new target restarts the
ramp from the rate then in force, so an inner rate that moves in every step is followed like a moving average: put an
`UpdateInterval` inside.
Source: the ramp of the liquidation loan-to-value in Euler v2 (euler-vault-kit, commit 5b98b420), restated for rates.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.margin.brackets import common_brackets, rates_on
from spirals.simulation.margin.requirement import MarginRequirement
from spirals.simulation.margin.wrapper import Wrapper, WrapperState
from spirals.simulation.market.view import MarketState
from spirals.simulation.parameters import parameter

__all__ = ["Ramp", "RampState"]

Array = NDArray[np.float64]


@dataclasses.dataclass
class RampState(WrapperState):
    """As :class:`WrapperState`, with the begin of the ramp of each rate."""

    begin_rates: Array | None = None      # maintenance rates when the ramp began, shape of the rates
    begin_seconds: Array | None = None    # [s]


@dataclasses.dataclass(frozen=True)
class Ramp(Wrapper):
    """Linear phase-in of maintenance increases; the initial rate changes at once."""

    seconds: float = parameter(86400.0, unit="s", above=0, help="length of the ramp")

    # A further rise restarts the ramp and may leave the rate lower, later, than a smaller rise would have.
    monotone_in_volatility = False

    def start(self, market: MarketState) -> RampState:
        return RampState(self.inner.start(market))

    def update(self, state: RampState, market: MarketState) -> tuple[RampState, MarginRequirement]:
        state.inner, source = self.inner.update(state.inner, market)
        now = market.seconds
        if state.source is None:
            state.source = state.charged = source
            state.begin_rates = source.maintenance_rates
            state.begin_seconds = np.full(source.maintenance_rates.shape, now - self.seconds)
        elif source is not state.source:
            self._retarget(state, source, now)
            state.charged = self._ramped(state, now)
        elif state.charged is not state.source:
            state.charged = self._ramped(state, now)
        assert state.charged is not None
        return state, state.charged

    def _retarget(self, state: RampState, source: MarginRequirement, now: float) -> None:
        assert state.source is not None and state.begin_rates is not None and state.begin_seconds is not None
        before, source = common_brackets(state.source, source)
        if before is not state.source and before.floors is not None:
            state.begin_rates = rates_on(state.begin_rates, state.source.floors, before.floors)
            state.begin_seconds = rates_on(state.begin_seconds, state.source.floors, before.floors)
        current = self._maintenance(before.maintenance_rates, state, now)
        changed = source.maintenance_rates != before.maintenance_rates
        state.begin_rates = np.where(changed, current, state.begin_rates)
        state.begin_seconds = np.where(changed, now, state.begin_seconds)
        state.source = source

    def _ramped(self, state: RampState, now: float) -> MarginRequirement:
        source = state.source
        assert source is not None
        maintenance = self._maintenance(source.maintenance_rates, state, now)
        if maintenance.tobytes() == source.maintenance_rates.tobytes():
            return source
        return source.with_rates(np.array((source.initial_rates, maintenance)))

    def _maintenance(self, target: Array, state: RampState, now: float) -> Array:
        assert state.begin_rates is not None and state.begin_seconds is not None
        share = (now - state.begin_seconds) / self.seconds
        ramped = np.minimum(state.begin_rates + (target - state.begin_rates) * share, target)
        return np.where((share >= 1.0) | (target <= state.begin_rates), target, ramped)
