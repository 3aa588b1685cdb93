"""Experiments on the calm market: quiet paths, metaorders, sudden orders and round trips, paired by seed."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.agents.background import SCRIPTED
from spirals.simulation.state import FIRST_ROW, STEP

__all__ = [
    "DAY_SECONDS", "LIQUIDATION_SCENARIO", "Design", "Market", "calm_paths", "half_life", "liquidated_per_day",
    "mean_and_error", "metaorders", "refill", "return_facts", "round_trips",
]

DAY_SECONDS = 86400
WARM_UP = 300            # [s] left out of every path
METAORDER_SECONDS = 60   # length of a metaorder
EPISODE_SECONDS = 900    # from one scripted order to the next
FAR_LAG = 10 * METAORDER_SECONDS
REFILL_LAGS = (0, 1, 2, 3, 5, 10, 20, 30, 60)    # [s] after the second of a sudden order
SUDDEN = 1.0             # size of a sudden order [x mean depth within 10 bp]
ROUND_TRIPS = ((60, 60), (20, 120), (120, 20))   # [s] of buying and of selling
ROUND_TRIP_SIZE = 2.0    # [x mean depth within 10 bp]
LIQUIDATION_SCENARIO = "calm-2019"   # venue and time of the figures that liquidations of a day stand beside
LIQUIDATION_DAYS = 8     # days per seed of a design: a day with a trend decides the mean
LIQUIDATION_STEP = 10    # [s] step of these days
BAND_BP = (10.0, 50.0, 100.0)                    # of the recorded depth

Estimate = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Design:
    """How much is run.

    Attributes
    ----------
    seeds : int
        Seeds of quiet paths; each draws population, flow and outside price.
    hours : float
        Length of a quiet path. Liquidations per day are measured when it is at least a day, over one day.
    episodes : int
        Scripted orders per size, in one run each, sides in turn.
    sizes : tuple of float
        Sizes of metaorders, x mean depth within 10 bp.
    """

    seeds: int
    hours: float
    episodes: int
    sizes: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Market:
    """The calm scenario with another depth, as the class with its defaults, and other inputs.

    Liquidations are measured on the scenario ``LIQUIDATION_SCENARIO`` with the same changes.

    Attributes
    ----------
    depth : str
        Name of a class of the slot `Depth`; empty: the scenario's own.
    changes : tuple of str
        ``PATH=VALUE``, as of ``spirals run -s``.
    """

    depth: str = ""
    changes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class _Run:
    steps: NDArray[Any]
    trades: NDArray[Any]
    trade_steps: NDArray[np.int64]
    record: Any
    lot_size: float
    tick_size: float


def mean_and_error(values: Sequence[float] | NDArray[np.float64]) -> Estimate:
    """Return mean and standard error of the mean; NaN without an error."""
    told = np.asarray(values, np.float64)
    told = told[np.isfinite(told)]
    if not len(told):
        return math.nan, math.nan
    return float(told.mean()), float(told.std(ddof=1) / math.sqrt(len(told))) if len(told) > 1 else math.nan


def return_facts(returns: NDArray[np.float64]) -> dict[str, float]:
    """Return excess kurtosis and the autocorrelations of returns (lag 1) and of their size (lags 1, 10)."""
    away = returns - returns.mean()
    variance = float((away**2).mean())
    size = np.abs(returns)
    return {
        "return_acf_1": _autocorrelation(returns, 1), "absolute_acf_1": _autocorrelation(size, 1),
        "absolute_acf_10": _autocorrelation(size, 10),
        "excess_kurtosis": float((away**4).mean() / variance**2 - 3.0) if variance > 0 else math.nan,
    }


def _autocorrelation(values: NDArray[np.float64], lag: int) -> float:
    away = values - values.mean()
    total = float((away**2).sum())
    return float((away[:-lag] * away[lag:]).sum() / total) if total > 0 and len(values) > lag else math.nan


def calm_paths(market: Market, design: Design) -> dict[str, Estimate]:
    """Return spread, depth, returns and liquidations of quiet paths, mean and error over seeds."""
    each = [_path_moments(_run(market, seed, round(design.hours * 3600), ())) for seed in range(design.seeds)]
    return {name: mean_and_error([moments[name] for moments in each]) for name in each[0]}


def _path_moments(run: _Run) -> dict[str, float]:
    steps = run.steps[WARM_UP:]
    depth = 0.5 * (steps["depth_bid"] + steps["depth_ask"]).mean(axis=0)
    minutes = np.diff(np.log(steps["mid"][::60]))
    index = np.diff(np.log(steps["index"][::60]))
    found = {
        "quoted_spread_median": float(np.nanmedian(steps["spread"] / steps["mid"])) * 1e4,
        "depth_exponent": float(np.polyfit(np.log(BAND_BP), np.log(depth), 1)[0]),
        "depth_10bp_share_of_1pct": float(depth[0] / depth[2]),
        "mid_to_index_volatility": float(minutes.std() / index.std()),
        **{f"minute_{name}": value for name, value in return_facts(minutes).items()},
        **_spreads(run),
    }
    return found


def _spreads(run: _Run) -> dict[str, float]:
    """Effective spread, and what is left of it after 5 s [bp]: mean over market orders, each against the mid before it.

    The mid is known at the ends of steps only: the part of a step before the order is in the effective spread.
    """
    middle = np.log(run.steps["mid"]) * 1e4
    keep = (run.trade_steps > WARM_UP) & (run.trade_steps < len(middle) - 5)
    trades, step = run.trades[keep], run.trade_steps[keep]
    new = (np.diff(step) != 0) | (np.diff(trades["taker_order"]) != 0)
    starts = np.flatnonzero(np.r_[True, new])
    lots = np.add.reduceat(trades["lots"], starts)
    worth = np.add.reduceat(trades["lots"] * trades["price_ticks"].astype(np.int64), starts)
    side, at = trades["side"][starts].astype(np.float64), step[starts]
    price = np.log(worth / lots * run.tick_size) * 1e4
    return {"effective_spread": float((2.0 * side * (price - middle[at - 1])).mean()),
            "realised_spread_5s": float((2.0 * side * (price - middle[at + 5])).mean())}


def liquidated_per_day(market: Market, design: Design) -> dict[str, Estimate]:
    """Return what liquidation closes in a day of `LIQUIDATION_SCENARIO`, mean and error over days; {} if hours < 24.

    Quantity over the opening longs and over the opening shorts, as the source counts it (share of what is outstanding);
    ``LIQUIDATION_DAYS * design.seeds`` days in steps of ``LIQUIDATION_STEP`` seconds.
    """
    if design.hours * 3600 < DAY_SECONDS:
        return {}
    coarse = dataclasses.replace(market, changes=(*market.changes, f"step_seconds={LIQUIDATION_STEP}"))
    steps = DAY_SECONDS // LIQUIDATION_STEP
    each = [_liquidated(_run(coarse, seed, steps, (), LIQUIDATION_SCENARIO).record)
            for seed in range(LIQUIDATION_DAYS * design.seeds)]
    return {name: mean_and_error([found[name] for found in each]) for name in each[0]}


def _liquidated(record: Any) -> dict[str, float]:
    """Quantity that liquidation closed in a day, over the opening longs and over the opening shorts."""
    filled = record.liquidations["filled_lots"]
    opening = float(record.opening_open_interest_lots.sum())
    return {"longs_liquidated_per_day": float(-filled[filled < 0].sum()) / opening,
            "shorts_liquidated_per_day": float(filled[filled > 0].sum()) / opening}


def metaorders(market: Market, design: Design) -> dict[str, Estimate]:
    """Return exponent and prefactor of the impact of metaorders and what is left of it after ten times their length.

    A metaorder is even scripted flow over a minute. Its impact is the difference of the log mid from the same seed
    without it, at its end. The exponent is the slope of log mean impact in log size, its error from
    resampled episodes; the prefactor is ``I / (sigma sqrt(Q / V))`` with daily volatility and turnover of the run
    without orders, at the middle size.
    """
    base, near = _base(market, design.episodes)
    peaks, left = [], []
    for size in design.sizes:
        pace = size * near / METAORDER_SECONDS
        run = _run(market, 0, len(base.steps) - 1,
                   tuple((at, METAORDER_SECONDS, side * pace) for at, side in _episodes(design.episodes)))
        move = (np.log(run.steps["mid"]) - np.log(base.steps["mid"])) * 1e4
        at = np.array([start for start, _ in _episodes(design.episodes)])
        sides = np.array([side for _, side in _episodes(design.episodes)])
        before = move[at]
        peaks.append(sides * (move[at + METAORDER_SECONDS] - before))
        left.append(sides * (_smooth(move, at + METAORDER_SECONDS + FAR_LAG) - before))
    peak, rest = np.array(peaks), np.array(left)
    generator = np.random.default_rng(0)
    draws = [generator.integers(0, design.episodes, design.episodes) for _ in range(200)]
    middle = len(design.sizes) // 2
    scale = _sigma_root(base, design.sizes[middle] * near)
    share = float(rest.mean() / peak.mean())
    return {
        "metaorder_exponent": (_exponent(design.sizes, peak.mean(axis=1)),
                               _deviation([_exponent(design.sizes, peak[:, d].mean(axis=1)) for d in draws])),
        "metaorder_prefactor": tuple(value / scale for value in mean_and_error(peak[middle])),  # type: ignore[dict-item]
        "metaorder_left_after_10x": (share, _deviation([float(rest[:, d].mean() / peak[:, d].mean()) for d in draws])),
    }


def _exponent(sizes: Sequence[float], impact: NDArray[np.float64]) -> float:
    keep = impact > 0
    if keep.sum() < 2:
        return math.nan
    return float(np.polyfit(np.log(np.array(sizes)[keep]), np.log(impact[keep]), 1)[0])


def _deviation(values: Sequence[float]) -> float:
    told = [value for value in values if math.isfinite(value)]
    return float(np.std(told, ddof=1)) if len(told) > 1 else math.nan


def _smooth(values: NDArray[np.float64], at: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean over the half minute before each place: the late difference is mostly noise of the touch."""
    return np.array([values[place - 30 : place].mean() for place in at])


def _sigma_root(base: _Run, notional: float) -> float:
    """Return ``sigma sqrt(Q / V)`` [bp] with daily volatility (minutes) and turnover of the book."""
    minutes = np.diff(np.log(base.steps["mid"][WARM_UP::60]))
    seconds = len(base.steps) - WARM_UP
    turnover = float((base.steps["traded_lots"] * base.lot_size * base.steps["mid"])[WARM_UP:].sum())
    volume = turnover * DAY_SECONDS / seconds
    return float(minutes.std()) * math.sqrt(1440.0) * 1e4 * math.sqrt(notional / volume)


def refill(market: Market, design: Design) -> dict[str, Estimate]:
    """Return how depth within 10 bp comes back on the side that a sudden order has hit.

    The order is as large as the mean depth within 10 bp and takes one second. Depth is divided by the same second of
    the run without it; the half-life is where half of the gap that the second leaves has closed, by straight lines
    between the lags, of the mean over episodes; its error from resampled episodes.
    """
    base, near = _base(market, design.episodes)
    run = _run(market, 0, len(base.steps) - 1, tuple((at, 1, side * SUDDEN * near) for at, side in
                                                    _episodes(design.episodes)))
    paths = []
    for at, side in _episodes(design.episodes):
        column = "depth_ask" if side > 0 else "depth_bid"
        rows = at + 1 + np.array(REFILL_LAGS)
        paths.append(np.stack([run.steps[column][rows, 0], base.steps[column][rows, 0]]))
    both = np.array(paths)
    generator = np.random.default_rng(0)
    draws = [generator.integers(0, design.episodes, design.episodes) for _ in range(200)]

    def ratio(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(both[rows, 0].mean(axis=0) / both[rows, 1].mean(axis=0))

    whole = ratio(np.arange(design.episodes))
    return {
        "refill_half_life": (half_life(whole), _deviation([half_life(ratio(d)) for d in draws])),
        "refill_after_60s": (float(whole[-1]), _deviation([float(ratio(d)[-1]) for d in draws])),
    }


def half_life(ratio: NDArray[np.float64]) -> float:
    """Return the time [s] at which half of the first gap has closed; NaN without a gap or a closure."""
    gap = 1.0 - ratio
    if gap[0] <= 0:
        return math.nan
    for k in range(1, len(gap)):
        if gap[k] <= 0.5 * gap[0]:
            part = (gap[k - 1] - 0.5 * gap[0]) / (gap[k - 1] - gap[k])
            return float(REFILL_LAGS[k - 1] + part * (REFILL_LAGS[k] - REFILL_LAGS[k - 1]))
    return math.nan


def round_trips(market: Market, design: Design) -> dict[str, Estimate]:
    """Return what a round trip of scripted orders earns [bp of notional], the best of three paces.

    Fees are not counted. The best of three is chosen by its mean, which is biased upward.
    """
    base, near = _base(market, design.episodes)
    best: Estimate = (-math.inf, math.nan)
    for buying, selling in ROUND_TRIPS:
        notional = ROUND_TRIP_SIZE * near
        legs = []
        for at, side in _episodes(design.episodes):
            legs += [(at, buying, side * notional / buying), (at + buying, selling, -side * notional / selling)]
        run = _run(market, 0, len(base.steps) - 1, tuple(legs))
        earned = mean_and_error([_earned(run, base, at, at + buying + selling) for at, _ in _episodes(design.episodes)])
        best = max(best, earned, key=lambda estimate: estimate[0])
    return {"round_trip_earns": best}


def _earned(run: _Run, base: _Run, start: int, stop: int) -> float:
    """Return what the scripted orders of steps start + 1 .. stop earn over half the notional they traded [bp].

    Prices are taken against the mid of the run without them at the end of the same step, which costs nothing on
    average and removes the moves of the outside price from the noise.
    """
    mine = (run.trade_steps > start) & (run.trade_steps <= stop) & _scripted(run.trades)
    signed = run.trades["side"][mine].astype(np.int64) * run.trades["lots"][mine] * run.lot_size
    price = run.trades["price_ticks"][mine] * run.tick_size
    gain = -float((signed * (price - base.steps["mid"][run.trade_steps[mine]])).sum())
    traded = float(np.abs(signed * price).sum())
    return 2e4 * gain / traded if traded > 0 else math.nan


def _scripted(trades: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell the trades of scripted flow: its row, and the even arrival times that no random order has."""
    times = [int((k + 0.5) / SCRIPTED * 1e6) for k in range(SCRIPTED)]
    return np.asarray((trades["taker"] == FIRST_ROW) & np.isin(trades["arrival"], times))


def _episodes(count: int) -> list[tuple[int, int]]:
    """Return start [steps] and side of the scripted orders, sides in turn."""
    return [(WARM_UP + k * EPISODE_SECONDS, 1 if k % 2 else -1) for k in range(count)]


@functools.lru_cache(maxsize=2)
def _base(market: Market, episodes: int) -> tuple[_Run, float]:
    """Return the run without orders and its mean depth within 10 bp [quote, one side]."""
    base = _run(market, 0, WARM_UP + episodes * EPISODE_SECONDS, ())
    near = 0.5 * (base.steps["depth_bid"] + base.steps["depth_ask"])[WARM_UP:, 0]
    return base, float(near.mean())


def _run(
    market: Market, seed: int, steps: int, flow: tuple[tuple[int, int, float], ...], name: str = "calm"
) -> _Run:
    """Run a market with scripted flow (start [s], duration [s], signed quote per s)."""
    from spirals.agents.model import SpiralModel
    from spirals.scenarios.inputs.loader import load_scenario
    from spirals.simulation.market import depth as depths
    from spirals.simulation.market.shocks import OrderFlow

    scenario = load_scenario(name, list(market.changes))
    if market.depth:
        scenario = dataclasses.replace(scenario, depth=getattr(depths, market.depth)())
    shocks = tuple(OrderFlow(at=float(at), duration=float(duration), notional_per_second=abs(pace),
                             side="buy" if pace > 0 else "sell") for at, duration, pace in flow)
    model = SpiralModel(setup=dataclasses.replace(scenario, steps=steps, shocks=shocks), rng=seed, collect_every=0,
                        trades=True)
    model.run()
    recorder = model.core.recorder
    assert recorder.steps.dtype == STEP
    found = np.array(recorder.trade_steps, np.int64).reshape(-1, 2)
    instrument = scenario.instruments[0]
    return _Run(recorder.steps[:, 0], recorder.trades.rows, np.repeat(found[:, 0], found[:, 1]), model.core.record(),
                instrument.lot_size, instrument.tick_size)
