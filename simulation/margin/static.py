"""Static margin: the rates never change. The benchmark against which procyclicality is measured.

Formula: ``m_t = m``; elasticity to volatility 0, peak-to-trough ratio 1.
"""

import dataclasses

import numpy as np

from spirals.simulation.errors import InputError
from spirals.simulation.margin.policy import MarginPolicy
from spirals.simulation.margin.requirement import MarginRequirement
from spirals.simulation.market.view import MarketState
from spirals.simulation.parameters import parameter

__all__ = ["Static"]


@dataclasses.dataclass(frozen=True)
class Static(MarginPolicy):
    """Fixed initial and maintenance rates, for all instruments alike or one of each per instrument.

    Examples
    --------
    >>> from spirals.simulation.market.view import MarketState
    >>> policy, market = Static(initial=0.10, maintenance=0.05), MarketState.constant(n_instruments=2)
    >>> state, requirement = policy.update(policy.start(market), market)
    >>> requirement.initial_rates
    array([0.1, 0.1])
    """

    initial: float | tuple[float, ...] = parameter(
        0.10, unit="fraction of notional", above=0, high=1, help="a rate, or a list with one per instrument"
    )
    maintenance: float | tuple[float, ...] = parameter(
        0.05, unit="fraction of notional", above=0, high=1, help="a rate, or a list with one per instrument"
    )

    monotone_in_volatility = True

    def __post_init__(self) -> None:
        for name in ("initial", "maintenance"):
            value = getattr(self, name)
            if isinstance(value, list | tuple | np.ndarray):
                object.__setattr__(self, name, tuple(float(rate) for rate in value))
        super().__post_init__()

    def problems(self) -> list[str]:
        found = super().problems()
        sizes = {np.size(value) for value in (self.initial, self.maintenance)} - {1}
        if len(sizes) > 1:
            found.append(f"initial and maintenance must have one rate per instrument each, had {sorted(sizes)}")
        elif not found and np.any(np.greater(self.maintenance, self.initial)):
            found.append(f"maintenance must not exceed initial, was {self.maintenance!r} above {self.initial!r}")
        return found

    def start(self, market: MarketState) -> MarginRequirement:
        try:
            return MarginRequirement.flat(market.n_instruments, self.initial, self.maintenance)
        except ValueError as error:
            raise InputError([
                f"Static: initial and maintenance must have one rate or {market.n_instruments} (one per instrument), "
                f"was {self.initial!r} and {self.maintenance!r}"
            ]) from error

    def update(self, state: MarginRequirement, market: MarketState) -> tuple[MarginRequirement, MarginRequirement]:
        return state, state
