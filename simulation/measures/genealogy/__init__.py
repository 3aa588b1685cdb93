"""Genealogy: which liquidation set off which, in three readings that answer different questions.

Proximate
    The parent is the liquidation whose trades moved the mark across the account's threshold. An account that the
    outside move of a step had crossed already has no parent, even if it is processed after others.
Fractional
    The distance to the threshold that was consumed since the opening is shared out over the shock, the surviving impact
    of every earlier forced order, the thinner book that it met (withdrawal), the rise of the margin rate and funding
    paid; the shares sum to one, and one that pushed the other way is negative. Top-ups, fees and trades of the
    account's own are not told apart: where nothing else consumed the distance they get all of it (`own`). An account
    with positions in several instruments is read in the one of its first order.
But-for
    Against twin T1 (no impact of forced orders) a liquidation is *extra* (the account survives there), *earlier*
    (it falls there too, but later), *same* (it falls there then or before); an account that falls only in the twin
    was *averted*. An account whose partial liquidation restored it, or that the fund made whole, may fall
    again: the n-th time is compared with the n-th time, and the first time of each account tells about accounts.

The three differ where the book refills: most children may be brought forward only (proximate ratio .8, but-for .08).
Thresholds: an account with bankruptcy price b and maintenance rate m is liquidated at ``b / (1 - m)`` (long) or
``b / (1 + m)`` (short).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.measures.genealogy.account_terms import FundingPaid, Terms, terms_of, thresholds
from spirals.simulation.measures.genealogy.but_for import flag_but_for
from spirals.simulation.measures.genealogy.consumed_shares import share_distance
from spirals.simulation.measures.genealogy.course import Course, thinning
from spirals.simulation.measures.genealogy.crossing import crossing_phase, proximate_parent
from spirals.simulation.measures.genealogy.family_tree import (
    EARLIER,
    EVENT,
    EXTRA,
    NO_PARENT,
    SAME,
    SHARES,
    Genealogy,
    PathPeak,
    grow,
)
from spirals.simulation.measures.genealogy.forced_trades import ForcedTrades, first_orders, notional_of
from spirals.simulation.measures.genealogy.impact_kernel import NO_IMPACT, ImpactKernel, fit_impact
from spirals.simulation.measures.record import RunRecord, Series

__all__ = [
    "EARLIER", "EVENT", "EXTRA", "SAME", "SHARES", "Genealogy", "ImpactKernel", "PathPeak", "fit_impact", "genealogy",
    "thresholds",
]


def genealogy(record: RunRecord, twin: RunRecord, phases: NDArray[Any], trades: NDArray[Any],
              trade_steps: NDArray[np.int64], twin_mark: Series) -> Genealogy:
    """Return the family tree of a run's liquidations.

    Parameters
    ----------
    record, twin : RunRecord
        The run and its twin T1.
    phases : ndarray, PHASE
        Of the run (:class:`~spirals.simulation.phase_log.PhaseLog`).
    trades : ndarray, TRADE
        All trades of the run.
    trade_steps : ndarray of shape (n_trades,), int64
        Step of each trade.
    twin_mark : ndarray of shape (n_steps + 1, n_instruments)
        [quote] Mark of the twin before trading.
    """
    rows = first_orders(record)
    events = np.zeros(len(rows), EVENT)
    for name in ("event", "account", "instrument", "step", "round"):
        events[name] = rows[name]
    events["side"] = -np.sign(rows["lots"])
    events["parent"] = NO_PARENT
    events["notional"] = notional_of(record, events["event"])
    kernel = NO_IMPACT
    for i, instrument in enumerate(record.instruments):
        pick = trades["instrument"] == i
        course = _course(i, record, twin, phases, trades[pick], trade_steps[pick], twin_mark)
        kernel = course.kernel if i == 0 else kernel
        funding = FundingPaid(record, course.phases, trades[pick], trade_steps[pick], i)
        for k in np.flatnonzero(events["instrument"] == i):
            _trace(events[k], rows[k], course, terms_of(rows[k], course.rates, instrument.lot_size, funding), events)
    grow(events)
    averted, averted_accounts = flag_but_for(events, twin)
    return Genealogy(events, averted, kernel, averted_accounts)


def _course(i: int, record: RunRecord, twin: RunRecord, phases: NDArray[Any], trades: NDArray[Any],
            trade_steps: NDArray[np.int64], twin_mark: Series) -> Course:
    """Return the course of one instrument, its impact kernel fitted; `trades` are its own."""
    mark, twin_after = record.price("mark", i), twin.price("mark", i)
    forced = ForcedTrades(trades, trade_steps, record, i)
    return Course(
        phases=phases[phases["instrument"] == i], opening_mark=float(mark[0]),
        rates=record.price("maintenance_rate", i), twin_before=np.ascontiguousarray(twin_mark[:, i]),
        twin_after=twin_after, trades=forced,
        kernel=fit_impact(np.log(mark / twin_after), forced.per_step, record.step_seconds),
        thinner={direction: thinning(record, i, direction) for direction in (-1, 1)}, step_seconds=record.step_seconds)


def _trace(event: Any, row: Any, course: Course, terms: Terms, events: NDArray[Any]) -> None:
    """Fill one event: threshold, crossing phase, parent and shares."""
    event["threshold"] = float(thresholds(float(row["bankruptcy_price"]), terms.rate, terms.side))
    at = crossing_phase(row, course, terms)
    event["crossed_step"], event["crossed_round"] = course.phases["step"][at], course.phases["round"][at]
    event["parent"], event["reason"] = proximate_parent(at, course, terms)
    share_distance(event, at, course, terms, events)
