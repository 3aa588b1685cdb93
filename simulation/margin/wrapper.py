"""Wrapper: a policy that changes the requirement of another one; wrappers nest in any order.

``SpeedLimit(Floor(VolatilityScaled(), floor=0.05), up=0.1)`` reads from the inside out: estimate, floor, then limit.
"""

import dataclasses
from abc import abstractmethod
from typing import Any

from spirals.simulation.margin.policy import MarginPolicy
from spirals.simulation.margin.requirement import MarginRequirement
from spirals.simulation.market.view import MarketState
from spirals.simulation.parameters import parameter

__all__ = ["Transform", "Wrapper", "WrapperState", "policy_problem"]


@dataclasses.dataclass
class WrapperState:
    """State of the inner policy, its last requirement, and what was made of it; None before the first update."""

    inner: Any
    source: MarginRequirement | None = None
    charged: MarginRequirement | None = None


@dataclasses.dataclass(frozen=True)
class Wrapper(MarginPolicy):
    """A policy around another; preserves "higher volatility, no lower rate" unless it says otherwise."""

    inner: MarginPolicy = parameter(help="the policy whose requirement is changed")

    @property
    def monotone_in_volatility(self) -> bool:  # type: ignore[override]  # follows from the inner policy
        return self.inner.monotone_in_volatility

    def problems(self) -> list[str]:
        return policy_problem("inner", self.inner) + super().problems()

    def start(self, market: MarketState) -> Any:
        return WrapperState(self.inner.start(market))


@dataclasses.dataclass(frozen=True)
class Transform(Wrapper):
    """A wrapper without memory: its requirement is a function of the inner one, see :meth:`transform`."""

    @abstractmethod
    def transform(self, source: MarginRequirement) -> MarginRequirement:
        """Return the requirement made of the inner policy's requirement `source`."""

    def update(self, state: WrapperState, market: MarketState) -> tuple[WrapperState, MarginRequirement]:
        state.inner, source = self.inner.update(state.inner, market)
        if source is not state.source or state.charged is None:
            state.source, state.charged = source, self.transform(source)
        return state, state.charged


def policy_problem(name: str, value: Any) -> list[str]:
    """Return a line when the field `name` does not hold a margin policy."""
    if isinstance(value, MarginPolicy):
        return []
    return [f"{name} must be a margin policy, was {value!r}"]
