"""Policies that can be compared: the scale of every normalisation of procyclicality, and static rates, without agents.

pi moves the level of a rate as well as its response, so a comparison over pi states what is held equal. From bars that
end before the event this computes, for the whole chain of a scenario's policy,

- ``equal_start``: every pi opens the run at the rate of pi = 0;
- ``equal_mean``: the mean initial rate over the bars is that of pi = 0;
- ``equal_coverage``: as many horizon moves exceed the initial rate as at pi = 0
  (:mod:`spirals.simulation.margin.coverage`; the horizon is that of the policy);
- static rates at the mean and at the peak of the responsive policy (pi = 1) over the event itself, whose volatility is
  read by the scenario's own estimator from the outside path of a run without a venue.

Each becomes one factor on the rate. The volatility before the event is the scenario's estimator on the range of bars
(:func:`~spirals.simulation.margin.rate_history.volatility_history`).
"""

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.scenarios.calibration.normalisation_data import BEFORE, Before, Past, before_of, event_volatility, past_of
from spirals.scenarios.calibration.normalisation_text import policy_toml, text_table
from spirals.scenarios.inputs.loader import load_scenario
from spirals.scenarios.inputs.scenario import Scenario
from spirals.simulation.errors import InputError
from spirals.simulation.margin.chain import scaled_chain
from spirals.simulation.margin.coverage import breach_rate, equal_coverage_scale
from spirals.simulation.margin.rate_history import rate_history

__all__ = ["BEFORE", "NORMALISATIONS", "Before", "compare", "main", "policies_for"]

Array = NDArray[np.float64]

NORMALISATIONS = ("equal_start", "equal_mean", "equal_coverage")
PIS = (0.0, 0.25, 0.5, 1.0)
COMPARED = (0.0, 0.5, 1.0)


def compare(scenario: Scenario, before: Before, pis: Sequence[float] = PIS) -> dict[str, Any]:
    """Return scales, rates and coverage of every pi under every normalisation, and the static rates.

    Parameters
    ----------
    scenario : Scenario
        Its policy must hold exactly one ``Procyclicality``.
    before : Before
    pis : sequence of float
        In [0, 1].

    Returns
    -------
    dict
        ``policies``: one row per pi and normalisation with `scale`, `mean_before`, `breaches` and their interval,
        `opening`, `event_mean`, `event_peak` (initial rates, fraction of notional); ``static``: one row per
        normalisation and level (`mean_before`, `event_mean`, `event_peak` of pi = 1) with `initial` and
        `maintenance`; ``history``: bars, horizon, mean and dispersion of the volatility read.

    Raises
    ------
    InputError
        No or several ``Procyclicality``; too short a history; a wrapper that bounds the rate in the history, so
        that no factor normalises it.
    """
    past, readings = past_of(scenario, before), event_volatility(scenario)
    target = _charged(scenario, past, 0.0, 1.0)
    rows, static = [], []
    for pi in dict.fromkeys((*pis, 1.0)):
        measured: dict[float, dict[str, Any]] = {}
        for normalisation, scale in _scales(scenario, past, pi, target).items():
            if scale not in measured:
                measured[scale] = _measured(scenario, past, readings, pi, scale)
            found = measured[scale]
            _check_level(normalisation, found["charged"], target, past)
            if pi in pis:
                rows.append({"pi": pi, "normalisation": normalisation, "scale": scale, **found["row"]})
            if pi == 1.0:
                static += [{"normalisation": normalisation, "level": name, "initial": float(level[0]),
                            "maintenance": float(level[1])} for name, level in found["levels"].items()]
    return {"scenario": scenario.name, "before": dataclasses.asdict(before), "history": _described(past, readings),
            "policies": rows, "static": static}


def _measured(scenario: Scenario, past: Past, readings: list[Array], pi: float, scale: float) -> dict[str, Any]:
    """Rates and coverage of one policy; rates as (initial, maintenance)."""
    seconds = scenario.volatility.sample_steps(scenario.step_seconds) * scenario.step_seconds
    charged = _charged(scenario, past, pi, scale)
    event = [rate_history(scaled_chain(scenario.margin, pi, scale), path, seconds) for path in readings]
    levels = {"mean_before": charged.mean(axis=0),
              "event_mean": np.mean([rates.mean(axis=0) for rates in event], axis=0),
              "event_peak": np.mean([rates.max(axis=0) for rates in event], axis=0)}
    covered = breach_rate(past.moves, charged[: len(past.moves), 0], past.bars_ahead)
    row = {"opening": float(event[0][0, 0]), **{name: float(level[0]) for name, level in levels.items()},
           **{f"breach_{key}": value for key, value in dataclasses.asdict(covered).items()}}
    return {"charged": charged, "levels": levels, "row": row}


def _charged(scenario: Scenario, past: Past, pi: float, scale: float) -> Array:
    return rate_history(scaled_chain(scenario.margin, pi, scale), past.volatility, past.seconds)


def policies_for(
    scenario_name: str, overrides: Sequence[str] | Mapping[str, Any] = (), before: Before | None = None
) -> list[dict[str, Any]]:
    """Return the policies that a main comparison shows, as values of a study's lever.

    Parameters
    ----------
    scenario_name : str
        A key of :data:`BEFORE`, or any scenario when `before` is given.
    overrides : sequence of "PATH=VALUE", or mapping
        As for :func:`~spirals.scenarios.inputs.loader.load_scenario`: what a study sets.
    before : Before, optional

    Returns
    -------
    list of dict
        ``{"label": ..., "set": {path: value}}``, 11 of them: pi 0, .5 and 1 under each normalisation (pi = 0 is the
        same policy in all three, there for paired differences), and static rates at mean and peak over the event of
        pi = 1 with equal start.
    """
    found = compare(load_scenario(scenario_name, overrides), before or before_of(scenario_name), COMPARED)
    place = "margin.Procyclicality"
    values: list[dict[str, Any]] = []
    for normalisation in NORMALISATIONS:
        for row in (row for row in found["policies"] if row["normalisation"] == normalisation):
            settings = {f"{place}.pi": row["pi"], f"{place}.normalisation": normalisation}
            settings[f"{place}.scale"] = 1.0 if normalisation == "equal_start" else row["scale"]
            values.append({"label": f"pi {row['pi']:g}, {normalisation.replace('_', ' ')}", "set": settings})
    for level, label in (("event_mean", "static at mean"), ("event_peak", "static at peak")):
        row = next(row for row in found["static"] if row["level"] == level and row["normalisation"] == "equal_start")
        part = {"type": "Static", "initial": row["initial"], "maintenance": row["maintenance"]}
        values.append({"label": label, "set": {place: part}})
    return values


def _scales(scenario: Scenario, past: Past, pi: float, target: Array) -> dict[str, float]:
    """Return the factor of each normalisation; `target` holds the rates of pi = 0 before the event."""
    if pi == 0.0:
        return dict.fromkeys(NORMALISATIONS, 1.0)
    opening, windows = [scenario.volatility.opening_estimate], len(past.moves)
    zero, plain = (rate_history(scaled_chain(scenario.margin, one, 1.0), opening)[0, 0] for one in (0.0, pi))
    rates = _charged(scenario, past, pi, 1.0)
    return {"equal_start": float(zero / plain), "equal_mean": math.fsum(target[:, 0]) / math.fsum(rates[:, 0]),
            "equal_coverage": equal_coverage_scale(past.moves, rates[:windows, 0], target[:windows, 0])[0]}


def _check_level(normalisation: str, charged: Array, target: Array, past: Past) -> None:
    """Refuse a scale that a bound of the chain has cut: the level would not be the stated one."""
    windows = len(past.moves)
    breaches = [int(np.sum(past.moves > rates[:windows, 0])) for rates in (charged, target)]
    same_mean = math.isclose(charged[:, 0].mean(), target[:, 0].mean(), rel_tol=1e-9)
    reached = {"equal_mean": same_mean, "equal_coverage": breaches[0] == breaches[1]}
    if not reached.get(normalisation, True):
        raise InputError([f"{normalisation}: a wrapper bounds the rate before the event, so that no factor on it "
                          "reaches the level of pi = 0"])


def _described(past: Past, readings: list[Array]) -> dict[str, float]:
    return {"bars": len(past.volatility), "bar_seconds": past.seconds,
            "horizon_seconds": past.bars_ahead * past.seconds, "volatility_mean": float(past.volatility.mean()),
            "volatility_log_deviation": float(np.log(past.volatility).std()), "event_paths": len(readings),
            "event_volatility_opening": float(readings[0][0]),
            "event_volatility_peak": float(np.mean([path.max() for path in readings]))}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table, one JSON document, or the lever of a study as TOML; return 0, or 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m spirals.scenarios.calibration.normalisation", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", metavar="SCENARIO", help="name of the catalogue, or a TOML file")
    parser.add_argument("-s", dest="overrides", action="append", default=[], metavar="PATH=VALUE",
                        help="replace an input")
    parser.add_argument("--bars", metavar="FILE", help="bars before the event, instead of the shipped ones")
    parser.add_argument("--until", metavar="TIME", help="end of the last of these bars, ISO, UTC")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON document on stdout")
    form.add_argument("--toml", action="store_true", help="the lever `policy` of a study file")
    options = parser.parse_args(arguments)
    if bool(options.bars) != bool(options.until):
        parser.error("--bars and --until go together")
    try:
        before = Before(options.bars, options.until) if options.bars else before_of(options.scenario)
        if options.toml:
            print(policy_toml(policies_for(options.scenario, options.overrides, before)))
            return 0
        found = compare(load_scenario(options.scenario, options.overrides), before)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(found, indent=2) if options.json else text_table(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
