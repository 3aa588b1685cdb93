"""Fit a depth model to an L2 stream: profile, spread, arrivals and cancellations, trades, refill, impact.

Every estimate comes with a standard error from blocks of time or from resampled events; all are
conditional on the recorded minutes. Definitions stand at the functions, units in the names.
"""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.scenarios.calibration.l2 import L2Stream, read_l2
from spirals.scenarios.calibration.l2_book import DISTANCES_BP, Replay, replay
from spirals.simulation.errors import InputError

__all__ = ["LAGS", "REFILL_LAGS", "BookFit", "fit_book", "fit_stream", "recovery_fit"]

BLOCK_SECONDS = 20.0
LEAST_SECONDS, LEAST_TRADES = 3 * BLOCK_SECONDS, 30
RESAMPLES = 200
LAGS = (0.1, 1.0, 5.0, 10.0, 30.0)                            # [s] of the response to a trade
REFILL_LAGS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)      # [s] after a large trade
REFILL_EVENTS = 20
APART_SECONDS = 3.0
FAST_GRID = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0)
SLOW_GRID = (5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0)
DELTA_GRID = np.arange(0.02, 2.0, 0.04)
TEN_BP = DISTANCES_BP.index(10.0)


@dataclasses.dataclass(frozen=True)
class BookFit:
    """Estimates of one stream; `values` and `errors` share their keys, `tables` hold one list per column.

    Attributes
    ----------
    values, errors : dict of str to float
        Estimates and standard errors (NaN where there is none). The unit ends the key.
    tables : dict of str to dict of str to list
        ``profile`` by distance, ``response`` and ``refill`` by lag, ``impact_by_size`` by size.
    about : dict
        File, symbol, seconds, counts, repairs.
    """

    values: dict[str, float]
    errors: dict[str, float]
    tables: dict[str, dict[str, list[float]]]
    about: dict[str, Any]


def fit_book(file: str | Path, *, repair: bool = False) -> BookFit:
    """Return the estimates of a file; see :func:`fit_stream`, and `read_l2` for `repair`.

    Raises
    ------
    InputError
        The file is at fault.
    """
    return fit_stream(read_l2(file, repair=repair), repair=repair)


def fit_stream(stream: L2Stream, *, repair: bool = False) -> BookFit:
    """Return the estimates of a stream.

    The profile is the time-weighted mean of each band between two distances, summed from the touch, mean of
    the sides. Its exponent is the slope of log notional in log distance.

    Raises
    ------
    InputError
        The stream is too short, or its book crosses (unless `repair`).
    """
    if stream.seconds < LEAST_SECONDS or len(stream.trades) < LEAST_TRADES or not len(stream.quotes):
        raise InputError([
            f"{stream.file}: must hold at least {LEAST_SECONDS:g} s of an unbroken book, {LEAST_TRADES} trades and "
            f"best quotes to be fitted, held {stream.seconds:g} s, {len(stream.trades)} and {len(stream.quotes)}"
        ])
    book = replay(stream, repair=repair)
    fit = _Estimates()
    _profile(book, fit)
    _spread(stream, fit)
    _flow(book, fit)
    orders = market_orders(stream)
    _trades(stream, book, orders, fit)
    _refill(book, orders, fit)
    _impact(stream, orders, fit)
    about = {
        "file": stream.file, "symbol": stream.symbol, "seconds": stream.seconds, "changes": len(stream.diff_ms),
        "quotes": len(stream.quotes), "trades": len(stream.trades), "market_orders": len(orders),
        "window_bp": [abs(math.log(price / book.mid[0])) * 1e4 for price in stream.window],
        "repairs": [*stream.repairs, *book.repairs],
    }
    return BookFit(fit.values, fit.errors, fit.tables, about)


class _Estimates:
    def __init__(self) -> None:
        self.values: dict[str, float] = {}
        self.errors: dict[str, float] = {}
        self.tables: dict[str, dict[str, list[float]]] = {}

    def add(self, name: str, value: float, error: float = math.nan) -> None:
        self.values[name], self.errors[name] = float(value), float(error)


def _profile(book: Replay, fit: _Estimates) -> None:
    bands, weights = book.bands, book.seconds
    block = ((book.time_ms - book.time_ms[0]) / 1e3 // BLOCK_SECONDS).astype(np.int64)
    n_blocks = int(block[-1]) + 1
    seen = np.isfinite(bands)
    shape = (n_blocks, *bands.shape[1:])
    held, time = np.zeros(shape), np.zeros(shape)
    np.add.at(held, block, np.where(seen, bands, 0.0) * weights[:, None, None])
    np.add.at(time, block, seen * weights[:, None, None])

    def cumulative(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        total, seconds = held[rows].sum(axis=0), time[rows].sum(axis=0)
        return np.cumsum(np.divide(total, seconds, out=np.zeros_like(total), where=seconds > 0), axis=1)

    both = cumulative(np.arange(n_blocks))
    generator = np.random.default_rng(0)
    drawn = [cumulative(generator.integers(0, n_blocks, n_blocks)) for _ in range(RESAMPLES)]
    mean, means = both.mean(axis=0), np.array([sample.mean(axis=0) for sample in drawn])
    fit.tables["profile"] = {
        "distance_bp": list(DISTANCES_BP), "bid_notional": both[0].tolist(), "ask_notional": both[1].tolist(),
        "notional": mean.tolist(), "standard_error": means.std(axis=0, ddof=1).tolist(),
        "bid_seconds": time.sum(axis=0)[0].tolist(), "ask_seconds": time.sum(axis=0)[1].tolist(),
    }
    slopes = [_slope(sample) for sample in means]
    exponent = _slope(mean)
    fit.add("depth_exponent", exponent, float(np.std(slopes, ddof=1)))
    edge = DISTANCES_BP[-1]
    far = mean[-1] * (100.0 / edge) ** exponent
    fars = [sample[-1] * (100.0 / edge) ** slope for sample, slope in zip(means, slopes, strict=True)]
    fit.add("depth_10bp_quote", mean[TEN_BP], means[:, TEN_BP].std(ddof=1))
    fit.add("depth_1pct_extrapolated_quote", far, float(np.std(fars, ddof=1)))
    fit.add("bid_share_10bp", both[0, TEN_BP] / both[:, TEN_BP].sum(),
            float(np.std([s[0, TEN_BP] / s[:, TEN_BP].sum() for s in drawn], ddof=1)))


def _slope(profile: NDArray[np.float64]) -> float:
    keep = profile > 0      # a wide spread leaves the nearest bands empty
    return float(np.polyfit(np.log(np.array(DISTANCES_BP)[keep]), np.log(profile[keep]), 1)[0])


def _spread(stream: L2Stream, fit: _Estimates) -> None:
    """Time-weighted quantiles of the quoted spread; the error of the mean from blocks."""
    quotes = stream.quotes
    seconds = np.diff(quotes["time_ms"], append=stream.diff_ms[-1]) / 1e3
    spread = np.log(quotes["ask"] / quotes["bid"]) * 1e4
    order = np.argsort(spread, kind="stable")
    passed = np.cumsum(seconds[order]) / seconds.sum()
    for name, level in (("median", 0.5), ("p99", 0.99)):
        fit.add(f"spread_{name}_bp", spread[order][min(np.searchsorted(passed, level), len(order) - 1)])
    mean, error = _block_mean(quotes["time_ms"], spread * seconds, seconds)
    fit.add("spread_mean_bp", mean, error)
    fit.add("spread_one_tick_share", seconds[np.rint((quotes["ask"] - quotes["bid"]) / stream.tick_size) == 1].sum()
            / seconds.sum())


def _block_mean(time_ms: NDArray[np.int64], totals: NDArray[np.float64],
                weights: NDArray[np.float64]) -> tuple[float, float]:
    """Return weighted mean and its standard error from blocks of time."""
    block = ((time_ms - time_ms[0]) / 1e3 // BLOCK_SECONDS).astype(np.int64)
    above, below = np.bincount(block, totals), np.bincount(block, weights)
    means = above[below > 0] / below[below > 0]
    error = means.std(ddof=1) / math.sqrt(len(means)) if len(means) > 1 else math.nan
    return float(above.sum() / below.sum()), float(error)


def _flow(book: Replay, fit: _Estimates) -> None:
    """Arrivals and cancellations per second and side by band; mean lifetime = resting / leaving (Little's law)."""
    bands, weight = book.bands, book.seconds[:, None, None]
    seen = np.isfinite(bands)
    held = (np.where(seen, bands, 0.0) * weight).sum(axis=(0, 1))
    known = (seen * weight).sum(axis=(0, 1))
    leaving = book.removed + book.filled
    fit.tables["flow"] = {
        "distance_bp": list(DISTANCES_BP),
        "arrivals_per_second": _ratio(book.added, known), "cancels_per_second": _ratio(book.removed, known),
        "trades_per_second": _ratio(book.filled, known), "resting": _ratio(held, known),
        "lifetime_seconds": _ratio(held, leaving),
    }
    near, far = slice(0, 1), slice(TEN_BP, None)
    fit.add("lifetime_within_1bp_s", _over(held[near].sum(), leaving[near].sum()))
    fit.add("lifetime_7_28bp_s", _over(held[far].sum(), leaving[far].sum()))
    inside = slice(0, TEN_BP + 1)
    fit.add("cancelled_share_10bp", _over(book.removed[inside].sum(), leaving[inside].sum()))


def _over(above: float, below: float) -> float:
    return float(above / below) if below > 0 else math.nan


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> list[float]:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0).tolist()


def market_orders(stream: L2Stream) -> NDArray[Any]:
    """Return trades put together to market orders: same millisecond, same side, one after the other."""
    trades = stream.trades
    if not len(trades):
        return trades
    new = (np.diff(trades["time_ms"]) != 0) | (np.diff(trades["side"]) != 0)
    starts = np.flatnonzero(np.r_[True, new])
    orders = trades[starts].copy()
    orders["quantity"] = np.add.reduceat(trades["quantity"], starts)
    orders["price"] = np.add.reduceat(trades["quantity"] * trades["price"], starts) / orders["quantity"]
    return orders


def _trades(stream: L2Stream, book: Replay, orders: NDArray[Any], fit: _Estimates) -> None:
    size = orders["price"] * orders["quantity"]
    counts = np.histogram(orders["time_ms"], np.arange(stream.snapshot_ms, stream.diff_ms[-1], 1000 * BLOCK_SECONDS))[0]
    fit.add("order_rate_per_s", len(orders) / stream.seconds,
            counts.std(ddof=1) / BLOCK_SECONDS / math.sqrt(len(counts)))
    spread = size.std(ddof=1) / math.sqrt(len(size))
    fit.add("order_mean_quote", size.mean(), spread)
    fit.add("order_median_quote", float(np.median(size)))
    fit.add("order_p99_quote", float(np.quantile(size, 0.99)))
    near = fit.values["depth_10bp_quote"]
    fit.add("order_mean_share_of_10bp_depth", size.mean() / near, spread / near)
    fit.add("turnover_per_s_share_of_10bp_depth", size.sum() / stream.seconds / near)
    fit.add("buy_share", size[orders["side"] > 0].sum() / size.sum())
    signs = orders["side"].astype(np.float64)
    mixed = min(signs[:-10].std(), signs[10:].std()) > 0
    fit.add("order_sign_autocorrelation_lag_10", np.corrcoef(signs[:-10], signs[10:])[0, 1] if mixed else math.nan,
            1.0 / math.sqrt(len(signs)))


def _refill(book: Replay, orders: NDArray[Any], fit: _Estimates) -> None:
    """Depth within 10 bp of the side that was hit, after the largest orders, / before: median over events."""
    events = _large(orders)
    paths = []
    for time, hit in events:
        column = book.depth[:, 0 if hit > 0 else 1, TEN_BP]
        before = column[(book.time_ms >= time - 1000) & (book.time_ms < time)]
        rows = np.searchsorted(book.time_ms, time + 1000 * np.array(REFILL_LAGS), side="right") - 1
        inside = time + 1000 * REFILL_LAGS[-1] <= book.time_ms[-1]
        if len(before) and inside and np.isfinite(before).all() and np.isfinite(column[rows]).all():
            paths.append(column[rows] / before.mean())
    names = ("refill_fast_seconds", "refill_slow_seconds", "refill_fast_share")
    fit.add("refill_events", len(paths))
    if len(paths) < 5:
        for name in names:
            fit.add(name, math.nan)
        fit.tables["refill"] = {"seconds": [], "depth_ratio": [], "standard_error": []}
        return
    ratios = np.array(paths)
    generator = np.random.default_rng(1)
    samples = [np.median(ratios[generator.integers(0, len(ratios), len(ratios))], axis=0) for _ in range(RESAMPLES)]
    fits = np.array([recovery_fit(sample) for sample in samples])
    for k, (name, value) in enumerate(zip(names, recovery_fit(np.median(ratios, axis=0)), strict=True)):
        told = fits[np.isfinite(fits[:, k]), k]
        fit.add(name, value, told.std(ddof=1) if len(told) > 1 else math.nan)
    fit.tables["refill"] = {
        "seconds": list(REFILL_LAGS), "depth_ratio": np.median(ratios, axis=0).tolist(),
        "standard_error": np.std(samples, axis=0, ddof=1).tolist(),
    }


def _large(orders: NDArray[Any]) -> list[tuple[int, int]]:
    """Return time and side that was hit (1 bids) of the largest orders that lie apart from each other."""
    size = orders["price"] * orders["quantity"]
    found: list[tuple[int, int]] = []
    for k in np.argsort(-size, kind="stable"):
        time = int(orders["time_ms"][k])
        if all(abs(time - other) >= 1000 * APART_SECONDS for other, _ in found):
            found.append((time, int(-orders["side"][k])))
        if len(found) == REFILL_EVENTS:
            break
    return found


def recovery_fit(ratios: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return fast and slow time [s] and the fast share of the gap that closes.

    Least squares of ``1 - ratio = fast * exp(-t / fast_s) + slow * exp(-t / slow_s)`` on a grid of the two
    times, both parts at least 0. NaN where depth was not below its value before.
    """
    lags, gap = np.array(REFILL_LAGS), 1.0 - ratios
    best = (math.inf, math.nan, math.nan, math.nan)
    for fast in FAST_GRID:
        for slow in SLOW_GRID:
            columns = np.stack([np.exp(-lags / fast), np.exp(-lags / slow)], axis=1)
            part = _at_least_zero(columns, gap)
            error = float(((gap - columns @ part) ** 2).sum())
            if part.sum() > 0 and error < best[0]:
                best = (error, fast if part[0] > 0 else math.nan, slow if part[1] > 0 else math.nan,
                        float(part[0] / part.sum()))
    return best[1:]


def _at_least_zero(columns: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the non-negative least-squares coefficients of two columns."""
    both = np.linalg.lstsq(columns, target, rcond=None)[0]
    if (both >= 0).all():
        return np.asarray(both, np.float64)
    single = np.maximum((columns * target[:, None]).sum(axis=0) / (columns**2).sum(axis=0), 0.0)
    errors = [((target - columns[:, k] * single[k]) ** 2).sum() for k in range(2)]
    keep = int(np.argmin(errors))
    return np.array([single[0] if keep == 0 else 0.0, single[1] if keep == 1 else 0.0])


def _impact(stream: L2Stream, orders: NDArray[Any], fit: _Estimates) -> None:
    """Mean move of the mid in the direction of a market order; its growth with size and with net flow."""
    quotes = stream.quotes
    middle = np.log(0.5 * (quotes["bid"] + quotes["ask"])) * 1e4

    def at(time: NDArray[np.int64]) -> NDArray[np.float64]:
        return middle[np.maximum(np.searchsorted(quotes["time_ms"], time, side="right") - 1, 0)]

    last = stream.diff_ms[-1] - int(1000 * LAGS[-1])
    orders = orders[(orders["time_ms"] > quotes["time_ms"][0]) & (orders["time_ms"] <= last)]
    if len(orders) < 100:
        fit.tables["response"] = {"seconds": [], "move_bp": [], "standard_error": []}
        fit.tables["impact_by_size"] = {"size_quote": [], "move_bp": []}
        return
    before = at(orders["time_ms"] - 1)
    moves = np.array([orders["side"] * (at(orders["time_ms"] + int(1000 * lag)) - before) for lag in LAGS])
    means = [_block_mean(orders["time_ms"], move, np.ones(len(move))) for move in moves]
    paid = 2.0 * orders["side"] * (np.log(orders["price"]) * 1e4 - before)
    realised = paid - 2.0 * moves[LAGS.index(5.0)]
    for name, values in (("effective_spread_bp", paid), ("realised_spread_5s_bp", realised)):
        fit.add(name, *_block_mean(orders["time_ms"], values, np.ones(len(values))))
    fit.tables["response"] = {"seconds": list(LAGS), "move_bp": [m for m, _ in means],
                              "standard_error": [e for _, e in means]}
    size = orders["price"] * orders["quantity"]
    _by_size(size, moves[LAGS.index(1.0)], fit)
    _flow_impact(stream, at, fit)


def _by_size(size: NDArray[np.float64], move: NDArray[np.float64], fit: _Estimates) -> None:
    """Mean move after 1 s by size of the order (ten bins of equal number), and the exponent of size.

    The exponent is the delta of least squares of ``move = a * size ** delta`` over all orders, on a grid.
    """
    order, scale = np.argsort(size, kind="stable"), size.mean()
    size, move = size[order] / scale, move[order]
    powers = np.array([size**delta for delta in DELTA_GRID])

    def exponent(rows: NDArray[np.int64]) -> float:
        columns, target = powers[:, rows], move[rows]
        explained = (columns * target).sum(axis=1) ** 2 / (columns**2).sum(axis=1)
        return float(DELTA_GRID[int(np.argmax(explained))])

    generator = np.random.default_rng(2)
    drawn = [exponent(generator.integers(0, len(order), len(order))) for _ in range(RESAMPLES)]
    fit.add("impact_exponent_by_size", exponent(np.arange(len(order))), float(np.std(drawn, ddof=1)))
    groups = np.array_split(np.arange(len(order)), 10)
    fit.tables["impact_by_size"] = {"size_quote": [float(size[g].mean() * scale) for g in groups],
                                    "move_bp": [float(move[g].mean()) for g in groups]}


def _flow_impact(stream: L2Stream, at: Any, fit: _Estimates) -> None:
    """Slope of the change of the mid over 10 s in the net taker flow of those 10 s, as a share of 10-bp depth."""
    edges = np.arange(stream.snapshot_ms, stream.diff_ms[-1], 10_000)
    signed = stream.trades["side"] * stream.trades["price"] * stream.trades["quantity"]
    flow = np.histogram(stream.trades["time_ms"], edges, weights=signed)[0] / fit.values["depth_10bp_quote"]
    change = np.diff(at(edges))
    total = float((flow**2).sum())
    slope = _over(float((flow * change).sum()), total)
    rest = change - slope * flow
    fit.add("flow_impact_10s_bp_per_10bp_depth", slope, math.sqrt(_over(float((rest**2).mean()), total)))
    fit.add("volatility_10s_per_sqrt_day", math.sqrt((change**2).mean() / 10.0 * 86400) * 1e-4)
