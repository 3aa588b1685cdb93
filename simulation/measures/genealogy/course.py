"""Course of one instrument: prices, rates and depth of a run beside its twin, as the genealogy reads them."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.measures.genealogy.forced_trades import ForcedTrades
from spirals.simulation.measures.genealogy.impact_kernel import ImpactKernel
from spirals.simulation.measures.liquidity import BEFORE_SECONDS, book_depth
from spirals.simulation.measures.record import RunRecord, Series

__all__ = ["Course", "thinning"]

WIDE = 2                # band of the depth: 1 % of the mid
MEAN_SECONDS = 60.0     # [s] chosen: single seconds of a crash's book say little


@dataclasses.dataclass(frozen=True)
class Course:
    """What happened to one instrument.

    Attributes
    ----------
    phases : ndarray, PHASE
        Of this instrument, in order of time.
    opening_mark : float
        [quote] Of run and twin.
    rates : ndarray of shape (n_steps + 1,)
        Maintenance rate of the first bracket [fraction of notional].
    twin_before, twin_after : ndarray of shape (n_steps + 1,)
        [quote] Mark of the twin before and after the trading of each step.
    trades : ForcedTrades
    kernel : ImpactKernel
    thinner : dict of int to ndarray of shape (n_steps + 1,)
        Part of the opening depth that is gone [fraction], by the direction of an order: -1 a sale (bids), 1 a purchase.
    step_seconds : float
        [s]
    """

    phases: NDArray[Any]
    opening_mark: float
    rates: Series
    twin_before: Series
    twin_after: Series
    trades: ForcedTrades
    kernel: ImpactKernel
    thinner: dict[int, Series]
    step_seconds: float


def thinning(record: RunRecord, instrument: int, direction: int) -> Series:
    """Return the part of the opening depth that an order finds gone in each step [fraction].

    Parameters
    ----------
    record : RunRecord
    instrument : int
    direction : int
        -1: a sale, which the bids take; 1: a purchase, which the asks take.

    Returns
    -------
    ndarray of shape (n_steps + 1,)
        ``1 - min(1, d / d0)``: d the mean depth within 1 % of the mid over the minute before the step, d0 the median
        over the first minute of the run. Seconds without a mid, because a side of the book was empty, are left
        out; where there is none with one, nothing is gone.
    """
    depth = book_depth(record, WIDE, "bid" if direction < 0 else "ask", instrument)
    seen = ~np.isnan(record.price("spread", instrument))
    gone = np.zeros(len(depth))
    first = np.flatnonzero(seen[: int(BEFORE_SECONDS / record.step_seconds) + 1])
    before = float(np.median(depth[first])) if len(first) else 0.0
    if before <= 0.0:
        return gone
    window = max(1, round(MEAN_SECONDS / record.step_seconds))
    total = np.concatenate([[0.0], np.cumsum(np.where(seen, depth, 0.0))])
    count = np.concatenate([[0], np.cumsum(seen)])
    step = np.arange(1, len(depth))   # step s reads the ends of the steps s - window .. s - 1
    start = np.maximum(step - window, 0)
    rows = count[step] - count[start]
    left = np.where(rows > 0, (total[step] - total[start]) / np.maximum(rows, 1) / before, np.nan)
    known = np.maximum.accumulate(np.where(rows > 0, np.arange(len(left)), -1))
    left = np.where(known >= 0, left[known], 1.0)
    gone[1:] = 1.0 - np.minimum(left, 1.0)
    return gone
