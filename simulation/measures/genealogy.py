"""Genealogy: which liquidation set off which, in three readings that answer different questions.

Proximate
    The parent is the liquidation whose trades moved the mark across the account's threshold. An account that the
    outside move of a step had crossed already has no parent, even if it is processed after others.
Fractional
    The distance to the threshold that was consumed since the opening is shared out over the shock, the surviving impact
    of every earlier forced order and the rise of the margin rate; the shares sum to one. Top-ups and trades of the
    account's own are not told apart: where nothing else consumed the distance they get all of it (`own`).
But-for
    Against twin T1 (no impact of forced orders) a liquidation is *extra* (the account survives there), *earlier*
    (it falls there too, but later), *same* (it falls there then or before); an account
    that falls only in the twin was *averted*.

The three differ where the book refills: most children may be brought forward only (proximate ratio .8, but-for .08).
Thresholds: an account with bankruptcy price b and maintenance rate m is liquidated at ``b / (1 - m)`` (long) or
``b / (1 + m)`` (short).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.measures.but_for import flag_but_for
from spirals.simulation.measures.consumed_shares import share_distance
from spirals.simulation.measures.crossing import crossing_phase, proximate_parent, thresholds
from spirals.simulation.measures.family_tree import EARLIER, EVENT, EXTRA, NO_PARENT, SAME, Genealogy, grow
from spirals.simulation.measures.forced_trades import ForcedTrades, first_orders, notional_of
from spirals.simulation.measures.impact_kernel import NO_IMPACT, ImpactKernel, fit_impact
from spirals.simulation.measures.record import RunRecord, Series

__all__ = ["EARLIER", "EVENT", "EXTRA", "SAME", "Genealogy", "ImpactKernel", "fit_impact", "genealogy", "thresholds"]


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
    for i in range(len(record.instruments)):
        mine = np.flatnonzero(events["instrument"] == i)
        path = phases[phases["instrument"] == i]
        pick = trades["instrument"] == i
        flow = ForcedTrades(trades[pick], trade_steps[pick], record, i)
        twin_here = np.ascontiguousarray(twin_mark[:, i])
        fitted = fit_impact(np.log(record.price("mark", i) / twin.price("mark", i)), flow.per_step,
                            record.step_seconds)
        kernel = fitted if i == 0 else kernel
        for k in mine:
            _trace(events[k], rows[k], path, flow, record, twin_here, fitted, events)
    grow(events)
    averted = flag_but_for(events, rows, twin)
    return Genealogy(events, averted, kernel)


def _trace(event: Any, row: Any, path: NDArray[Any], flow: ForcedTrades, record: RunRecord, twin_mark: Series,
           kernel: ImpactKernel, events: NDArray[Any]) -> None:
    """Fill one event: threshold, crossing phase, parent and shares."""
    side = int(event["side"])
    i = int(event["instrument"])
    rates = record.price("maintenance_rate", i)
    bankruptcy = float(row["bankruptcy_price"])
    lots = row["equity"] / ((row["mark"] - bankruptcy) * record.instruments[i].lot_size)
    rate = float(row["maintenance"] / (abs(lots) * row["mark"] * record.instruments[i].lot_size)) if lots else 0.0
    scale = rate / rates[row["step"]] if rates[row["step"]] > 0 else 1.0   # tier and position against the first bracket
    event["threshold"] = float(thresholds(bankruptcy, rate, side))
    at = crossing_phase(row, path, bankruptcy, rates * scale, side)
    event["crossed_step"], event["crossed_round"] = path["step"][at], path["round"][at]
    event["parent"], event["reason"] = proximate_parent(at, path, flow, bankruptcy, rates * scale, side, kernel,
                                               record.step_seconds)
    share_distance(event, at, path, flow, record, twin_mark, bankruptcy, rates * scale, kernel, events)
