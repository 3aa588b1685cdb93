"""Studies on deconvolved paths: solved once, the same for every policy, kept, and marked where they do not fit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scenario_toys as toys

from spirals.scenarios import load_scenario, run
from spirals.scenarios.inputs.study import load_study, study_cells
from spirals.scenarios.runs.study_sweep import sweep_study
from spirals.simulation.errors import InputError

STUDY = """
kind = "study"
name = "paths"
scenario = "black-thursday-2020"
replications = 2
twins = ["T1"]
outcomes = ["excess_drawdown", "bad_debt_gross"]
[set]
steps = 120
"population.traders" = 200
[deconvolve]
by = ["depth"]
[levers.policy]
values = [
    {label = "pi 0", set = {"margin.Procyclicality.pi" = 0.0}},
    {label = "pi 1", set = {"margin.Procyclicality.pi" = 1.0}},
]
[levers.depth]
path = "depth.type"
values = ["LinearDepth", "PowerDepth"]
"""
linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """The undisturbed sweep on one worker."""
    folder = tmp_path_factory.mktemp("paths")
    (folder / "study.toml").write_text(STUDY)
    return sweep_study(folder / "study.toml", workers=1, folder=folder / "out", progress=False), folder


def lines_of(folder):
    path = folder / "journal.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_one_path_per_depth_and_replication_serves_every_policy(swept):
    result, folder = swept
    manifest = json.loads((folder / "out" / "manifest.json").read_text())
    assert len(result.table) == 8 and len(manifest["paths"]) == 4 == len(list((folder / "out" / "paths").iterdir()))
    assert result.table["path_fits"].all() and (result.table["path_max_residual_bp"] <= 20.0).all()
    assert (result.table["path_bars"] == 2).all() and (result.table["path_missed_bars"] == 0).all()
    for _, part in result.table.groupby(["depth", "replication"]):
        assert part["path_max_residual_bp"].nunique() == 1
    assert manifest["policies"]["pi 1"]["pi"] == 1.0


def test_a_run_of_the_study_is_the_scenario_on_its_frozen_path(swept):
    result, folder = swept
    manifest = json.loads((folder / "out" / "manifest.json").read_text())
    row = result.table.iloc[0]
    path = next(one for one in manifest["paths"] if (one["depth"], one["seed"]) == (row["depth"], row["seed"]))
    frozen = load_scenario("black-thursday-2020", {
        "steps": 120, "population.traders": 200, "depth.type": row["depth"],
        "margin.Procyclicality.pi": manifest["policies"][row["policy"]]["pi"],
        "outside_world": {"type": "FrozenPath", "file": str(folder / "out" / path["path_file"])}})
    alone = run(frozen, int(row["seed"]), twins=["T1"]).outcomes
    for name in ("drawdown_mark", "excess_drawdown", "forced_notional", "margin_locked"):
        assert alone[name] == row[name]


@linux
def test_a_sweep_killed_among_its_paths_goes_on_with_them_and_ends_with_the_same_table_on_two_workers(swept, tmp_path):
    marker = f"paths-{os.getpid()}-{tmp_path.name}"
    command = [sys.executable, "-m", "spirals", "sweep", str(swept[1] / "study.toml"), "--workers", "1", "--out",
               str(tmp_path / "out"), "-q"]
    driver = subprocess.Popen(command, env={**os.environ, "SWEEP_TEST_MARKER": marker}, stdout=subprocess.DEVNULL)
    assert toys.wait_for(lambda: len(lines_of(tmp_path / "out")) >= 2, 300.0)
    driver.kill()
    driver.communicate()
    assert toys.wait_for(lambda: not toys.processes_with(marker))
    before = len(lines_of(tmp_path / "out"))
    again = sweep_study(swept[1] / "study.toml", workers=2, folder=tmp_path / "out", progress=False)
    names = [line["run_id"] for line in lines_of(tmp_path / "out")]
    assert before < 12 == len(names) == len(set(names))  # four paths and eight runs, none twice
    assert again.digest == swept[0].digest


def test_a_path_whose_file_was_changed_is_solved_again(swept):
    result, folder = swept
    path = sorted((folder / "out" / "paths").iterdir())[0]
    whole = path.read_text()
    path.write_text(whole.replace("seconds,price", "seconds,prices"))
    again = sweep_study(folder / "study.toml", workers=1, folder=folder / "out", progress=False)
    assert path.read_text() == whole and again.digest == result.digest
    assert len(lines_of(folder / "out")) == 13


def test_runs_on_a_path_that_does_not_fit_are_kept_and_marked(tmp_path):
    text = STUDY.replace('by = ["depth"]', "tolerance_bp = 0.01\niterations = 1\nslack = 0.0")
    text = text.replace("steps = 120", "steps = 60").replace('"LinearDepth", ', "").replace("replications = 2",
                                                                                            "replications = 1")
    (tmp_path / "study.toml").write_text(text)
    table = sweep_study(tmp_path / "study.toml", workers=1, folder=tmp_path / "out", progress=False).table
    assert list(table["status"]) == ["done", "done"] and not table["path_fits"].any()
    assert (table["path_max_residual_bp"] > 0.01).all() and np.isfinite(table["excess_drawdown"]).all()
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["paths"][0]["path_reason"].startswith("no path fits")


def test_a_scenario_without_bars_has_no_paths_to_solve(tmp_path):
    (tmp_path / "study.toml").write_text(STUDY.replace("black-thursday-2020", "flash-crash"))
    with pytest.raises(InputError, match="no bars to reproduce"):
        study_cells(load_study(tmp_path / "study.toml"))


def test_points_without_the_column_of_their_path_are_refused(tmp_path):
    point = 'replications = 2\npoints = [{"margin.Procyclicality.pi" = 0.3}]'
    (tmp_path / "study.toml").write_text(STUDY.replace("replications = 2", point))
    with pytest.raises(InputError, match="no column that their path could be solved by"):
        load_study(tmp_path / "study.toml")
