"""Effects of policies over several studies: pairing, cells without a path, clusters, and the report, by hand."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from spirals.scenarios.analysis.policy_conditions import conditions, crash_bins, crash_points, path_fits
from spirals.scenarios.analysis.policy_effects import (
    cadence_effects,
    group_interval,
    pi_effects,
    policy_runs,
    static_effects,
)
from spirals.scenarios.reports.reference import write_reference
from spirals.scenarios.reports.write import write_report, write_summary
from spirals.simulation.errors import InputError
from spirals.simulation.measures.intervals import mean_interval

POLICIES = {
    "pi 0": {"pi": 0.0, "normalisation": "equal_start", "half_life_seconds": 600.0},
    "pi 1": {"pi": 1.0, "normalisation": "equal_start", "half_life_seconds": 600.0},
    "static at peak": {"pi": None, "normalisation": None, "half_life_seconds": 600.0},
}


def study(event, effect, *, interest=1e6, misfit=(), crashes=False, replications=4):
    """Rows whose excess drawdown is 0.1 r + pi x effect (x 2 every hour), gross bad debt 2 bp of open interest less."""
    rows = []
    for depth, sign in (("LinearDepth", 1.0), ("GappedDepth", -1.0)):
        for policy, traits in POLICIES.items():
            for cadence in ("as stated", "every hour") if policy == "pi 1" else ("as stated",):
                for r in range(replications):
                    pi = 0.5 if traits["pi"] is None else traits["pi"]
                    much = sign * effect * pi * (2.0 if cadence == "every hour" else 1.0) * (1.0 + 0.01 * r)
                    row = {"run_id": f"{len(rows):04d}", "scenario": event, "policy": policy, "depth": depth,
                           "book": "given", "cadence": cadence, "replication": r, "seed": r, "status": "done",
                           "stop_reason": "end", "excess_drawdown": 0.1 * r + much, "drawdown_mark": 0.3 + much,
                           "twin_drawdown_mark": 0.2, "bad_debt_gross": interest * (5e-4 - 2e-4 * pi)}
                    if crashes:
                        row |= {"crash_seconds": 100.0 * (r + 1), "crash_size": -0.1}
                    else:
                        row |= {"path_fits": (depth, r) not in misfit, "path_max_residual_bp": 5.0 + r,
                                "path_median_residual_bp": 0.5, "path_missed_bars": 0, "path_bars": 9}
                    rows.append(row)
    manifest = {
        "schema_version": 1, "kind": "study", "name": f"main-{event}", "scenario": event, "policies": POLICIES,
        "outcomes": ["excess_drawdown", "bad_debt_gross"], "replications": replications, "twins": ["T1"],
        "design": {"policy": list(POLICIES), "depth": ["LinearDepth", "GappedDepth"], "book": ["given"],
                   "cadence": ["as stated", "every hour"]},
        "inputs": {"scenario": {"name": event, "population": {"open_interest": interest},
                                "outside_world": {"type": "HistoricalBars"}}},
    }
    return manifest, pd.DataFrame(rows)


def test_the_effect_is_paired_within_every_event_and_depth():
    found = policy_runs([study("march", 0.01), study("october", 0.02)])
    cells = pi_effects(found, "excess_drawdown")
    assert [(cell.cell["event"], cell.cell["depth"]) for cell in cells] == [
        ("march", "LinearDepth"), ("march", "GappedDepth"), ("october", "LinearDepth"), ("october", "GappedDepth")]
    assert [cell.difference.estimate for cell in cells] == pytest.approx([0.01015, -0.01015, 0.0203, -0.0203])
    assert [cell.difference.sign for cell in cells] == [1, -1, 1, -1]
    assert all(cell.variance_ratio > 100.0 and cell.fits for cell in cells)


def test_money_is_counted_in_open_interest_so_that_events_can_be_averaged():
    found = policy_runs([study("march", 0.01), study("october", 0.02, interest=1e9)])
    effects = [cell.difference.estimate for cell in pi_effects(found, "bad_debt_gross")]
    assert effects == pytest.approx([-2e-4] * 4)


def test_runs_without_a_path_are_left_out_and_a_cell_with_one_path_only_is_marked():
    three = policy_runs([study("march", 0.01, misfit={("LinearDepth", 0)})])
    assert [(cell.difference.n, cell.fits) for cell in pi_effects(three, "excess_drawdown")] == [(3, True), (4, True)]
    one = policy_runs([study("march", 0.01, misfit={("LinearDepth", r) for r in range(3)})])
    assert [(cell.difference.n, cell.fits) for cell in pi_effects(one, "excess_drawdown")] == [(4, False), (4, True)]
    whole = next(row for row in conditions(one, ["excess_drawdown"]) if not row.factor)
    assert (whole.higher, whole.lower, whole.undetermined) == (0, 1, 0)
    assert [row["fits"] for row in path_fits(one)] == [1, 4]


def test_a_cadence_not_run_at_pi_0_is_held_against_the_base_there():
    found = policy_runs([study("march", 0.01)])
    hourly = pi_effects(found, "excess_drawdown", "every hour")
    assert [cell.difference.estimate for cell in hourly] == pytest.approx([0.0203, -0.0203])
    more = cadence_effects(found, "excess_drawdown", "every hour")
    assert [(cell.cell["pi"], cell.difference.estimate) for cell in more] == [
        (1.0, pytest.approx(0.01015)), (1.0, pytest.approx(-0.01015))]


def test_the_responsive_policy_is_held_against_each_static_one():
    cells = static_effects(policy_runs([study("march", 0.01)]), "excess_drawdown", 1.0)
    assert [cell.cell["static"] for cell in cells] == ["static at peak"] * 2
    assert [cell.difference.estimate for cell in cells] == pytest.approx([0.005075, -0.005075])


def test_the_group_mean_has_the_interval_of_the_mean_over_cells_when_every_cell_has_all_replications():
    found = policy_runs([study("march", 0.01), study("october", 0.03)])
    kept = [cell for cell in pi_effects(found, "excess_drawdown") if cell.cell["depth"] == "LinearDepth"]
    means = np.mean([list(cell.by_replication.values()) for cell in kept], axis=0)
    expected, one = mean_interval(means), group_interval(kept)
    assert (one.estimate, one.low, one.high) == pytest.approx((expected.estimate, expected.low, expected.high))
    assert math.isnan(group_interval([]).estimate)


def test_an_ensemble_shows_the_effect_against_half_life_over_duration():
    found = policy_runs([study("march", 0.01), study("ensemble", 0.02, crashes=True, replications=8)])
    points = crash_points(found, "excess_drawdown")
    assert [ratio for ratio, _ in points] == pytest.approx(sorted(600.0 / (100.0 * (r + 1)) for r in range(8)))
    bins = crash_bins(points)
    assert [one.n for *_, one in bins] == [4, 4] and bins[0][1] < bins[1][0]


def test_runs_of_one_replication_that_differ_in_something_else_are_no_further_replications():
    manifest, runs = study("march", 0.01)
    more = pd.concat([runs.assign(kappa=kappa) for kappa in (0.1, 0.4, 0.8)], ignore_index=True)
    cells, wider = (pi_effects(policy_runs([(manifest, one)]), "excess_drawdown") for one in (runs, more))
    for one, other in zip(cells, wider, strict=True):
        assert one.difference.n == other.difference.n == 4
        assert one.difference.standard_error == pytest.approx(other.difference.standard_error)


def test_a_study_without_policies_that_differ_in_pi_is_no_study_of_policies():
    manifest, runs = study("march", 0.01)
    assert policy_runs([({**manifest, "policies": {}}, runs)]) is None


def write(folder, one):
    folder.mkdir()
    one[1].to_parquet(folder / "runs.parquet")
    (folder / "manifest.json").write_text(json.dumps(one[0]), encoding="utf-8")
    return folder


def test_report_summary_and_reference_are_written_from_files_alone(tmp_path):
    march = write(tmp_path / "march", study("march", 0.01, misfit={("LinearDepth", r) for r in range(4)}))
    ensemble = write(tmp_path / "ensemble", study("ensemble", 0.02, crashes=True, replications=8))
    page = write_report(march).read_text(encoding="utf-8")
    assert "No path fits in the cells below" in page and "Where each sign holds" in page and "0 of 4" in page
    summary = write_summary([march, ensemble])
    text = summary.read_text(encoding="utf-8")
    assert summary == tmp_path / "summary.html" and 'href="march/report.html"' in text
    assert "Half-life against the duration of the crash" in text and "Against static policies" in text
    files = write_reference([march, ensemble], tmp_path / "reference")
    assert [file.name for file in files] == ["summary.png", "summary-effects.csv", "summary-conditions.csv"]
    table = pd.read_csv(files[1]).set_index("outcome")
    assert table.loc["excess_drawdown", "cells"] == 3  # the cell without a path is in no count
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "manifest.json").write_text(json.dumps({"schema_version": 1}))
    march_runs = pd.read_parquet(march / "runs.parquet")
    march_runs.to_parquet(tmp_path / "plain" / "runs.parquet")
    with pytest.raises(InputError, match="no study of policies"):
        write_summary([march, tmp_path / "plain"])
    again = write(tmp_path / "again", study("march", 0.02))
    with pytest.raises(InputError, match="two studies of one event"):
        write_summary([march, again])
