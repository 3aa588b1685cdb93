"""Drawdown, run-up and overshoot of a price path, in log points.

The largest fall of the logarithm is the logarithm of the largest ratio, so paths are compared as
ratios and only one logarithm is taken: the result does not depend on vectorised mathematics.
"""

import math

import numpy as np

from spirals.simulation.measures.record import Series

__all__ = ["fall_ratios", "max_drawdown", "max_run_up", "overshoot", "trough"]


def max_drawdown(prices: Series) -> float:
    """Return the largest fall of the log price from an earlier peak, max_s<=t ln(p_s / p_t) [log points].

    Parameters
    ----------
    prices : ndarray of shape (n,), float
        Price path [quote]; values that are NaN or not positive (no price yet) are left out.

    Returns
    -------
    float
        Non-negative; 0 for a path that never falls, NaN when the path holds no valid price.
    """
    ratios = fall_ratios(prices)
    return math.log(float(ratios.max())) if len(ratios) else math.nan


def max_run_up(prices: Series) -> float:
    """Return the largest rise of the log price from an earlier trough [log points]; see `max_drawdown`."""
    valid = _valid(prices)
    if not len(valid):
        return math.nan
    return math.log(float((valid / np.minimum.accumulate(valid)).max()))


def overshoot(prices: Series, reference: Series) -> float:
    """Return the largest fall of `prices` below `reference`, max_t ln(r_t / p_t), at least 0 [log points].

    Steps in which either path has no valid price are left out; NaN when none is left.
    """
    both = (prices > 0.0) & (reference > 0.0)
    if not both.any():
        return math.nan
    return max(0.0, math.log(float((reference[both] / prices[both]).max())))


def trough(prices: Series) -> tuple[int, int]:
    """Return the steps (peak, trough) between which the largest log fall lies; (0, 0) when there is none.

    `prices` must be positive throughout.
    """
    ratios = prices[:0] if not len(prices) else np.maximum.accumulate(prices) / prices
    if not len(ratios) or ratios.max() <= 1.0:
        return 0, 0
    bottom = int(np.argmax(ratios))
    return int(np.argmax(prices[: bottom + 1])), bottom


def fall_ratios(prices: Series) -> Series:
    """Return running maximum over price (at least 1) for the valid prices of the path."""
    valid = _valid(prices)
    return np.maximum.accumulate(valid) / valid


def _valid(prices: Series) -> Series:
    return prices[prices > 0.0]  # NaN compares false
