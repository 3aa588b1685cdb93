"""Crossing: which phase of the run took the mark across an account's threshold, and which liquidation made it."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spirals.simulation.measures.family_tree import NO_PARENT
from spirals.simulation.measures.forced_trades import ForcedTrades
from spirals.simulation.measures.impact_kernel import ImpactKernel
from spirals.simulation.measures.record import Series
from spirals.simulation.phase_log import BEFORE_TRADING

__all__ = ["FROM_FLOW", "FROM_MARGIN", "ROOT", "crossing_phase", "proximate_parent", "thresholds"]

ROOT, FROM_MARGIN, FROM_FLOW = 0, 1, 2   # why an event without parent was crossed: shock, rate, voluntary flow


def thresholds(bankruptcy: ArrayLike, rate: ArrayLike, side: ArrayLike) -> Series:
    """Return the mark at which a position is due: ``b / (1 - side m)`` [quote].

    Parameters
    ----------
    bankruptcy : array_like of float
        [quote]
    rate : array_like of float
        Maintenance rate [fraction of notional], below 1.
    side : array_like of int
        1 long, -1 short.
    """
    return np.asarray(np.asarray(bankruptcy) / (1.0 - np.asarray(side) * np.asarray(rate)), np.float64)


def crossing_phase(row: Any, path: NDArray[Any], bankruptcy: float, rates: Series, side: int) -> int:
    """Return the place of the phase that crossed the threshold: the first of the unbroken stretch below it."""
    # An order of round 0 was decided after stage 1, one of round r after the trading of round r - 1.
    wanted = BEFORE_TRADING if row["round"] == 0 else row["round"] - 1
    place = int(np.searchsorted(path["step"], row["step"], side="left"))
    while place + 1 < len(path) and path["step"][place] == row["step"] and path["round"][place] < wanted:
        place += 1
    while place > 0:
        before = place - 1
        limit = bankruptcy / (1.0 - side * rates[path["step"][before]])
        if side * (path["mark"][before] - limit) >= 0.0:
            break
        place = before
    return place


def proximate_parent(at: int, path: NDArray[Any], flow: ForcedTrades, bankruptcy: float, rates: Series, side: int,
            kernel: ImpactKernel, step_seconds: float) -> tuple[int, int]:
    """Return the proximate parent of what crossed in phase `at`, and the reason when there is none."""
    step = int(path["step"][at])
    if path["round"][at] != BEFORE_TRADING:
        mover = flow.mover(step, int(path["round"][at]), -side)
        return (mover, ROOT) if mover >= 0 else (NO_PARENT, FROM_FLOW)
    if at == 0:
        return NO_PARENT, ROOT
    before = path["mark"][at - 1]
    limit_now, limit_before = (bankruptcy / (1.0 - side * rates[k]) for k in (step, max(step - 1, 0)))
    outside = before * path["exogenous"][at] / path["exogenous"][at - 1]
    if side * (outside - limit_before) < 0.0:
        return NO_PARENT, ROOT          # the outside move alone crosses
    if side * (before - limit_now) < 0.0:
        return NO_PARENT, FROM_MARGIN   # the rise of the rate alone crosses
    earlier = flow.step < step
    if not earlier.any():
        return NO_PARENT, ROOT
    impact = -side * flow.notional[earlier] * kernel((step - flow.step[earlier]) * step_seconds)
    if impact.max() <= 0.0:
        return NO_PARENT, ROOT
    return int(flow.event[earlier][impact.argmax()]), ROOT   # the index or the basis catches up with earlier sales
