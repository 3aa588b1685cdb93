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

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spirals.simulation.measures.record import RunRecord, Series
from spirals.simulation.phase_log import BEFORE_TRADING
from spirals.simulation.state import Cause

__all__ = ["EVENT", "Genealogy", "ImpactKernel", "fit_impact", "genealogy", "thresholds"]

NO_PARENT = -1
ROOT, FROM_MARGIN, FROM_FLOW = 0, 1, 2   # why an event without parent was crossed: shock, rate, voluntary flow
SAME, EARLIER, EXTRA = range(3)
HALF_LIVES = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0)   # [s] tried for the decay of impact
FORCED = (Cause.CALL_RESPONSE, Cause.LEVERAGE_TARGET, Cause.STOP_LOSS, Cause.ADL_HEDGE)

EVENT = np.dtype([                  # one row per liquidation event (closure of one account)
    ("event", "i8"), ("account", "i4"), ("instrument", "i4"), ("side", "i4"),   # side: 1 long, -1 short
    ("step", "i4"), ("round", "i4"),        # of its first order
    ("crossed_step", "i4"), ("crossed_round", "i4"),   # of the phase that crossed the threshold
    ("parent", "i8"),               # event, -1 when none
    ("reason", "i4"),               # without parent: 0 shock, 1 margin rate, 2 other flow
    ("generation", "i4"), ("tree", "i8"),    # 0 for a root; tree: event of the root
    ("notional", "f8"),             # [quote] executed for the event
    ("threshold", "f8"),            # [quote] mark at which it was due
    ("shock", "f8"), ("liquidations", "f8"), ("other_forced", "f8"), ("margin", "f8"), ("own", "f8"),   # shares
    ("offspring", "f8"),            # sum of the shares that later events give to it
    ("but_for", "i4"),              # 0 same, 1 earlier, 2 extra
    ("pad", "i4"),
])


@dataclasses.dataclass(frozen=True)
class ImpactKernel:
    """Fitted response of the log mark to forced flow: ``(permanent + transient 2^(-t / half_life))`` per quote.

    Attributes
    ----------
    permanent, transient : float
        [log price per quote], not negative.
    half_life : float
        [s]
    explained : float
        [fraction] Of the variance of the difference between run and twin.
    """

    permanent: float
    transient: float
    half_life: float
    explained: float

    def __call__(self, seconds: Series) -> Series:
        """Return what is left of a unit of impact after `seconds`."""
        return np.asarray(self.permanent + self.transient * np.exp2(-seconds / self.half_life))


@dataclasses.dataclass(frozen=True)
class Genealogy:
    """The family tree of a run's liquidations.

    Attributes
    ----------
    events : ndarray, EVENT
        In order of their first orders.
    averted : int
        Accounts that are liquidated in the twin only.
    kernel : ImpactKernel
        With which the surviving impact is shared out over earlier orders.
    """

    events: NDArray[Any]
    averted: int
    kernel: ImpactKernel

    @property
    def proximate_ratio(self) -> float:
        """Share of events with a parent: mean number of children of an event [ratio]; NaN without events."""
        return float((self.events["parent"] >= 0).mean()) if len(self.events) else math.nan

    @property
    def fractional_ratio(self) -> float:
        """Mean share of an event that earlier liquidations caused [ratio]; NaN without events."""
        return math.fsum(self.events["liquidations"]) / len(self.events) if len(self.events) else math.nan

    @property
    def but_for_ratio(self) -> float:
        """Share of events that would not be there without impact: (N - N of the twin) / N [ratio]."""
        n = len(self.events)
        extra = int((self.events["but_for"] == EXTRA).sum())
        return (extra - self.averted) / n if n else math.nan

    def generations(self) -> NDArray[np.int64]:
        """Number of events per generation, from the roots on."""
        return np.bincount(self.events["generation"]) if len(self.events) else np.zeros(0, np.int64)

    def generation_ratios(self) -> Series:
        """Events of each generation over those of the one before [ratio]."""
        counts = self.generations().astype(np.float64)
        return counts[1:] / counts[:-1]

    def tree_sizes(self) -> NDArray[np.int64]:
        """Events per tree, largest first."""
        _, counts = np.unique(self.events["tree"], return_counts=True)
        return np.sort(counts)[::-1]

    def path_ratio(self, step_seconds: float, window_seconds: float = 60.0, floor: float = 0.01) -> float:
        """Return the largest branching ratio along the path: share of liquidated notional with a parent in a window.

        Parameters
        ----------
        step_seconds, window_seconds : float
            [s]
        floor : float
            Windows with less than this share of the run's liquidated notional are immaterial and left out.
        """
        rows = self.events
        if not len(rows):
            return math.nan
        place = (rows["step"] * step_seconds // window_seconds).astype(np.int64)
        all_ = np.bincount(place, rows["notional"])
        born = np.bincount(place, rows["notional"] * (rows["parent"] >= 0), minlength=len(all_))
        material = all_ > floor * all_.sum()
        return float((born[material] / all_[material]).max()) if material.any() else math.nan


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


def fit_impact(difference: Series, flow: Series, step_seconds: float) -> ImpactKernel:
    """Fit what run less twin of the log mark keeps of signed forced flow: least squares, decay from a grid.

    Parameters
    ----------
    difference : ndarray of shape (n_steps + 1,)
        [log price] Log mark of the run less that of the twin.
    flow : ndarray of shape (n_steps + 1,)
        [quote] Signed forced flow of each step, buys positive.
    step_seconds : float
        [s]
    """
    total = float(np.dot(difference, difference))
    best = ImpactKernel(0.0, 0.0, HALF_LIVES[0], 0.0)
    if total == 0.0 or not flow.any():
        return best
    left = math.inf
    for half_life in HALF_LIVES:
        columns = np.stack([np.cumsum(flow), _decayed(flow, 2.0 ** (-step_seconds / half_life))], axis=1)
        scale = np.abs(columns).max(axis=0)
        scale[scale == 0.0] = 1.0
        weights, residual = _nonnegative(columns / scale, difference)
        if residual < left:
            left = residual
            best = ImpactKernel(float(weights[0] / scale[0]), float(weights[1] / scale[1]), half_life,
                                1.0 - residual / total)
    return best


def _decayed(flow: Series, keep: float) -> Series:
    found = np.empty_like(flow)
    level = 0.0
    for place, value in enumerate(flow.tolist()):
        level = level * keep + value
        found[place] = level
    return found


def _nonnegative(columns: Series, wanted: Series) -> tuple[Series, float]:
    from scipy.optimize import nnls

    weights, norm = nnls(columns, wanted)
    return weights, float(norm) ** 2


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
    rows = _first_orders(record)
    events = np.zeros(len(rows), EVENT)
    for name in ("event", "account", "instrument", "step", "round"):
        events[name] = rows[name]
    events["side"] = -np.sign(rows["lots"])
    events["parent"] = NO_PARENT
    events["notional"] = _event_notional(record, events["event"])
    kernel = ImpactKernel(0.0, 0.0, HALF_LIVES[0], 0.0)
    for i in range(len(record.instruments)):
        mine = np.flatnonzero(events["instrument"] == i)
        path = phases[phases["instrument"] == i]
        pick = trades["instrument"] == i
        flow = _Flow(trades[pick], trade_steps[pick], record, i)
        twin_here = np.ascontiguousarray(twin_mark[:, i])
        fitted = fit_impact(np.log(record.price("mark", i) / twin.price("mark", i)), flow.per_step,
                            record.step_seconds)
        kernel = fitted if i == 0 else kernel
        for k in mine:
            _trace(events[k], rows[k], path, flow, record, twin_here, fitted, events)
    _grow(events)
    averted = _but_for(events, rows, twin)
    return Genealogy(events, averted, kernel)


def _first_orders(record: RunRecord) -> NDArray[Any]:
    rows = record.liquidations
    _, first = np.unique(rows["event"], return_index=True)
    return np.asarray(rows[np.sort(first)])


def _event_notional(record: RunRecord, events: NDArray[np.int64]) -> Series:
    notional = np.zeros(int(record.liquidations["event"].max(initial=-1)) + 1)
    np.add.at(notional, record.liquidations["event"], record.liquidations["notional"])
    return np.asarray(notional[events])


class _Flow:
    """Forced trades of one instrument: per step, and per step and round for each liquidation event."""

    def __init__(self, trades: NDArray[Any], steps: NDArray[np.int64], record: RunRecord, instrument: int) -> None:
        one = record.instruments[instrument]
        liquidating = trades["taker_cause"] == Cause.LIQUIDATION
        forced = liquidating | np.isin(trades["taker_cause"], FORCED)
        lots = trades["lots"] * trades["side"].astype(np.float64)
        notional = lots * trades["price_ticks"] * one.tick_size * one.lot_size
        self.per_step: Series = np.zeros(len(record.steps))
        np.add.at(self.per_step, steps[forced], notional[forced])
        self.event = trades["taker_event"][liquidating]
        self.step = steps[liquidating]
        self.round = trades["round"][liquidating]
        self.notional = notional[liquidating]
        other = forced & ~liquidating
        self.other_step, self.other_notional = steps[other], notional[other]

    def mover(self, step: int, round_: int, sign: int) -> int:
        """Return the event that traded most in a phase in the direction `sign`; -1 when none did."""
        here = (self.step == step) & (self.round == round_) & (np.sign(self.notional) == sign)
        if not here.any():
            return NO_PARENT
        events, place = np.unique(self.event[here], return_inverse=True)
        return int(events[np.bincount(place, np.abs(self.notional[here])).argmax()])


def _trace(event: Any, row: Any, path: NDArray[Any], flow: _Flow, record: RunRecord, twin_mark: Series,
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
    at = _crossing(row, path, bankruptcy, rates * scale, side)
    event["crossed_step"], event["crossed_round"] = path["step"][at], path["round"][at]
    event["parent"], event["reason"] = _parent(at, path, flow, bankruptcy, rates * scale, side, kernel,
                                               record.step_seconds)
    _shares(event, at, path, flow, record, twin_mark, bankruptcy, rates * scale, kernel, events)


def _crossing(row: Any, path: NDArray[Any], bankruptcy: float, rates: Series, side: int) -> int:
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


def _parent(at: int, path: NDArray[Any], flow: _Flow, bankruptcy: float, rates: Series, side: int,
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


def _shares(event: Any, at: int, path: NDArray[Any], flow: _Flow, record: RunRecord, twin_mark: Series,
            bankruptcy: float, rates: Series, kernel: ImpactKernel, events: NDArray[Any]) -> None:
    """Share out the consumed distance: shock + impact + margin rate = 1, or own = 1 where these consumed none."""
    step, side = int(path["step"][at]), int(event["side"])
    mark = record.price("mark", int(event["instrument"]))
    consumed_shock = side * math.log(twin_mark[0] / twin_mark[step])
    consumed_impact = side * math.log(mark[0] / path["mark"][at]) - consumed_shock
    consumed_margin = side * math.log((1.0 - side * rates[0]) / (1.0 - side * rates[step]))
    total = consumed_shock + consumed_impact + consumed_margin
    if total <= 0.0:   # already below at the opening mark, or moved by its own trades only
        event["own"] = 1.0
        return
    event["shock"], event["margin"] = consumed_shock / total, consumed_margin / total
    sold = flow.step < step
    if path["round"][at] != BEFORE_TRADING:
        sold |= (flow.step == step) & (flow.round <= path["round"][at])
    others = flow.other_step <= step
    left = -side * flow.notional[sold] * kernel((step - flow.step[sold]) * record.step_seconds)
    other = -side * flow.other_notional[others] * kernel((step - flow.other_step[others]) * record.step_seconds)
    weight = float(left.sum() + other.sum())
    impact = consumed_impact / total
    if weight <= 0.0:   # nobody to give it to: noise of the twin comparison
        event["shock"] += impact
        return
    event["liquidations"] = impact * float(left.sum()) / weight
    event["other_forced"] = impact * float(other.sum()) / weight
    places = np.searchsorted(events["event"], flow.event[sold])
    np.add.at(events["offspring"], places, impact * left / weight)


def _grow(events: NDArray[Any]) -> None:
    """Fill generations and trees; parents come before their children."""
    place = {int(event): k for k, event in enumerate(events["event"])}
    for row in events:
        parent = place.get(int(row["parent"]))
        if parent is None or events[parent]["event"] == row["event"]:
            row["parent"], row["generation"], row["tree"] = NO_PARENT, 0, row["event"]
        else:
            row["generation"] = events[parent]["generation"] + 1
            row["tree"] = events[parent]["tree"]


def _but_for(events: NDArray[Any], rows: NDArray[Any], twin: RunRecord) -> int:
    """Fill the but-for flags; return the number of accounts that fall only in the twin."""
    there: dict[int, list[int]] = {}
    for row in _first_orders(twin):
        there.setdefault(int(row["account"]), []).append(int(row["step"]))
    seen: dict[int, int] = {}
    for event, row in zip(events, rows, strict=True):
        account = int(row["account"])
        turn = seen.get(account, 0)
        seen[account] = turn + 1
        steps = there.get(account, [])
        if turn >= len(steps):
            event["but_for"] = EXTRA
        else:
            event["but_for"] = EARLIER if row["step"] < steps[turn] else SAME
    return sum(max(0, len(steps) - seen.get(account, 0)) for account, steps in there.items())
