"""Moments of a crash: what its minute bars say about the order flow, and the same figures from a simulation.

The price path itself carries no information on amplification (path sufficiency): it is matched by construction,
through :mod:`spirals.scenarios.calibration.deconvolution`. What is left of a bar is its traded volume and the part
that takers bought. All moments but one are free of scale (shares, ratios, slopes), so that they can be held against a
venue whose open interest is not known; turnover is scored only where open interest and volume are of the same venue.

Windows come from the observed prices alone: *calm* until the price has fallen by a tenth of the leg, *fall* from
there to the bar of the low, *after* from there on. A simulation is read in the same minutes. The error of an observed
moment is the delete-one-bar jackknife (Efron and Stein 1981), or comes with a published figure as a band.
"""

import csv
import dataclasses
import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.errors import InputError
from spirals.simulation.market.bars import Bars, load_bars
from spirals.simulation.market.historical_bars import HistoricalBars, bars_in_rows
from spirals.simulation.measures.liquidity import book_depth, depth_left
from spirals.simulation.state import BUY

if TYPE_CHECKING:
    from spirals.scenarios.inputs.scenario import Scenario
    from spirals.simulation.measures.record import RunRecord

__all__ = [
    "EventMoment", "FlowBars", "Windows", "bar_moments", "event_bars", "jackknife_errors", "load_flow_bars",
    "path_moments", "simulated_bars", "simulated_moments", "summary", "windows",
]

FLOW_COLUMNS = ("volume", "taker_buy_volume")
ONSET = 0.1          # the fall begins when this part of it is behind
FEWEST_BARS = 2      # in each window
POOLED = ("volume_on_range", "return_on_flow", "bar_range")    # over all bars, whatever their window
LEAST_VOLUME = 1e-9  # relative to the mean: keeps the logarithm of a bar without trades finite


@dataclasses.dataclass(frozen=True)
class EventMoment:
    """One observed figure of an event.

    Attributes
    ----------
    name, unit : str
    observed : float
    error : float
        Standard error of `observed`; for a published band its width over the square root of twelve.
    use : {"fitted", "checked", "construction"}
        Fitted; predicted without being fitted; or matched because the path was solved for it, hence no evidence.
    source : str
    match : str
        Whether venue, leg and window are those of the simulation, and where they are not.
    """

    name: str
    unit: str
    observed: float
    error: float
    use: str
    source: str
    match: str


@dataclasses.dataclass(frozen=True)
class FlowBars:
    """Bars of trades with their flow.

    Attributes
    ----------
    price : ndarray of shape (n_bars, 4), float64
        [quote] Open, high, low, close.
    volume, bought : ndarray of shape (n_bars,), float64
        [base] Traded, and the part in which the buyer was the taker.
    """

    price: NDArray[np.float64]
    volume: NDArray[np.float64]
    bought: NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Windows:
    """Bars before the fall, in it, after it: first bar of the fall, first one after it, number of bars."""

    fall: int
    after: int
    stop: int

    def masks(self) -> dict[str, NDArray[np.bool_]]:
        rows = np.arange(self.stop)
        inside = (rows >= self.fall) & (rows < self.after)
        return {"calm": rows < self.fall, "fall": inside, "after": rows >= self.after}


def windows(price: NDArray[np.float64]) -> Windows:
    """Return the windows of bars (n_bars, 4); raises InputError when one has fewer than two bars."""
    low = int(price[:, 2].argmin())
    peak = float(price[: low + 1, 1].max())
    onset = peak * math.exp(-ONSET * math.log(peak / float(price[low, 2])))
    first = int(np.argmax(price[:, 2] <= onset))
    found = Windows(first, low + 1, len(price))
    short = [f"{name} {int(mask.sum())}" for name, mask in found.masks().items() if mask.sum() < FEWEST_BARS]
    if short:
        raise InputError([f"bars of the event must show at least {FEWEST_BARS} bars before the fall, in it and after "
                          f"it, had {', '.join(short)}"])
    return found


def load_flow_bars(path: str | Path) -> tuple[Bars, FlowBars]:
    """Return bars and flow of a CSV file; raises InputError with every problem of prices, times and flow."""
    found: list[str] = []
    bars = None
    try:
        bars = load_bars(path)
    except InputError as error:
        found += error.problems
    flow = np.empty((0, 2))
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            missing = [name for name in FLOW_COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                found.append(f"{path}: columns must include {', '.join(FLOW_COLUMNS)} to be fitted; missing "
                             f"{', '.join(missing)}")
            else:
                flow = np.array([[_number(row[name]) for name in FLOW_COLUMNS] for row in reader]).reshape(-1, 2)
    except (OSError, UnicodeDecodeError, csv.Error):
        pass    # told by load_bars
    wrong = np.flatnonzero(~((flow[:, 0] >= 0.0) & (flow[:, 1] >= 0.0) & (flow[:, 1] <= flow[:, 0])
                             & np.isfinite(flow[:, 0])))
    if len(wrong):
        found.append(f"{path}: volume and taker_buy_volume must be numbers with 0 <= taker_buy_volume <= volume, "
                     f"were not in {len(wrong)} lines, the first is line {wrong[0] + 2}")
    if found or bars is None:
        raise InputError(found)
    return bars, FlowBars(bars.price, flow[:, 0], flow[:, 1])


def event_bars(scenario: "Scenario") -> tuple[FlowBars, NDArray[np.int64]]:
    """Return the bars that a scenario's run covers, and its first row in each (one more: where the last ends).

    Raises
    ------
    InputError
        No ``HistoricalBars`` of one file, fewer than four steps in a bar, or a file at fault.
    """
    from spirals.simulation.market.data_files import resolve_data_file

    world = scenario.outside_world
    if not isinstance(world, HistoricalBars) or len(world.files) != 1:
        raise InputError([f"outside_world must be HistoricalBars of one file, was {type(world).__name__}"])
    whole, flow = load_flow_bars(resolve_data_file(world.files[0]))
    bars = world.bars()[0]
    shown, first = bars_in_rows(bars, scenario.step_seconds)
    if shown.n_bars != bars.n_bars:
        raise InputError([f"step_seconds must be at most a quarter of a bar ({bars.seconds:g} s) for an event fit, "
                          f"was {scenario.step_seconds:g}"])
    n_bars = int(np.searchsorted(first[:-1], scenario.steps))
    first = np.append(first[:n_bars], scenario.steps + 1)
    rows = np.searchsorted(whole.open_time_ms, bars.open_time_ms[:n_bars])
    return FlowBars(bars.price[:n_bars], flow.volume[rows], flow.bought[rows]), first


def bar_moments(
    bars: FlowBars, spans: Windows, kept: NDArray[np.bool_] | None = None, open_interest: float = math.nan
) -> dict[str, float]:
    """Return the moments of bars.

    Parameters
    ----------
    bars : FlowBars
    spans : Windows
    kept : ndarray of shape (n_bars,), bool, optional
        Bars that count; all by default.
    open_interest : float
        [base] Before the event, of the venue of the bars; NaN leaves the last two moments out.

    Returns
    -------
    dict of str to float
        ``net_sold_fall``, ``net_sold_after``: sold less bought by takers over volume. ``volume_surge``,
        ``volume_after``: log mean volume of the window over that of the calm. ``volume_on_range``: slope of log
        volume in log high/low over bars. ``return_on_flow``: slope of log close/open in the share of volume that
        takers bought net. ``bar_range``: mean log high/low. ``calm_turnover``: log volume of a bar before the fall over
        open interest. ``net_sold_per_percent``: net sold in the fall per log-% of it, over open interest.
    """
    kept = np.ones(len(bars.volume), bool) if kept is None else kept
    inside = {name: mask & kept for name, mask in spans.masks().items()}
    tiny = LEAST_VOLUME * max(float(bars.volume.mean()), LEAST_VOLUME)
    level = {name: math.log(float(bars.volume[mask].mean()) + tiny) for name, mask in inside.items()}
    traded = np.maximum(bars.volume, tiny)
    bought_net = (2.0 * bars.bought - bars.volume) / traded
    width = _logs(bars.price[:, 1] / bars.price[:, 2])
    moving = kept & (width > 0.0) & (bars.volume > 0.0)
    found = {
        "net_sold_fall": _net_sold(bars, inside["fall"], tiny),
        "net_sold_after": _net_sold(bars, inside["after"], tiny),
        "volume_surge": level["fall"] - level["calm"],
        "volume_after": level["after"] - level["calm"],
        "volume_on_range": _slope(_logs(width[moving]), _logs(traded[moving])),
        "return_on_flow": _slope(bought_net[kept], _logs(bars.price[:, 3] / bars.price[:, 0])[kept]),
        "bar_range": float(width[kept].mean()),
    }
    if math.isfinite(open_interest):
        found["calm_turnover"] = level["calm"] - math.log(open_interest)
        sold = float((bars.volume - 2.0 * bars.bought)[inside["fall"]].sum())
        sold *= int(spans.masks()["fall"].sum()) / int(inside["fall"].sum())
        found["net_sold_per_percent"] = sold / open_interest / _percent_fallen(bars, spans)
    return found


def jackknife_errors(bars: FlowBars, spans: Windows, open_interest: float = math.nan) -> dict[str, float]:
    """Return the jackknife standard error of every moment of :func:`bar_moments`, given the windows.

    One bar is left out at a time. Where a moment compares windows, deviations are taken within each:
    ``sqrt(sum_w (n_w - 1) / n_w sum_i (m_(i) - mean_w)^2)``; where it pools all bars, over all of them. For a mean
    this is its usual standard error.
    """
    rows = np.arange(len(bars.volume))
    left_out = [bar_moments(bars, spans, rows != bar, open_interest) for bar in rows]
    errors = {}
    for name in left_out[0]:
        values = np.array([row[name] for row in left_out])
        groups = [rows >= 0] if name in POOLED else list(spans.masks().values())
        errors[name] = math.sqrt(sum((len(part) - 1) / len(part) * float(((part - part.mean()) ** 2).sum())
                                     for part in (values[mask] for mask in groups)))
    return errors


def simulated_bars(
    record: "RunRecord", trades: NDArray[Any], trade_steps: NDArray[np.int64], first: NDArray[np.int64]
) -> FlowBars:
    """Return bars of the last price with the flow of a run.

    Parameters
    ----------
    record : RunRecord
        Of a market of one instrument.
    trades : ndarray, dtype TRADE
        All trades of the run in order.
    trade_steps : ndarray of shape (n_steps, 2), int64
        Step and number of its trades, in order of `trades`.
    first : ndarray of shape (n_bars + 1,), int64
        First row of each bar, as :func:`event_bars` gives it.
    """
    from spirals.scenarios.calibration.deconvolution import bars_from_path

    rows = len(record.steps)
    step = np.repeat(trade_steps[:, 0], trade_steps[:, 1]) if len(trade_steps) else np.zeros(0, np.int64)
    size = trades["lots"].astype(np.float64) * float(record.lot_sizes[0])
    volume = np.bincount(step, size, rows)
    bought = np.bincount(step, size * (trades["side"] == BUY), rows)
    spans = list(itertools.pairwise(first.tolist()))
    return FlowBars(
        bars_from_path(record.price("last"), first),
        np.array([volume[a:b].sum() for a, b in spans]), np.array([bought[a:b].sum() for a, b in spans]),
    )


def simulated_moments(
    record: "RunRecord", bars: FlowBars, spans: Windows, first: NDArray[np.int64]
) -> dict[str, float]:
    """Return every moment that an event may have, from one run; the names are those of :class:`EventMoment`.

    Beside :func:`bar_moments`: ``depth_left`` [fraction] and ``fall_beyond_outside`` [log, fall of the last price less
    that of the index, each from its own high to its own low up to the end of the fall]; ``fall`` and ``reversal``.
    """
    opening = float(record.opening_open_interest_lots[0]) * float(record.lot_sizes[0])
    found = bar_moments(bars, spans, open_interest=opening)
    found["depth_left"] = depth_left(book_depth(record, 2), record.step_seconds)
    end = int(first[spans.after])
    found["fall_beyond_outside"] = _leg(record.price("last")[:end]) - _leg(record.price("index")[:end])
    found.update(path_moments(bars, spans))
    return found


def path_moments(bars: FlowBars, spans: Windows) -> dict[str, float]:
    """Return fall to the low and reversal from it to the last close [log]: what the solved path reproduces."""
    peak = float(bars.price[: spans.after, 1].max())
    low = float(bars.price[: spans.after, 2].min())
    return {"fall": math.log(peak / low), "reversal": math.log(float(bars.price[-1, 3]) / low)}


def summary(rows: Sequence[dict[str, float]]) -> dict[str, tuple[float, float]]:
    """Return mean and standard error over seeds of every moment; the error is NaN for one seed."""
    n = len(rows)
    return {name: (float(np.mean([row[name] for row in rows])),
                   float(np.std([row[name] for row in rows], ddof=1)) / math.sqrt(n) if n > 1 else math.nan)
            for name in rows[0]}


def _percent_fallen(bars: FlowBars, spans: Windows) -> float:
    moved = math.log(float(bars.price[spans.fall - 1, 3]) / float(bars.price[: spans.after, 2].min()))
    return max(100.0 * moved, 1e-9)


def _net_sold(bars: FlowBars, mask: NDArray[np.bool_], tiny: float) -> float:
    return float((bars.volume - 2.0 * bars.bought)[mask].sum() / max(float(bars.volume[mask].sum()), tiny))


def _slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return the least-squares slope of y in x; 0 when x does not vary."""
    centred = x - x.mean() if len(x) else x
    spread = float((centred**2).sum())
    return float((centred * y).sum() / spread) if len(x) > 2 and spread > 0.0 else 0.0


def _leg(path: NDArray[np.float64]) -> float:
    """Return the largest log fall from a running peak."""
    known = path[np.isfinite(path)]
    return float(_logs(np.maximum.accumulate(known) / known).max())


def _logs(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([math.log(value) for value in values.tolist()])


def _number(text: str | None) -> float:
    try:
        return float(text) if text is not None else math.nan
    except ValueError:
        return math.nan
