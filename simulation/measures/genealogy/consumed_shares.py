"""Consumed distance: the way from the opening to an account's threshold, shared out over what consumed it.

In logs the way is a sum: what the mark of twin T1 fell (shock), what the run's mark fell beyond it (impact of forced
orders), what the margin rate and what funding moved the threshold towards it. The impact goes to earlier forced orders
in proportion to what the fitted kernel says is left of theirs.

**Withdrawal** is a convention on top. Of the impact that is left of an order, the part ``1 - min(1, d / d0)`` is put
down to the thinner book: the order met a depth d (mean over the minute before), and in the opening book, of depth d0,
would have moved the price by ``d / d0`` of what it did. The book may be thinner because makers or others left it or
because what forced orders took has not come back: the depth does not tell these apart. What a thinner book does to
voluntary flow is in the twin too, and stays with the shock.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.measures.genealogy.account_terms import Terms
from spirals.simulation.measures.genealogy.course import Course
from spirals.simulation.measures.record import Series
from spirals.simulation.phase_log import BEFORE_TRADING

__all__ = ["share_distance"]


def share_distance(event: Any, at: int, course: Course, terms: Terms, events: NDArray[Any]) -> None:
    """Fill the shares of one event, which sum to one, and add to the offspring of those that had a part in it.

    Parameters
    ----------
    event : EVENT row
        Filled in place.
    at : int
        Place of the phase that crossed the threshold.
    course : Course
    terms : Terms
    events : ndarray, EVENT
        All events, of all instruments; `offspring` is added to.
    """
    path, side = course.phases, terms.side
    step, traded = int(path["step"][at]), path["round"][at] != BEFORE_TRADING
    twin_mark = (course.twin_after if traded else course.twin_before)[step]
    shock = side * math.log(course.opening_mark / twin_mark)
    impact = side * math.log(course.opening_mark / path["mark"][at]) - shock
    margin = side * math.log((1.0 - side * terms.rates[0]) / (1.0 - side * terms.rates[step]))
    funding = side * math.log(terms.bankruptcy[step] / terms.bankruptcy[0])
    total = shock + impact + margin + funding
    if total <= 0.0:   # already below at the opening mark, or moved by its own trades only
        event["own"] = 1.0
        return
    event["shock"], event["margin"], event["funding"] = shock / total, margin / total, funding / total
    trades = course.trades
    last = int(path["round"][at])   # nothing of this step before trading
    sold = _before(trades.step, trades.round, step, last)
    others = _before(trades.other_step, trades.other_round, step, last)
    left = _impact_left(trades.notional[sold], trades.step[sold], step, course, side)
    other = _impact_left(trades.other_notional[others], trades.other_step[others], step, course, side)
    weight = float(left.sum() + other.sum())
    if weight <= 0.0:   # nobody to give it to: noise of the twin comparison
        event["shock"] += impact / total
        return
    left, other = left * (impact / total / weight), other * (impact / total / weight)
    thin = _thinner(trades.notional[sold], trades.step[sold], course)
    thin_other = _thinner(trades.other_notional[others], trades.other_step[others], course)
    event["liquidations"] = float(((1.0 - thin) * left).sum())
    event["other_forced"] = float(((1.0 - thin_other) * other).sum())
    event["withdrawal"] = float((thin * left).sum() + (thin_other * other).sum())
    order = np.argsort(events["event"])
    places = order[np.searchsorted(events["event"], trades.event[sold], sorter=order)]
    np.add.at(events["offspring"], places, left)


def _before(steps: NDArray[np.int64], rounds: NDArray[Any], step: int, last: int) -> NDArray[np.bool_]:
    """Return which trades came before a phase ended: those of earlier steps, and of this one up to round `last`."""
    return (steps < step) | ((steps == step) & (rounds <= last))


def _impact_left(notional: Series, steps: NDArray[np.int64], step: int, course: Course, side: int) -> Series:
    age = np.asarray((step - steps) * course.step_seconds, np.float64)
    left: Series = course.kernel(age)
    return np.multiply(-side * left, notional, dtype=np.float64)


def _thinner(notional: Series, steps: NDArray[np.int64], course: Course) -> Series:
    """Return the part of the opening depth that each trade found gone [fraction]."""
    return np.where(notional < 0.0, course.thinner[-1][steps], course.thinner[1][steps])
