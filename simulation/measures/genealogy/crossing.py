"""Crossing: which phase of the run took the mark across an account's threshold, and which liquidation made it."""

import math
from typing import Any

import numpy as np

from spirals.simulation.measures.genealogy.account_terms import Terms
from spirals.simulation.measures.genealogy.course import Course
from spirals.simulation.measures.genealogy.family_tree import NO_PARENT
from spirals.simulation.phase_log import BEFORE_TRADING

__all__ = ["FROM_FLOW", "FROM_FUNDING", "FROM_MARGIN", "ROOT", "crossing_phase", "proximate_parent"]

ROOT, FROM_MARGIN, FROM_FLOW, FROM_FUNDING = range(4)   # why an event without parent was crossed


def crossing_phase(row: Any, course: Course, terms: Terms) -> int:
    """Return the place of the phase that crossed the threshold: the first of the unbroken stretch below it.

    Parameters
    ----------
    row : LIQUIDATION row
        The account's first order.
    course : Course
    terms : Terms
    """
    path, limits = course.phases, terms.limits
    # An order of round 0 was decided after stage 1, one of round r after the trading of round r - 1.
    wanted = BEFORE_TRADING if row["round"] == 0 else row["round"] - 1
    place = int(np.searchsorted(path["step"], row["step"], side="left"))
    while place + 1 < len(path) and path["step"][place] == row["step"] and path["round"][place] < wanted:
        place += 1
    while place > 0:
        before = place - 1
        if terms.side * (path["mark"][before] - limits[path["step"][before]]) >= 0.0:
            break
        place = before
    return place


def proximate_parent(at: int, course: Course, terms: Terms) -> tuple[int, int]:
    """Return the proximate parent of what crossed in phase `at`, and the reason when there is none.

    Within a round of trading it is the liquidation that traded most in the direction of the crossing. Before the
    trading of a step the outside moves first, then the account's own threshold (margin rate, funding): what these
    cross, alone or together, has no parent. What is left was crossed by an index or a basis that catches up with
    earlier sales: the parent is the liquidation of which most impact is left.
    """
    path, side = course.phases, terms.side
    step = int(path["step"][at])
    if path["round"][at] != BEFORE_TRADING:
        mover = course.trades.mover(step, int(path["round"][at]), -side)
        return (mover, ROOT) if mover >= 0 else (NO_PARENT, FROM_FLOW)
    if at == 0:
        return NO_PARENT, ROOT
    before, last = float(path["mark"][at - 1]), max(step - 1, 0)
    limit_now, limit_before = float(terms.limits[step]), float(terms.limits[last])
    outside = before * _outside_move(at, course, side)
    if side * (outside - limit_before) < 0.0:
        return NO_PARENT, ROOT
    closer = side * math.log(limit_now / limit_before)   # the threshold itself
    paid = side * math.log(terms.bankruptcy[step] / terms.bankruptcy[last])
    own = FROM_FUNDING if 2.0 * paid > closer else FROM_MARGIN   # funding made the larger part of it
    if side * (before - limit_now) < 0.0:
        return NO_PARENT, own
    if side * (outside - limit_now) < 0.0:   # both together
        return NO_PARENT, ROOT if side * math.log(before / outside) >= closer else own
    trades = course.trades
    earlier = trades.step < step
    if not earlier.any():
        return NO_PARENT, ROOT
    impact = -side * trades.notional[earlier] * course.kernel((step - trades.step[earlier]) * course.step_seconds)
    if impact.max() <= 0.0:
        return NO_PARENT, ROOT
    return int(trades.event[earlier][impact.argmax()]), ROOT


def _outside_move(at: int, course: Course, side: int) -> float:
    """Return the factor by which the outside alone moves the mark into phase `at`.

    The larger against the account of two readings: the exogenous price, and the mark of the twin, in which a lagged
    oracle or a basis catches up with the outside but not with forced sales.
    """
    path, step = course.phases, int(course.phases["step"][at])
    exogenous = path["exogenous"][at] / path["exogenous"][at - 1]
    twin = course.twin_before[step] / course.twin_after[max(step - 1, 0)]
    return float(min(exogenous, twin) if side > 0 else max(exogenous, twin))
