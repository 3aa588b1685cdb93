"""Stage 2: runs the policy of a simulation and keeps its requirement as a table for the kernels."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.errors import InputError
from spirals.simulation.margin.policy import MarginPolicy, MarginRequirement
from spirals.simulation.margin.states import flatten_state, unflatten_state
from spirals.simulation.market.view import MarketState

__all__ = ["MarginStage"]


def policy_name(policy: Any) -> str:
    """Return the class of a policy, with the file where it is not of this package, and what it wraps."""
    kind = type(policy)
    name = kind.__name__
    if not kind.__module__.startswith("spirals."):
        name += f" ({getattr(sys.modules.get(kind.__module__), '__file__', None) or kind.__module__})"
    inner = getattr(policy, "inner", None)
    return f"{name} around {policy_name(inner)}" if isinstance(inner, MarginPolicy) else name


class MarginStage:
    """A policy, its own state in this run, and the requirement in force.

    Attributes
    ----------
    table : ndarray of shape (n_instruments, n_brackets), REQUIREMENT
    grandfathered : bool
    """

    def __init__(self, policy: MarginPolicy, market: MarketState) -> None:
        self.policy = policy
        self.requirement: MarginRequirement | None = None
        self.state = self._called(policy.start, market)
        self.update(market)

    def update(self, market: MarketState) -> MarginRequirement:
        """Ask the policy for the requirement of this step; the table changes only if the object did."""
        self.state, requirement = self._asked(market)
        if requirement is not self.requirement:
            problems = requirement.problems(market.n_instruments)
            if problems:
                name = policy_name(self.policy)
                raise InputError([f"{name} returned an invalid requirement at step {market.step}: {line}"
                                  for line in problems])
            self.requirement = requirement
            self.table = requirement.table()
            self.grandfathered = bool(requirement.grandfathered)
        return requirement

    def _asked(self, market: MarketState) -> tuple[Any, MarginRequirement]:
        """Return what the policy answers."""
        answer = self._called(self.policy.update, self.state, market)
        if not (isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[1], MarginRequirement)):
            raise InputError([f"{policy_name(self.policy)} returned the wrong thing at step {market.step}; "
                              f"allowed: (state, MarginRequirement); given: {repr(answer)[:60]}"])
        return answer

    def _called(self, method: Callable[..., Any], *arguments: Any) -> Any:
        """Call a method of the policy; a fault of its code names class, file and step."""
        step = arguments[-1].step
        try:
            return method(*arguments)
        except InputError as error:
            place = f"{policy_name(self.policy)} at step {step}"
            raise InputError([f"{place}: {line}" for line in error.problems]) from error
        except (Exception, SystemExit) as error:
            fault = f"{type(error).__name__}: {error}"
            raise RuntimeError(f"{policy_name(self.policy)} failed at step {step} ({fault})") from error

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
