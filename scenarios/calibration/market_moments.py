"""Moments of the calm market under every named depth model, beside a recorded stream and the literature.

``python -m spirals.scenarios.calibration.market_moments [--full] [--json]``. The bands of ``MOMENTS`` were written
down before the table was first measured and have not been moved since: a moment outside its band is reported as
outside. Not quite blind: the stream's own values and one median spread of the calm market (1.0 bp) were
known then, and the estimators of effective spread and round trips were made less noisy afterwards. Sources that are
marked *recalled* were not looked up again.

Every row is measured on the scenario `calm`, with the population of 2025, except liquidations per day: their source is
BitMEX in 2019-21, so they are measured on `calm-2019`, with its leverage, its margin and the volatility of that time.
Excess kurtosis of a day is the mean of a law with heavy tails: over few days one jump decides it.

Impact, refill and round trips come from scripted order flow, always as the difference from a run with the same seed
without it. Standard errors are over episodes (impact, refill, round trips) and over seeds (the rest).
"""

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.scenarios.calibration.market_experiments import (
    LIQUIDATION_SCENARIO,
    Design,
    Market,
    calm_paths,
    liquidated_per_day,
    metaorders,
    refill,
    round_trips,
)

__all__ = ["FULL", "MODELS", "MOMENTS", "QUICK", "Moment", "main", "measure", "stream_moments"]


@dataclasses.dataclass(frozen=True)
class Moment:
    """A moment with its band, stated before measuring.

    Attributes
    ----------
    name, unit : str
    low, high : float
    source : str
        Where the band comes from.
    """

    name: str
    unit: str
    low: float
    high: float
    source: str


MOMENTS = (
    Moment("quoted_spread_median", "bp", 0.01, 1.0,
           "one tick: .016 bp on Binance in 2024 (stream), .5 bp on BitMEX at 10 000 (tick .5)"),
    Moment("effective_spread", "bp", 0.01, 2.0, "one to four ticks at most in a calm book; assumption"),
    Moment("realised_spread_5s", "bp", -1.0, 1.0, "makers earn about nothing after impact, sign open; assumption"),
    Moment("depth_exponent", "", 1.1, 1.5, "stream 1.32 (.04) within 28 bp; here between 10 bp and 1 %"),
    Moment("depth_10bp_share_of_1pct", "fraction", 0.03, 0.11,
           "stream .06, extrapolated from 28 bp; a factor 1.8 either way"),
    Moment("refill_half_life", "s", 0.5, 20.0,
           "orders return in 1-5 s after large trades (stream, weak); 20 s in Large (2007), recalled"),
    Moment("refill_after_60s", "fraction", 0.8, 1.05, "calm book after a minute; assumption"),
    Moment("metaorder_exponent", "", 0.4, 0.7,
           "square root: .489 and .493 on the Tokyo exchange (arXiv 2411.13965); .5 for Bitcoin (Donier, Bonart 2015)"),
    Moment("metaorder_prefactor", "", 0.5, 1.5, "Y in I = Y sigma sqrt(Q / V), of order one; recalled"),
    Moment("metaorder_left_after_10x", "fraction of peak", -0.1, 0.5,
           "almost full decay when uninformed (Donier, Bonart 2015)"),
    Moment("minute_return_acf_1", "", -0.05, 0.05, "no linear autocorrelation (Cont 2001, band a choice)"),
    Moment("minute_excess_kurtosis", "", 3.0, 50.0, "fat tails (Cont 2001, band a choice)"),
    Moment("minute_absolute_acf_1", "", 0.1, 0.45, "volatility clusters (Cont 2001, band a choice)"),
    Moment("minute_absolute_acf_10", "", 0.05, 0.4, "and keep clustering"),
    Moment("mid_to_index_volatility", "ratio of minutes", 0.85, 1.15, "the venue neither adds nor hides; a choice"),
    Moment("longs_liquidated_per_day", "fraction of opening longs", 0.0175, 0.07,
           "3.5 % (Cheng, Deng, Wang, Yu 2021, BitMEX); a factor two either way"),
    Moment("shorts_liquidated_per_day", "fraction of opening shorts", 0.0095, 0.038,
           "1.9 % (same source); a factor two either way"),
    Moment("round_trip_earns", "bp of notional, best of three paces", -100.0, 0.0,
           "no free profit from round trips (Gatheral 2010), fees not counted"),
)

MODELS: dict[str, Market] = {
    "calm": Market(), "linear": Market("LinearDepth"), "power": Market("PowerDepth"),
    "square_root": Market("SquareRootDepth"), "gapped": Market("GappedDepth"), "fitted": Market("FittedDepth"),
    "calm_no_feedback": Market(changes=("price_feed.index_feedback=0",)),
    "calm_fast_feedback": Market(changes=("price_feed.feedback_seconds=30",)),
}
QUICK = Design(seeds=2, hours=1.5, episodes=6, sizes=(0.5, 2.0, 8.0))
FULL = Design(seeds=4, hours=24.0, episodes=12, sizes=(0.5, 1.0, 2.0, 4.0, 8.0, 16.0))


def measure(models: Iterable[str] = ("calm",), design: Design = QUICK,
            beside: dict[str, tuple[float, float]] | None = None) -> list[dict[str, Any]]:
    """Return one row per depth model and moment.

    Parameters
    ----------
    models : iterable of str
        Keys of ``MODELS``: ``calm`` is the scenario as it is; five replace its depth by the class with its
        default parameters, two change how the outside price follows the venue.
    design : Design
    beside : dict, optional
        What data show, as :func:`stream_moments` gives it.

    Returns
    -------
    list of dict
        ``depth, scenario, moment, unit, measured, standard_error, data, data_error, low, high, passed, source``;
        `passed` is None where nothing was measured. A value within two standard errors of its band counts
        as outside: the band is the criterion, the error is for the reader.
    """
    beside = beside or {}
    rows = []
    for model in models:
        found = {**calm_paths(MODELS[model], design), **refill(MODELS[model], design),
                 **metaorders(MODELS[model], design), **round_trips(MODELS[model], design),
                 **liquidated_per_day(MODELS[model], design)}
        for moment in MOMENTS:
            value, error = found.get(moment.name, (math.nan, math.nan))
            data, data_error = beside.get(moment.name, (math.nan, math.nan))
            passed = None if math.isnan(value) else moment.low <= value <= moment.high
            rows.append({
                "depth": model, "scenario": LIQUIDATION_SCENARIO if "liquidated" in moment.name else "calm",
                "moment": moment.name, "unit": moment.unit, "measured": value, "standard_error": error,
                "data": data, "data_error": data_error, "low": moment.low, "high": moment.high, "passed": passed,
                "source": moment.source,
            })
    return rows


def stream_moments() -> dict[str, tuple[float, float]]:
    """Return value and standard error of each moment that the shipped data show.

    Book and trades: the stream of 8 August 2024. Returns: five-minute bars of September 2025 (no calm minutes of the
    length needed are shipped), so their unit of time differs from the simulation's.
    """
    from spirals.scenarios.calibration.fit_book import fit_book
    from spirals.simulation.market.data_files import resolve_data_file

    fit = fit_book(resolve_data_file("btcusdt_perp_l2_2024-08-08", ending=".gz"))
    names = {
        "quoted_spread_median": "spread_median_bp", "effective_spread": "effective_spread_bp",
        "realised_spread_5s": "realised_spread_5s_bp", "depth_exponent": "depth_exponent",
        "metaorder_exponent": "impact_exponent_by_size",
    }
    found = {moment: (fit.values[name], fit.errors[name]) for moment, name in names.items()}
    share = fit.values["depth_10bp_quote"] / fit.values["depth_1pct_extrapolated_quote"]
    found["depth_10bp_share_of_1pct"] = (share, math.nan)
    fast = fit.values["refill_fast_seconds"]
    found["refill_half_life"] = (fast * math.log(2.0), fit.errors["refill_fast_seconds"] * math.log(2.0))
    return {**found, **_bar_moments()}


def _bar_moments() -> dict[str, tuple[float, float]]:
    import pandas as pd

    from spirals.simulation.market.data_files import resolve_data_file

    bars = pd.read_csv(resolve_data_file("btcusdt_perp_5m_2025-09_2025-10"))
    september = bars[: 30 * 288]
    days = np.diff(np.log(september["close"].to_numpy(np.float64)))[: 29 * 288].reshape(29, 288)
    return stylised_facts(days, "minute")


def stylised_facts(returns: NDArray[np.float64], name: str) -> dict[str, tuple[float, float]]:
    """Return mean and standard error over rows (days or seeds) of kurtosis and autocorrelations."""
    from spirals.scenarios.calibration.market_experiments import mean_and_error, return_facts

    facts = [return_facts(row) for row in returns]
    return {f"{name}_{key}": mean_and_error([fact[key] for fact in facts]) for key in facts[0]}


def text_table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as text, one block per depth model."""
    lines = []
    for model in dict.fromkeys(row["depth"] for row in rows):
        mine = [row for row in rows if row["depth"] == model]
        told = [row for row in mine if row["passed"] is not None]
        inside = sum(int(row["passed"]) for row in told)
        lines += [f"{model}: {inside} of {len(told)} moments inside their band",
                  f"  {'':<26} {'measured':>10} {'s.e.':>9} {'data':>10} {'s.e.':>9} {'low':>8} {'high':>8}"]
        for row in mine:
            numbers = " ".join(f"{_number(row[key]):>{width}}" for key, width in (
                ("measured", 10), ("standard_error", 9), ("data", 10), ("data_error", 9), ("low", 8), ("high", 8)))
            mark = {True: "", False: "outside", None: "not measured"}[row["passed"]]
            where = "" if row["scenario"] == "calm" else f"(scenario {row['scenario']})"
            lines.append(f"  {row['moment']:<26} {numbers}  {mark:<7} {where}".rstrip())
        lines.append("")
    return "\n".join(lines).rstrip()


def _number(value: float) -> str:
    return "n/a" if math.isnan(value) else f"{value:.3g}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table or one JSON document; return 0."""
    parser = argparse.ArgumentParser(prog="python -m spirals.scenarios.calibration.market_moments", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--full", action="store_true", help="whole days, more episodes: minutes")
    parser.add_argument("--depth", action="append", choices=list(MODELS), help="only this model; may be repeated")
    options = parser.parse_args(arguments)
    design, beside = FULL if options.full else QUICK, stream_moments()
    rows: list[dict[str, Any]] = []
    for model in options.depth or list(MODELS):
        found = measure([model], design, beside)
        if not options.json:
            print(text_table(found), end="\n\n", flush=True)
        rows += found
    if options.json:
        plain = [{k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()} for row in rows]
        json.dump({"moments": plain}, sys.stdout, indent=2, ensure_ascii=False)
        print()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
