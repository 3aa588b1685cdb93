"""Applies-to: let a design act on the initial or the maintenance rate only; the other comes from a base policy.

Where the two are inconsistent the initial rate is raised to the maintenance rate (a venue that let positions open below
maintenance would liquidate them at once); the maintenance rate is never altered. Different brackets of notional are
brought to common ones. Whether lots are grandfathered is decided by the policy that gives the maintenance rate.
"""

import dataclasses
from typing import Any

import numpy as np

from spirals.simulation.margin.brackets import common_brackets
from spirals.simulation.margin.policy import MarginPolicy
from spirals.simulation.margin.requirement import MarginRequirement
from spirals.simulation.margin.wrapper import Wrapper, policy_problem
from spirals.simulation.market.view import MarketState
from spirals.simulation.parameters import parameter

__all__ = ["AppliesTo", "AppliesToState"]


@dataclasses.dataclass
class AppliesToState:
    """States and last requirements of both policies, and the combination."""

    inner: Any
    base_inner: Any
    source: MarginRequirement | None = None
    base: MarginRequirement | None = None
    charged: MarginRequirement | None = None


@dataclasses.dataclass(frozen=True)
class AppliesTo(Wrapper):
    """Initial or maintenance rate from `inner`, as `which` says; the other one from `base`."""

    base: MarginPolicy = parameter(help="the policy that gives the other rate")
    which: str = parameter("initial", choices=("initial", "maintenance", "both"), help="the rate that `inner` gives")

    @property
    def monotone_in_volatility(self) -> bool:  # type: ignore[override]  # follows from the inner policy
        return self.inner.monotone_in_volatility and self.base.monotone_in_volatility

    def problems(self) -> list[str]:
        return policy_problem("base", self.base) + super().problems()

    def start(self, market: MarketState) -> AppliesToState:
        return AppliesToState(self.inner.start(market), self.base.start(market))

    def update(self, state: AppliesToState, market: MarketState) -> tuple[AppliesToState, MarginRequirement]:
        state.inner, source = self.inner.update(state.inner, market)
        if self.which == "both":
            return state, source
        state.base_inner, base = self.base.update(state.base_inner, market)
        if state.charged is None or source is not state.source or base is not state.base:
            state.charged = self._combine(source, base)
            state.source, state.base = source, base
        return state, state.charged

    def _combine(self, source: MarginRequirement, base: MarginRequirement) -> MarginRequirement:
        source, base = common_brackets(source, base)
        initial, maintenance = (source, base) if self.which == "initial" else (base, source)
        rates = np.array((initial.initial_rates, maintenance.maintenance_rates))
        np.maximum(rates[0], rates[1], out=rates[0])
        return maintenance.with_rates(rates)
