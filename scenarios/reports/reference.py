"""The small reference tables that are committed: the main study's first figure and its effects.

``python -m spirals.scenarios.reports.reference results/procyclicality results/reference`` writes
``<study>.png`` and ``<study>-effects.csv``; the README quotes them and a test compares the two. For studies of policies
the figure is the map of signs and ``<study>-conditions.csv`` is added; several of them make one ``summary``. For a
study with an attribution, ``python -m spirals.scenarios.reports.reference results/attribution results/reference``
writes ``attribution.png`` and ``attribution.csv``.
"""

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from spirals.scenarios.analysis.attribution_effects import (
    attributed_channels,
    channel_readings,
    level_intervals,
    spiral_total,
)
from spirals.scenarios.analysis.effects import cell_effects, completed, in_design_order, overall_effect, study_layout
from spirals.scenarios.analysis.policy_conditions import Condition, conditions, outcome_scale
from spirals.scenarios.analysis.policy_effects import PolicyRuns, pi_effects, policy_runs
from spirals.scenarios.reports.figures import rendered
from spirals.scenarios.reports.figures_policies import sign_map
from spirals.scenarios.reports.figures_study import headline_figure
from spirals.scenarios.reports.policies import main_outcomes
from spirals.scenarios.reports.study_attribution import FIGURED, cells_figure, study_cells_of
from spirals.scenarios.results.tables import read_runs
from spirals.scenarios.runs.attribution_columns import READINGS
from spirals.simulation.errors import InputError
from spirals.simulation.measures.catalogue import unit_of

__all__ = ["REPORTED", "write_reference"]

REPORTED = ("excess_drawdown", "forced_notional", "bad_debt_gross", "margin_locked")
ATTRIBUTION_COLUMNS = ("cell", "outcome", "unit", "level", "mean", "low", "high", "first_in", "last_out",
                       "replications")
COLUMNS = ("outcome", "unit", "difference", "low", "high", "cells_higher", "cells_lower", "cells")


def write_reference(results: Path | Sequence[Path], folder: Path) -> list[Path]:
    """Write figure and effects of the study in `results`, or of several of policies, to `folder`; return the files."""
    folders = [results] if isinstance(results, Path) else list(results)
    studies = [(json.loads((one / "manifest.json").read_text(encoding="utf-8")), read_runs(one)) for one in folders]
    folder.mkdir(parents=True, exist_ok=True)
    found = policy_runs(studies)
    if found is not None:
        name = studies[0][0]["name"] if len(studies) == 1 else "summary"
        stated = [outcome for manifest, _ in studies for outcome in manifest.get("outcomes") or ()]
        return _write_policies(found, main_outcomes(found, list(dict.fromkeys(stated))), folder, name)
    if len(studies) > 1:
        raise InputError(["no study of policies among the folders; allowed: one study, or several of policies"])
    manifest, runs = studies[0]
    runs = in_design_order(completed(runs), manifest["design"])
    layout = study_layout(runs, list(manifest["design"]), manifest.get("lever"))
    name = manifest["name"]
    channels = attributed_channels(manifest, runs)
    if channels:
        return _write_attribution(study_cells_of(runs, layout), channels, folder, name)
    figure, table = folder / f"{name}.png", folder / f"{name}-effects.csv"
    rendered(headline_figure(runs, layout, manifest["outcomes"]), figure, dots_per_inch=110)
    rows = []
    for outcome in REPORTED:
        signs = [effect.difference.sign for effect in cell_effects(runs, layout, outcome)]
        one = overall_effect(runs, layout, outcome).difference
        rows.append([outcome, unit_of(outcome), *_numbers(one.estimate, one.low, one.high), signs.count(1),
                     signs.count(-1), len(signs)])
    _write(table, COLUMNS, rows)
    return [figure, table]


def _write_attribution(
    cells: Sequence[tuple[str, pd.DataFrame]], channels: Sequence[str], folder: Path, name: str
) -> list[Path]:
    figure, table = folder / f"{name}.png", folder / f"{name}.csv"
    rendered(cells_figure(cells, channels), figure, dots_per_inch=130)
    rows = []
    for label, part in cells:
        for outcome in FIGURED:
            readings, _ = channel_readings(part, outcome, channels)
            levels = level_intervals(part, outcome, channels) | {"all but shock": spiral_total(part, outcome, channels)}
            for level, one in levels.items():
                beside = [readings[key][level].estimate for key in READINGS] if level in channels else []
                rows.append([label, outcome, unit_of(outcome), level, *_numbers(one.estimate, one.low, one.high),
                             *(_numbers(*beside) or ["", ""]), one.n])
    _write(table, ATTRIBUTION_COLUMNS, rows)
    return [figure, table]


def _write_policies(found: PolicyRuns, outcomes: Sequence[str], folder: Path, name: str) -> list[Path]:
    effects = {outcome: pi_effects(found, outcome) for outcome in outcomes}
    scales = {outcome: outcome_scale(found, outcome, [cell.difference for cell in cells])
              for outcome, cells in effects.items()}
    figure = folder / f"{name}.png"
    rendered(sign_map(effects, scales, found.levels), figure, dots_per_inch=110)
    listed = conditions(found, outcomes)
    table, every = folder / f"{name}-effects.csv", folder / f"{name}-conditions.csv"
    _write(table, COLUMNS, [_row(one, found) for one in listed if not one.factor])
    _write(every, ("factor", "value", *COLUMNS), [[one.factor, one.value, *_row(one, found)] for one in listed])
    return [figure, table, every]


def _row(one: Condition, found: PolicyRuns) -> list[Any]:
    unit = unit_of(one.outcome)
    unit = "fraction of open interest" if found.relative and unit == "quote" else unit
    return [one.outcome, unit, *_numbers(one.mean.estimate, one.mean.low, one.mean.high), one.higher, one.lower,
            one.higher + one.lower + one.undetermined]


def _numbers(*values: float) -> list[str]:
    return [f"{value:.6g}" for value in values]


def _write(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


if __name__ == "__main__":
    *given, target = sys.argv[1:]
    for written in write_reference([Path(one) for one in given], Path(target)):
        print(written)
