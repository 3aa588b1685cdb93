"""Coverage of a margin rate over a price history, and the scale of equal coverage; no agents.

A breach: from the end of bar t the price moves over the horizon by more than the initial rate charged then,
``|P(t + h) / P(t) - 1| > m(t)``, so that one of the two sides loses more than its initial margin. The share of breaches
counts both sides; it is about twice the share of either.
"""

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.errors import InputError
from spirals.simulation.measures.procyclicality import kupiec_interval

__all__ = ["BreachRate", "breach_rate", "equal_coverage_scale", "horizon_moves"]

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class BreachRate:
    """Share of horizons whose move exceeded the margin.

    Attributes
    ----------
    share : float
        [fraction of windows]
    low, high : float
        Kupiec's 95 % interval at the effective sample.
    breaches, windows : int
        Overlapping windows, one from the end of every bar.
    effective : float
        Windows that do not overlap: windows over bars per horizon. Breaches cluster beyond that, so the interval is
        narrower than the truth.
    """

    share: float
    low: float
    high: float
    breaches: int
    windows: int
    effective: float


def horizon_moves(closes: Array, bars_ahead: int) -> Array:
    """Return ``|P(t + h) / P(t) - 1|`` of every window, shape (n_bars - bars_ahead,); `closes` in [quote]."""
    if not 0 < bars_ahead < len(closes):
        raise InputError([f"the horizon must be 1 to {len(closes) - 1} bars of the history, was {bars_ahead}"])
    return np.abs(closes[bars_ahead:] / closes[:-bars_ahead] - 1.0)


def breach_rate(moves: Array, rates: Array, bars_ahead: int) -> BreachRate:
    """Return how often `moves` exceed the initial `rates` charged at the start of their windows.

    Parameters
    ----------
    moves : ndarray of shape (n_windows,)
        See :func:`horizon_moves`.
    rates : ndarray of shape (n_windows,)
        [fraction of notional]
    bars_ahead : int
        Length of a window in bars.
    """
    count, windows = int(np.sum(moves > rates)), len(moves)
    effective = max(1.0, windows / bars_ahead)
    low, high = kupiec_interval(effective, count / windows)
    return BreachRate(count / windows, low, high, count, windows, effective)


def equal_coverage_scale(moves: Array, rates: Array, target_rates: Array) -> tuple[float, float, float]:
    """Return the factor on `rates` that gives as many breaches as `target_rates`, with the range of such factors.

    A window breaches under ``scale * rate`` where ``move / rate > scale``, so with the ratios in falling order exactly
    k breach for any scale in ``[q_{k+1}, q_k)``. The solution is stated as the geometric mean of both ends. That the
    target needs scale 1 of itself is exact: `rates` equal to `target_rates` return 1.

    Parameters
    ----------
    moves, rates, target_rates : ndarray of shape (n_windows,)

    Returns
    -------
    scale, low, high : float

    Raises
    ------
    InputError
        When the target has no breach, or breaches everywhere: then no scale is determined. Or when ties leave no
        scale with exactly as many.
    """
    wanted = int(np.sum(moves > target_rates))
    if not 0 < wanted < len(moves):
        raise InputError([f"equal coverage needs a history with breaches: {wanted} of {len(moves)} windows had one"])
    ratios = np.sort(moves / rates)[::-1]
    low, high = float(ratios[wanted]), float(ratios[wanted - 1])
    if not low < high:
        raise InputError([f"no scale gives exactly {wanted} breaches: several windows share the ratio {high:g}"])
    if np.array_equal(rates, target_rates):
        return 1.0, low, high
    return math.sqrt(low * high), low, high
