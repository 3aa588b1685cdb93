"""MarginPolicy: the rule that turns the market into a margin requirement. Stage 2 of the loop.

How to write one, in a file of your own (``type = "my_policy.py:DepthScaled"`` in a scenario)::

    from dataclasses import dataclass

    import numpy as np

    from spirals.simulation.margin import MarginPolicy, MarginRequirement

    @dataclass(frozen=True)
    class DepthScaled(MarginPolicy):
        \"\"\"Margin rises as the bids within 1 % of the mid thin out.\"\"\"

        rate: float = 0.05            # initial rate at the reference depth
        reference: float = 20e6       # [quote]

        def update(self, state, market):
            thinness = self.reference / np.maximum(market.depth_bid[:, 2], 1.0)
            initial = np.clip(self.rate * thinness, 0.01, 1.0)
            return state, MarginRequirement(initial, initial / 2)

- `market` is a :class:`~spirals.simulation.market.view.MarketState`: arrays of shape (n_instruments,) as
  they stand now; the future is out of reach by signature.
- A policy with memory returns its first state from :meth:`MarginPolicy.start`: any nest of dataclasses,
  arrays, numbers, tuples, lists, dicts and None. The parameters never change, so one object serves
  thousands of runs.
- ``check_policy(DepthScaled())`` tells what the engine would object to.
- Return the same :class:`MarginRequirement` object while nothing changes: it is quicker.
"""

import dataclasses
from abc import ABC, abstractmethod
from typing import Any, TypeVar

from spirals.simulation.margin.requirement import MarginRequirement
from spirals.simulation.market.view import MarketState
from spirals.simulation.parameters import Part, problems_of

__all__ = ["MarginPolicy", "MarginRequirement", "as_dataclass"]

Class = TypeVar("Class", bound=type)


class MarginPolicy(Part, ABC):
    """Rule of a venue for initial and maintenance margin; subclass it as a (frozen) dataclass of parameters.

    Attributes
    ----------
    monotone_in_volatility : bool
        True: a market with higher volatility at all times never has a lower rate. ``check_policy`` holds
        the policy to it.
    """

    monotone_in_volatility = False

    def __new__(cls, *arguments: Any, **keywords: Any) -> "MarginPolicy":
        as_dataclass(cls)  # a forgotten decorator is not worth an error
        return super().__new__(cls)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def problems(self) -> list[str]:
        """Return every fault of the parameters, one line each; empty when valid."""
        return problems_of(self) if dataclasses.is_dataclass(self) else []

    def start(self, market: MarketState) -> Any:
        """Return the state of a new run; None for a policy without memory.

        Parameters
        ----------
        market : MarketState
            The market at the opening.
        """
        return None

    @abstractmethod
    def update(self, state: Any, market: MarketState) -> tuple[Any, MarginRequirement]:
        """Return the new state and the requirement that holds from now on.

        Called once per step, never per account.

        Parameters
        ----------
        state : Any
            What `start` or the last `update` returned; may be changed in place and returned.
        market : MarketState
            The market now; must not be changed.
        """


def as_dataclass(cls: Class) -> Class:
    """Make `cls` a frozen dataclass in place, unless it is one or has its own ``__init__``; return it."""
    own = vars(cls)
    if "__dataclass_fields__" not in own and "__init__" not in own:
        parent = getattr(cls, "__dataclass_params__", None)
        dataclasses.dataclass(frozen=parent.frozen if parent else True)(cls)
    return cls
