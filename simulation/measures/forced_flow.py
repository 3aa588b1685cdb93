"""Forced flow: how much was traded because somebody had to, why, when, and against which open interest.

Forced causes are liquidation, call response, leverage target, stop-loss and the hedge of an
auto-deleveraged maker. Positions cut by auto-deleveraging are no trades and are counted apart.
Accounts, events and notional are counted separately.
"""

import dataclasses
import math

import numpy as np

from spirals.simulation.measures.record import RunRecord, Series
from spirals.simulation.state import Cause

__all__ = [
    "FORCED_CAUSES", "LiquidationCount", "busiest_share", "cause_flow", "count_liquidations", "flow_times",
    "forced_flow", "liquidated_to_open_interest",
]

FORCED_CAUSES = (
    Cause.LIQUIDATION, Cause.CALL_RESPONSE, Cause.LEVERAGE_TARGET, Cause.STOP_LOSS, Cause.ADL_HEDGE,
)


def cause_flow(record: RunRecord, cause: int) -> Series:
    """Return the notional executed for one cause in each step, sells and buys, all instruments.

    Returns
    -------
    ndarray of shape (n_steps + 1,), float
        [quote] per step.
    """
    steps = record.steps
    return np.add.reduce(steps["sold_notional"][:, :, cause] + steps["bought_notional"][:, :, cause], axis=1)


def forced_flow(record: RunRecord) -> Series:
    """Return the notional executed for all forced causes in each step [quote], shape (n_steps + 1,)."""
    total = np.zeros(len(record.steps))
    for cause in FORCED_CAUSES:
        total += cause_flow(record, cause)
    return total


def flow_times(flow: Series, step_seconds: float, shares: tuple[float, ...] = (0.1, 0.5, 0.9)) -> list[float]:
    """Return the times since the opening at which the cumulative flow first reaches each share of its total.

    Parameters
    ----------
    flow : ndarray of shape (n_steps + 1,), float
        Non-negative flow per step; row i belongs to the step that ends at ``i * step_seconds``.
    step_seconds : float
        [s]
    shares : tuple of float in (0, 1]

    Returns
    -------
    list of float
        [s]; NaN when there was no flow.
    """
    cumulative = np.add.accumulate(flow)
    total = float(cumulative[-1]) if len(flow) else 0.0
    if total <= 0.0:
        return [math.nan] * len(shares)
    # The running sum may miss its own total by rounding only at share 1, which it equals by construction.
    return [float(np.argmax(cumulative >= share * total)) * step_seconds for share in shares]


def busiest_share(flow: Series, step_seconds: float, bin_seconds: float = 1.0, n_bins: int = 10) -> float:
    """Return the share of the total flow in the `n_bins` busiest bins of `bin_seconds` [fraction].

    Bins are fixed intervals from the opening. Steps longer than a bin are bins themselves, and the
    number of bins shrinks so that the same time is covered (at least one). NaN without flow.
    """
    total = math.fsum(flow)
    if total <= 0.0:
        return math.nan
    if step_seconds >= bin_seconds:
        binned, count = flow[1:], max(1, round(n_bins * bin_seconds / step_seconds))
    else:
        ends = np.arange(1, len(flow)) * step_seconds
        index = np.ceil(ends / bin_seconds - 1e-9).astype(np.int64) - 1
        binned, count = np.bincount(index, weights=flow[1:]).astype(np.float64), n_bins
    busiest = np.sort(binned, kind="stable")[::-1][:count]
    return min(1.0, math.fsum(busiest) / total)


@dataclasses.dataclass(frozen=True)
class LiquidationCount:
    """Liquidations of a run counted by account, by event (one closure of one account) and by order.

    `notional` [quote] is at execution prices; `long_share` [fraction] is the part of it that closed
    longs, NaN when nothing was liquidated.
    """

    accounts: int
    events: int
    orders: int
    notional: float
    long_share: float


def count_liquidations(record: RunRecord) -> LiquidationCount:
    """Count the liquidations of a run."""
    rows = record.liquidations
    notional = math.fsum(rows["notional"])
    longs = math.fsum(rows["notional"][rows["filled_lots"] < 0])  # closing a long sells
    return LiquidationCount(
        accounts=len(np.unique(rows["account"])),
        events=len(np.unique(rows["event"])),
        orders=len(rows),
        notional=notional,
        long_share=longs / notional if notional > 0.0 else math.nan,
    )


def liquidated_to_open_interest(record: RunRecord) -> tuple[float, float]:
    """Return liquidated quantity over opening open interest, and over the fall of open interest.

    Quantities of all instruments are valued at their opening mark, so that a fall of the price does
    not count as a fall of open interest. Auto-deleveraged lots are not included.

    Returns
    -------
    to_opening : float
        [fraction]; NaN when the run opened without open interest.
    to_change : float
        [fraction]; NaN when open interest did not fall. Far below 1 means orderly deleveraging.
    """
    values = record.opening_lot_values
    rows = record.liquidations
    liquidated = math.fsum(np.abs(rows["filled_lots"]) * values[rows["instrument"]])
    closing = record.steps["open_interest"][-1]
    fall = float(np.add.reduce((record.opening_open_interest_lots - closing) * values))
    opening = record.opening_open_interest
    return (
        liquidated / opening if opening > 0.0 else math.nan,
        liquidated / fall if fall > 0.0 else math.nan,
    )
