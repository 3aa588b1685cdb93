"""Stage 2: runs the policy of a simulation and keeps its requirement as a table for the kernels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.errors import InputError
from spirals.simulation.margin.policy import MarginPolicy, MarginRequirement
from spirals.simulation.margin.states import flatten_state, unflatten_state
from spirals.simulation.market.view import MarketState

__all__ = ["MarginStage"]


class MarginStage:
    """A policy, its own state in this run, and the requirement in force.

    Attributes
    ----------
    table : ndarray of shape (n_instruments, n_brackets), REQUIREMENT
    grandfathered : bool
    """

    def __init__(self, policy: MarginPolicy, market: MarketState) -> None:
        self.policy = policy
        self.state = policy.start(market)
        self.requirement: MarginRequirement | None = None
        self.update(market)

    def update(self, market: MarketState) -> MarginRequirement:
        """Ask the policy for the requirement of this step; the table changes only if the object did."""
        self.state, requirement = self.policy.update(self.state, market)
        if requirement is not self.requirement:
            problems = requirement.problems(market.n_instruments)
            if problems:
                name = type(self.policy).__name__
                raise InputError([f"{name} returned an invalid requirement: {line}" for line in problems])
            self.requirement = requirement
            self.table = requirement.table()
            self.grandfathered = bool(requirement.grandfathered)
        return requirement

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The policy's state and the table in force, by name."""
        found = {f"state.{name}": array for name, array in flatten_state(self.state).items()}
        found["table"] = self.table
        found["grandfathered"] = np.array([self.grandfathered])
        return found

    def restore(self, arrays: dict[str, NDArray[Any]], market: MarketState) -> None:
        """Continue from saved arrays; the next update rebuilds the table."""
        mine = {name[6:]: array for name, array in arrays.items() if name.startswith("state.")}
        self.state = unflatten_state(self.state, mine)
        self.table = np.array(arrays["table"])
        self.grandfathered = bool(arrays["grandfathered"][0])
        self.requirement = None
