"""Designs and studies: which points are run, with which seeds, under which identity."""

import dataclasses
import math
from pathlib import Path

import pytest
import scenario_toys as toys

from spirals.scenarios.inputs.design import Axis, Range, axes_of, design_points, replication_seed
from spirals.scenarios.inputs.parts import BASES, SLOTS
from spirals.scenarios.inputs.problems import Problems
from spirals.scenarios.inputs.study import load_study, study_cells
from spirals.scenarios.results import identity
from spirals.scenarios.runs.study_sweep import default_folder, study_tasks
from spirals.simulation.errors import InputError


@pytest.fixture
def toy(request, monkeypatch, tmp_path):
    """The toy catalogue, and a folder with a toy scenario and a toy study."""
    for table in (SLOTS, BASES):
        kept = dict(table)
        request.addfinalizer(lambda table=table, kept=kept: (table.clear(), table.update(kept)))
    toys.use_toy_catalogue()
    monkeypatch.chdir(tmp_path)
    Path("toy.toml").write_text(toys.GOOD)
    Path("small.toml").write_text(toys.STUDY)
    return tmp_path


def axes(table):
    problems = Problems()
    found = axes_of(table, ("levers",), problems)
    return found, [str(problem) for problem in problems]


def test_lists_are_crossed_in_the_order_written():
    found, faults = axes({"margin": {"pi": [0.0, 0.5]}, "depth": [{"type": "A"}, {"type": "x.py:B", "label": "b"}]})
    points = design_points(found)
    assert not faults
    assert [point.columns for point in points] == [
        {"margin.pi": 0.0, "depth": "A"}, {"margin.pi": 0.0, "depth": "b"},
        {"margin.pi": 0.5, "depth": "A"}, {"margin.pi": 0.5, "depth": "b"},
    ]
    assert points[1].settings == (("margin.pi", 0.0), ("depth", {"type": "x.py:B", "label": "b"}))


def test_a_value_may_set_several_inputs_and_a_lever_may_have_a_name_of_its_own():
    found, faults = axes({"leverage": {"values": [{"label": "low", "set": {"a": {"b": 1}, "c": 2}}, 7], "path": "x.y"}})
    assert not faults
    assert found == [Axis("leverage", (("low", (("a.b", 1), ("c", 2))), (7, (("x.y", 7),))))]


def test_ranges_are_sampled_within_bounds_every_stratum_once_and_repeatably():
    found, faults = axes({"a": {"low": 1.0, "high": 100.0, "scale": "log"}, "n": {"low": 1, "high": 4, "whole": True},
                          "k": ["x", "y"]})
    assert not faults
    points = design_points(found, samples=16, seed=5)
    assert points == design_points(found, samples=16, seed=5) != design_points(found, samples=16, seed=6)
    assert len(points) == 32
    first = [point.columns for point in points if point.columns["k"] == "x"]
    strata = sorted(int(16 * math.log(point["a"]) / math.log(100.0)) for point in first)
    assert strata == list(range(16))
    assert sorted(point["n"] for point in first) == [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4
    assert len(design_points(found[:1], sampler="sobol", samples=8)) == 8


def test_explicit_points_are_added_and_an_empty_design_is_one_point():
    assert [point.settings for point in design_points([], [{"a": 1, "b": 2}])] == [(("a", 1), ("b", 2))]
    assert len(design_points([])) == 1
    assert Range("a", "a", 0, 3, whole=True).at(1.0) == 3


def test_faults_of_levers_are_told_together():
    _, faults = axes({"a": [], "b": 3, "c": {"low": 2, "high": 1}, "d": {"low": 0, "high": 1, "scale": "log"},
                      "e": {"low": 0, "high": 1, "scale": "cubic"}, "f": {"low": "x", "high": 1}})
    assert len(faults) == 6


def test_replications_share_their_seed_over_the_design_and_differ_from_one_another(toy):
    study = load_study("small.toml")
    cells = study_cells(study)
    assert len(cells) == 2 * 2 * 3
    by_replication = {cell.replication: set() for cell in cells}
    for cell in cells:
        by_replication[cell.replication].add(cell.seed)
    assert [len(seeds) for seeds in by_replication.values()] == [1, 1, 1]
    assert len(set.union(*by_replication.values())) == 3
    assert replication_seed(11, 2) in by_replication[2]
    assert replication_seed(11, 2) != replication_seed(12, 2)
    assert cells[-1].inputs.tree["fund"]["size"] == 9.0 and cells[-1].inputs.tree["mode"] == "slow"
    assert cells[-1].columns == {"policy.Plain.rate": 0.2, "fund": "deep"}


def test_more_replications_keep_the_runs_already_done(toy):
    few = {task.run_id for task in study_tasks(load_study("small.toml"), study_cells(load_study("small.toml")), toy)}
    study = load_study("small.toml", replications=5)
    more = {task.run_id for task in study_tasks(study, study_cells(study), toy)}
    assert len(few) == 12 and len(more) == 20 and few < more


def test_the_identity_of_a_run_changes_with_inputs_code_and_files_but_not_with_their_place(toy, monkeypatch):
    def identities(overrides=()):
        study = load_study("small.toml")
        return [task.run_id for task in study_tasks(study, study_cells(study, overrides), toy)]

    first = identities()
    assert len(set(first)) == 12 and identities() == first
    assert not set(identities(["steps=9"])) & set(first)
    Path("toy.toml").write_text(toys.GOOD.replace("a toy", "the same toy, other words"))
    assert identities() == first
    Path("data").mkdir()
    for path in ("fund.csv", "data/copy.csv"):
        Path(path).write_text("1,2\n")
    with_file = identities(["fund.file=fund.csv"])
    assert identities(["fund.file=data/copy.csv"])[:1] == with_file[:1] != first[:1]
    Path("fund.csv").write_text("1,3\n")
    assert identities(["fund.file=fund.csv"])[0] != with_file[0]
    monkeypatch.setattr("spirals.scenarios.runs.study_sweep.code_digest", lambda: "other code")
    assert not set(identities()) & set(first)


def test_the_digest_of_the_code_covers_simulation_agents_and_what_makes_runs():
    names = {path.relative_to(identity.PACKAGE_ROOT).as_posix() for path in identity.result_sources()}
    assert {"simulation/kernel.py", "simulation/margin/static.py", "scenarios/runs/one_run.py"} <= names
    assert not [name for name in names if "report" in name or "command" in name or name.startswith("tests")]
    assert len(identity.code_digest()) == 20


def test_a_study_tells_all_its_problems(toy):
    Path("bad.toml").write_text(
        'name = "bad"\nscenario = "toy.toml"\nreplications = 0\ntwins = ["T9"]\nreplication = 4\n'
        '[levers]\n"steps" = []\n'
    )
    with pytest.raises(InputError) as caught:
        load_study("bad.toml")
    text = "\n".join(caught.value.problems)
    assert "out of range in bad.toml:3 replications" in text and "out of range in bad.toml:4 twins" in text
    assert "unknown key (did you mean 'replications'?) in bad.toml:5 replication" in text


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('[levers]\n"steps" = 5', "no values in bad.toml:5 levers.steps; allowed: an array of values"),
        ('[levers]\n"steps" = []', "no values in bad.toml:5 levers.steps"),
        ('[levers]\nfund.size = "0.5"', "no values in bad.toml:5 levers.fund.size; "),
        ('[levers]\n"steps" = [5, 5]', "the same value or label twice in bad.toml:5 levers.steps; allowed: "),
        ('[uncertainties]\nsteps = {low = 2, high = 1}', "empty range in bad.toml:5 uncertainties.steps"),
        ('[uncertainties]\nsteps = {low = 0.5, hgh = 1}', "unknown key (did you mean 'high'?) in bad.toml:5"),
        ('[uncertainties]\nsteps = {low = 0.5}', "missing key in bad.toml:5 uncertainties.steps.high"),
        ('[uncertainties]\nsteps = {low = "a", high = 1}', "wrong type in bad.toml:5 uncertainties.steps"),
        ('[uncertainties]\nsteps = {low = 0.5, high = 3, whole = true}', "not a whole number in bad.toml:5"),
        ('[levers]\nsteps = [1]\n[uncertainties]\nsteps = [2]', "varied twice in bad.toml:7 uncertainties.steps"),
        ('outcomes = ["draw_down_mark"]', "unknown outcome (did you mean 'drawdown_mark'?) in bad.toml:4 outcomes"),
        ('lever = "foo"\n[levers]\nsteps = [1, 2]', "not a column of the design in bad.toml:4 lever; allowed: steps"),
    ],
)
def test_a_fault_of_the_design_is_refused_with_its_place(toy, line, expected):
    Path("bad.toml").write_text(f'name = "bad"\nscenario = "toy.toml"\nreplications = 1\n{line}\n')
    with pytest.raises(InputError) as caught:
        load_study("bad.toml")
    assert any(problem.startswith(expected) for problem in caught.value.problems), caught.value.problems


@pytest.mark.parametrize("name", ["", "../up", "/x/y", ".hidden", "a b", "a/b"])
def test_the_name_of_a_study_cannot_leave_the_results_folder(toy, name):
    Path("bad.toml").write_text(f'name = "{name}"\nscenario = "toy.toml"\n')
    with pytest.raises(InputError, match=r"bad name in bad.toml:1 name; allowed: letters, digits"):
        load_study("bad.toml")


def test_known_outcomes_of_twins_and_a_design_from_python_are_checked_too(toy):
    outcomes = '["excess_drawdown", "twin_bad_debt_gross"]'
    stated = f'name = "good"\nscenario = "toy.toml"\noutcomes = {outcomes}\n'
    Path("good.toml").write_text(stated + 'twins = ["T1"]\n')
    study = load_study("good.toml")
    with pytest.raises(InputError, match=r"no values in levers\.steps"):
        study_cells(dataclasses.replace(study, levers={"steps": 5}))


def test_outcomes_against_a_twin_that_is_not_run_are_refused(toy):
    Path("bad.toml").write_text(
        'name = "bad"\nscenario = "toy.toml"\noutcomes = ["drawdown_mark", "excess_drawdown"]\ntwins = ["T2"]\n')
    with pytest.raises(InputError, match=r"twin T1, which the study does not run in bad.toml:3 outcomes") as caught:
        load_study("bad.toml")
    assert len(caught.value.problems) == 1 and "given: 'excess_drawdown'" in caught.value.problems[0]


BLOCKS = """
[levers]
steps = [1, 2, 3]
mode = ["fast", "slow"]
[[blocks]]
name = "fast"
only = {mode = ["fast"]}
[[blocks]]
name = "corner"
replications = 2
only = {steps = [3]}
"""


def test_blocks_give_the_union_of_their_points_once_with_the_replications_of_the_largest(toy):
    Path("good.toml").write_text('name = "good"\nscenario = "toy.toml"\nreplications = 3\n' + BLOCKS)
    study = load_study("good.toml")
    counts = {}
    for cell in study_cells(study):
        place = (cell.columns["steps"], cell.columns["mode"])
        counts[place] = counts.get(place, 0) + 1
        assert cell.inputs.tree["steps"] == place[0] and cell.inputs.tree["mode"] == place[1]
    assert counts == {(1, "fast"): 3, (2, "fast"): 3, (3, "fast"): 3, (3, "slow"): 2}
    assert len(study_cells(load_study("good.toml", replications=1))) == 4


def test_a_study_that_extends_another_replaces_its_blocks_and_keeps_its_axes(toy):
    Path("good.toml").write_text('name = "good"\nscenario = "toy.toml"\nreplications = 3\n' + BLOCKS)
    Path("other.toml").write_text('kind = "study"\nextends = "good.toml"\nname = "other"\n[[blocks]]\nname = "all"\n')
    assert len(load_study("other.toml").design()) == 6


def test_faults_of_blocks_and_of_the_search_for_paths_are_told_together(toy):
    Path("bad.toml").write_text(
        'name = "bad"\nscenario = "toy.toml"\n[deconvolve]\nby = ["dept"]\nprize = 1\ntolerance_bp = 0\n'
        '[levers]\nsteps = [1, 2, 3]\n[[blocks]]\nname = "a"\nreplications = 0\nonly = {stops = [1]}\n'
        '[[blocks]]\nname = "a"\nonly = {steps = [7]}\n')
    with pytest.raises(InputError) as caught:
        load_study("bad.toml")
    text = "\n".join(caught.value.problems)
    for fault in ("wrong number in bad.toml:11", "did you mean 'steps'", "not labels of this axis", "same block twice",
                  "unknown key", "out of range in bad.toml:6 deconvolve.tolerance_bp", "given: 'dept'"):
        assert fault in text, text


def test_points_outside_the_range_are_told_for_all_points(toy):
    Path("bad.toml").write_text(
        'name = "bad"\nscenario = "toy.toml"\n[levers]\nsteps = [0, 5, -1]\nmode = ["fast", "odd"]\n'
    )
    with pytest.raises(InputError) as caught:
        study_cells(load_study("bad.toml"))
    assert len([line for line in caught.value.problems if "out of range" in line]) == 3
    with pytest.raises(InputError, match="override of a lever"):
        study_cells(load_study("small.toml"), ["fund.size=3"])


def test_overrides_get_a_results_folder_of_their_own():
    assert default_folder("small", []) == Path("results/small")
    assert default_folder("small", ["a=1"]) != default_folder("small", ["a=2"]) != Path("results/small")
