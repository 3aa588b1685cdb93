"""The market as it would look at another volatility, for wrappers that ask the inner policy "what if"."""

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.market.view import MarketState

__all__ = ["at_volatility"]


def at_volatility(market: MarketState, volatility: NDArray[np.float64]) -> MarketState:
    """Return a view of `market` with `volatility` [per sqrt day] of shape (n_instruments,); all else is shared.

    Read fields as attributes (``market.volatility``), not through ``market.record``, which stays the real one.
    """
    view = object.__new__(MarketState)
    view.__dict__.update(market.__dict__)
    view.__dict__["volatility"] = volatility
    return view
