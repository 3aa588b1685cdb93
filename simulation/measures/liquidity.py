"""Liquidity: how much of the depth was left, how wide the spread became, and how fast both came back."""

import math

import numpy as np

from spirals.simulation.measures.drawdown import trough
from spirals.simulation.measures.record import RunRecord, Series

__all__ = [
    "BANDS", "BEFORE_SECONDS", "book_depth", "depth_left", "max_relative_spread", "one_sided_share",
    "recovery_half_life",
]

BANDS = ("10bp", "50bp", "1pct")  # bands of STEP.depth_bid and STEP.depth_ask, from the mid
BEFORE_SECONDS = 60.0  # chosen: depth "before" is the median of the first minute
MEAN_SECONDS = 60.0    # chosen: published figures are snapshots per minute


def book_depth(record: RunRecord, band: int, side: str = "bid", instrument: int = 0) -> Series:
    """Return the depth within one band of the mid [quote], shape (n_steps + 1,); `side` is "bid" or "ask"."""
    return np.ascontiguousarray(record.steps[f"depth_{side}"][:, instrument, band])


def depth_left(depth: Series, step_seconds: float, before_seconds: float = BEFORE_SECONDS) -> float:
    """Return the lowest one-minute mean of depth over the depth before [fraction].

    Single seconds in which a side was empty are common in a crash and are not what published figures
    (snapshots per minute) show; :func:`one_sided_share` counts them.

    Parameters
    ----------
    depth : ndarray of shape (n_steps + 1,), float
        [quote]
    step_seconds : float
        [s]
    before_seconds : float
        [s]; "before" is the median over the rows from the opening to this time.

    Returns
    -------
    float
        At least 0; NaN when there was no depth before.
    """
    before = _before(depth, step_seconds, before_seconds)
    window = min(len(depth), max(1, round(MEAN_SECONDS / step_seconds)))
    total = np.concatenate(([0.0], np.cumsum(depth)))
    lowest = float((total[window:] - total[:-window]).min()) / window
    return max(lowest, 0.0) / before if before > 0.0 else math.nan


def max_relative_spread(spread: Series, mid: Series) -> float:
    """Return the largest spread over mid [fraction]; NaN when one side was always empty."""
    valid = (spread >= 0.0) & (mid > 0.0)
    return float((spread[valid] / mid[valid]).max()) if valid.any() else math.nan


def one_sided_share(spread: Series) -> float:
    """Return the share of steps in which a side of the book was empty (spread NaN) [fraction]."""
    return float(np.count_nonzero(np.isnan(spread))) / len(spread)


def recovery_half_life(path: Series, step_seconds: float, logarithmic: bool = True) -> float:
    """Return the time from the trough until half of the fall is recovered [s].

    The fall is the largest one from a running peak: of the log price (`logarithmic`; half-way is the
    geometric mean of peak and trough, the path must be positive) or of the level itself (depth;
    half-way is the arithmetic mean, zeros are allowed).

    Returns
    -------
    float
        [s]; NaN when the path never fell or did not recover within the run.
    """
    peak, bottom = trough(path) if logarithmic else _trough_of_level(path)
    if bottom == peak:
        return math.nan
    high, low = float(path[peak]), float(path[bottom])
    level = math.sqrt(high * low) if logarithmic else 0.5 * (high + low)
    back = np.flatnonzero(path[bottom:] >= level)
    return float(back[0]) * step_seconds if len(back) else math.nan


def _before(depth: Series, step_seconds: float, before_seconds: float) -> float:
    rows = max(1, min(len(depth), int(before_seconds / step_seconds) + 1))
    return float(np.median(depth[:rows]))


def _trough_of_level(path: Series) -> tuple[int, int]:
    """Steps (peak, trough) of the largest absolute fall; (0, 0) when there is none. Zeros are allowed."""
    falls = np.maximum.accumulate(path) - path
    if falls.max() <= 0.0:
        return 0, 0
    bottom = int(np.argmax(falls))
    return int(np.argmax(path[: bottom + 1])), bottom
