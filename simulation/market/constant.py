"""ConstantPrice: an outside world in which nothing happens; all movement comes from the venue."""

import dataclasses

import numpy as np

from spirals.simulation.market.outside_world import OutsidePath, OutsideWorld, per_instrument
from spirals.simulation.parameters import parameter

__all__ = ["ConstantPrice"]


@dataclasses.dataclass(frozen=True)
class ConstantPrice(OutsideWorld):
    """The exogenous price never moves.

    Attributes
    ----------
    price : float or tuple of float
        [quote] One value, or one per instrument.
    """

    price: float | tuple[float, ...] = parameter(10000.0, unit="quote", above=0, help="the constant price")

    def path(self, n_steps: int, step_seconds: float, n_instruments: int, seed: int) -> OutsidePath:
        price = np.empty((n_steps + 1, n_instruments))
        price[:] = per_instrument("ConstantPrice.price", self.price, n_instruments)
        return OutsidePath(price, step_seconds)
