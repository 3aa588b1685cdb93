"""The shipped scenarios and studies: they load, print themselves back, and the same seed gives the same outcomes."""

import tomllib
from pathlib import Path

import pytest

from spirals.scenarios import load_scenario, load_study, run
from spirals.scenarios.command.show import inputs_text
from spirals.scenarios.inputs.catalogue_index import CATALOGUE, PREFIXES, find_file, names
from spirals.scenarios.inputs.loader import resolve_scenario
from spirals.scenarios.inputs.study import study_cells
from spirals.simulation.errors import InputError
from spirals.simulation.parameters import Part


@pytest.mark.parametrize("name", names("scenario"))
def test_a_shipped_scenario_prints_itself_back(name, tmp_path):
    inputs = resolve_scenario(name)
    again = tmp_path / "again.toml"
    again.write_text(inputs_text(inputs), encoding="utf-8")
    assert resolve_scenario(again).tree == inputs.tree
    assert inputs.name == name and inputs.tree["summary"]
    assert not [path for path in inputs.files() if Path(path).is_absolute()]  # shipped data go by name
    assert isinstance(load_scenario(name), Part)


@pytest.mark.parametrize("name", names("study"))
def test_a_shipped_study_has_cells_that_differ(name):
    study = load_study(name, replications=2)
    cells = study_cells(study, allow_code=True)
    assert study.name == name and len(cells) == 2 * len(study.design())
    points = {str(sorted(cell.columns.items())) for cell in cells}
    assert len(points) == len(study.design())


def test_every_file_of_the_catalogue_is_found_by_name():
    found = [find_file(name, CATALOGUE, kind) for kind in PREFIXES for name in names(kind)]
    assert sorted(found) == sorted(CATALOGUE.glob("*.toml"))


@pytest.mark.parametrize("preset", names("population"))
def test_a_population_preset_goes_over_a_scenario_and_every_number_has_a_source(preset, tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text(f'extends = ["black-thursday-2020", "population-{preset}"]\nname = "mine"\n')
    inputs, alone = resolve_scenario(mine), tomllib.loads(find_file(preset, CATALOGUE, "population").read_text())
    assert {name: inputs.tree["population"][name] for name in alone["population"]} == alone["population"]
    assert set(alone["sources"]) == {f"population.{name}" for name in alone["population"]}
    base = resolve_scenario("black-thursday-2020")
    assert inputs.tree["summary"] == base.tree["summary"] and inputs.tree["depth"] == base.tree["depth"]
    assert inputs.tree["population"]["open_interest"] == 1.0e9
    assert "BitMEX" in inputs_text(inputs) and load_scenario(mine).population.neutral_share == 0.5
    run(load_scenario(mine, {"steps": 5}), 1)


def test_the_leverage_of_2019_liquidates_far_more_than_that_of_2025(tmp_path):
    share = {}
    for preset in ("2019", "2025"):
        mine = tmp_path / "mine.toml"
        mine.write_text(f'extends = ["flash-crash", "population-{preset}"]\n')
        share[preset] = run(load_scenario(mine, {"steps": 600}), 1).outcomes["liquidated_to_opening_oi"]
    assert share["2019"] > 3 * share["2025"]


def test_the_same_seed_gives_the_same_outcomes_and_another_seed_others():
    scenario = load_scenario("flash-crash", {"steps": 20, "population.traders": 50})
    first, again, other = (run(scenario, seed).outcomes for seed in (1, 1, 2))
    assert str(first) == str(again) != str(other)


def test_faults_of_several_files_of_the_user_are_told_together(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("bars.csv").write_text("open_time_ms,open,high,low,close\n1,100,90,95,-3\n2,nan,1,1,1\n")
    Path("depth.csv").write_text("distance_bp,bid_notional\n1,5\n")
    Path("mine.toml").write_text(
        'extends = "black-thursday-2020"\nname = "mine"\n[outside_world]\nfile = "bars.csv"\n'
        '[depth]\ntype = "FileDepth"\nfile = "depth.csv"\n[margin_calls]\ngrace_seconds = -1\n'
    )
    with pytest.raises(InputError) as caught:
        load_scenario("mine.toml")
    text = "\n".join(caught.value.problems)
    assert "bars.csv, line 2" in text and "bars.csv, line 3" in text and "depth.csv: columns must be" in text
    assert "out of range in mine.toml:9 margin_calls.grace_seconds" in text
    Path("positions.csv").write_text("account,size\na,1\n")
    with pytest.raises(InputError, match=r"positions\.csv: columns must be"):
        load_scenario("calm", {"population.positions_file": "positions.csv"})
