"""Attribution of whole runs: shared simulations, causes, spirals, groups, sampling, studies and their intervals."""

import dataclasses
import json
import math

import numpy as np
import pandas as pd
import pytest

from spirals.scenarios import load_scenario, run
from spirals.scenarios.analysis.attribution_effects import channel_readings, level_intervals, spiral_total, twin_pairing
from spirals.scenarios.command.entry import main
from spirals.scenarios.feedback import stability as stability_module
from spirals.scenarios.inputs.faults import channels_of
from spirals.scenarios.inputs.loader import resolve_scenario
from spirals.scenarios.inputs.study import load_study
from spirals.scenarios.reports.write import write_report
from spirals.scenarios.runs import single_run
from spirals.scenarios.runs.attribution import ATTRIBUTED, attribute_causes, attribute_run, check_causes, share_out
from spirals.scenarios.runs.attribution_columns import columns_of, interaction_column, level_column, reading_column
from spirals.scenarios.runs.one_run import run_cell
from spirals.scenarios.runs.study_sweep import sweep_study
from spirals.simulation.errors import InputError
from spirals.simulation.measures.attribution import attribute, sub_game

SMALL = ["population.traders=200", "steps=620"]   # into the scripted fall of 300-480 s
CHANNELS = ("mark", "margin", "depth", "index")


@pytest.fixture(scope="module")
def crash():
    return load_scenario("flash-crash", overrides=SMALL)


@pytest.fixture(scope="module")
def attributed(crash):
    return run(crash, 1, twins=["T2"], channels=None)


def test_four_channels_take_seventeen_runs_and_leave_every_outcome_as_it_was(crash, attributed):
    plain = run(crash, 1, twins=["T1", "T2"])
    assert attributed.channels.runs == 17 and attributed.channels.channels == CHANNELS
    assert set(attributed.twins) == {"T1", "T2"}
    np.testing.assert_equal(attributed.outcomes, plain.outcomes)
    assert attributed.channels.levels() == attribute_run(crash, 1).levels() == attributed.attribution


def test_levels_of_shock_direct_impact_and_channels_add_up_to_the_outcome(attributed):
    assert set(attributed.attribution) == set(ATTRIBUTED)
    for name, levels in attributed.attribution.items():
        assert list(levels) == ["shock", "direct", *CHANNELS]
        assert math.fsum(levels.values()) == pytest.approx(attributed.outcomes[name], rel=1e-12, abs=1e-9)
    assert attributed.attribution["drawdown_mark"]["shock"] == attributed.outcomes["twin_drawdown_mark"]


def test_the_two_spirals_and_their_interaction_are_those_of_a_run_with_these_channels_alone(crash, attributed):
    alone = attribute_run(crash, 1, ("mark", "margin"))
    for name, split in attributed.channels.spirals.items():
        assert split == alone.spirals[name]
        assert split["loss"] + split["margin"] + split["interaction"] == pytest.approx(split["both"], abs=1e-6)
        assert split["loss"] == alone.found[name].first_in["mark"]
    assert sub_game(("a", "b", "c"), ("c",)) == [0b011, 0b111]


def test_causes_share_out_what_the_impact_of_forced_orders_made(crash):
    found = attribute_causes(crash, 1)
    assert found.channels == ("liquidation", "call_response", "leverage_target", "stop_loss") and found.runs == 17
    measured = run(crash, 1, twins=["T1"]).outcomes
    for name, levels in found.levels().items():
        assert levels["direct"] == 0.0   # with every cause off nothing but the twin is left
        assert math.fsum(levels.values()) == pytest.approx(measured[name], rel=1e-12, abs=1e-9)
    assert found.found["forced_notional"].shapley["liquidation"] != 0.0
    assert "call_response" in check_causes(dataclasses.replace(
        crash, population=dataclasses.replace(crash.population, reduce=0.0)), ["call_response"])[0]


def test_groups_give_owen_values_that_add_up_and_must_be_a_partition(crash):
    found = attribute_run(crash, 1, ("mark", "margin", "index"), groups=(("mark", "margin"), ("index",)),
                          outcomes=("drawdown_mark",))
    assert math.fsum(found.owen["drawdown_mark"].values()) == pytest.approx(found.found["drawdown_mark"].total)
    assert "owen" in found.detail()["drawdown_mark"]
    with pytest.raises(InputError, match="every player once"):
        attribute_run(crash, 1, ("mark", "margin"), groups=(("mark",),))


def test_more_than_six_players_are_sampled_with_intervals_and_still_add_up(crash, attributed):
    # The game is made up: what is tested is what is asked of it, not the market.
    players, asked = (*CHANNELS, "liquidation", "call_response", "stop_loss"), []

    def finish(setup, loop):
        asked.append((loop.cut, setup.engine.shadow_causes))
        return attributed.record if len(asked) % 2 else attributed.twins["T1"]

    tape = np.zeros(0)
    found = share_out(crash, players, attributed.twins["T1"], tape, finish, full=attributed.record,
                      outcomes=("drawdown_mark",))
    one = found.found["drawdown_mark"]
    assert len(asked) == len(set(asked)) == found.runs - 2 < 2**7
    assert math.fsum(one.shapley.values()) == pytest.approx(one.total, abs=1e-12)
    assert set(one.intervals) == set(players) and one.interaction == {}
    assert found.detail()["drawdown_mark"]["interval"]["mark"][0] < one.shapley["mark"]


@pytest.mark.parametrize(("text", "twins", "expected"), [
    (None, False, ((), ())), (None, True, (None, ())), ("none", True, ((), ())),
    ("mark, margin", False, (("mark", "margin"), ())),
    ("mark+index,margin", True, (("mark", "index", "margin"), (("mark", "index"), ("margin",)))),
])
def test_the_command_line_names_channels_and_groups(text, twins, expected):
    assert channels_of(text, twins) == expected


def test_a_channel_that_the_venue_lacks_is_refused_with_status_two(capsys):
    assert main(["run", "flash-crash", "--channels", "hedge,weather", "--steps", "5", "-q"]) == 2
    told = capsys.readouterr().err
    assert "lacks (nobody holds hedges" in told and "unknown channel" in told and "Traceback" not in told


def test_the_run_that_the_command_keeps_is_told_in_its_report(tmp_path, monkeypatch):
    monkeypatch.setattr(stability_module, "PROBES", 4)
    monkeypatch.setattr(stability_module, "BRANCHES", 2)
    inputs = resolve_scenario("flash-crash", SMALL)
    single_run.run_inputs(inputs, 1, twins=("T1",), channels=("mark", "margin"), causes=("liquidation",),
                          folder=tmp_path)
    kept = json.loads((tmp_path / "run.json").read_text())
    assert set(kept["attribution_detail"]["drawdown_mark"]) == {
        "first_in", "shapley", "last_out", "interaction", "spirals"}
    assert len(kept["stability"]["rows"]) == 4
    page = write_report(tmp_path).read_text()
    for words in ("Loss spiral and margin spiral", "Last out", "By cause of forced flow", "Who set off whom",
                  "Proximate", "Count estimator", "brought forward", "averted", "How near to instability",
                  "of the opening open interest sold within"):
        assert words in page, words
    events = pd.read_parquet(tmp_path / "genealogy.parquet")
    assert len(events) == kept["outcomes"]["liquidation_events"] > 0


def test_a_cell_of_a_study_gives_a_column_per_channel(crash, attributed):
    row = run_cell({"inputs": resolve_scenario("flash-crash", SMALL).tree, "seed": 1, "twins": ["T1"], "tables": [],
                    "attribution": list(CHANNELS), "run_id": "", "folder": ""})
    assert row["attribution_drawdown_mark_margin"] == attributed.attribution["drawdown_mark"]["margin"]
    one = attributed.channels.found["forced_notional"]
    assert row[reading_column("last_out", "forced_notional", "mark")] == one.last_out["mark"]
    assert row[interaction_column("forced_notional", "mark", "index")] == one.interaction["mark", "index"]
    assert {name for name in row if name.startswith("attribution_")} == set(columns_of(attributed.channels))


def test_a_study_with_a_channel_that_a_point_lacks_is_refused_before_anything_is_run(tmp_path):
    study = tmp_path / "mine.toml"
    study.write_text('kind = "study"\nname = "mine"\nscenario = "flash-crash"\nattribution = ["index"]\n'
                     'twins = ["T1"]\n[levers]\n"price_feed.index_feedback" = [0.0, 0.4]\n')
    with pytest.raises(InputError, match="index_feedback is 0"):
        sweep_study(study, folder=tmp_path / "out", workers=1)
    assert not (tmp_path / "out").exists()
    study.write_text(study.read_text().replace('twins = ["T1"]\n', ""))
    with pytest.raises(InputError, match="twin T1, which the study does not run"):
        load_study(study)


def noisy_runs(rng, replications, names, truth, outcome):
    """Return a table of replications of a game whose values carry noise, part of it shared within a replication."""
    rows = []
    for _ in range(replications):
        values = truth + rng.normal(0.0, 1.0) + rng.normal(0.0, 0.5, len(truth))
        shares = attribute(names, values)
        row = {level_column(outcome, "shock"): 3.0, level_column(outcome, "direct"): values[0] - 3.0}
        row |= {level_column(outcome, name): value for name, value in shares.shapley.items()}
        row |= {reading_column("first_in", outcome, name): value for name, value in shares.first_in.items()}
        row |= {reading_column("last_out", outcome, name): value for name, value in shares.last_out.items()}
        row |= {interaction_column(outcome, *pair): value for pair, value in shares.interaction.items()}
        rows.append(row)
    return pd.DataFrame(rows)


def test_intervals_of_a_studys_attribution_cover_the_truth_at_their_nominal_rate():
    # Seed 1: 200 studies of 8 replications, a known game with normal noise, so Student intervals are exact. Of 200
    # intervals at 95 % between 179 and 198 cover the truth with probability .999 (binomial).
    rng, names, outcome = np.random.default_rng(1), ("mark", "margin", "depth"), "drawdown_mark"
    truth = rng.normal(0.0, 2.0, 8)
    exact = attribute(names, truth)
    covered = dict.fromkeys([*names, "first mark", "last mark", "mark x depth", "all"], 0)
    for _ in range(200):
        runs = noisy_runs(rng, 8, names, truth, outcome)
        levels = level_intervals(runs, outcome, names)
        readings, pairs = channel_readings(runs, outcome, names)
        asked = {**{name: (levels[name], exact.shapley[name]) for name in names},
                 "first mark": (readings["first_in"]["mark"], exact.first_in["mark"]),
                 "last mark": (readings["last_out"]["mark"], exact.last_out["mark"]),
                 "mark x depth": (pairs["mark", "depth"], exact.interaction["mark", "depth"]),
                 "all": (spiral_total(runs, outcome, names), truth[7] - 3.0)}
        for key, (interval, value) in asked.items():
            covered[key] += interval.low <= value <= interval.high
    assert all(179 <= count <= 198 for count in covered.values()), covered


def test_pairing_with_the_twin_buys_nothing_where_draws_have_nothing_in_common():
    rng = np.random.default_rng(2)
    shared, own = rng.normal(size=4000), rng.normal(size=(2, 4000))
    part = pd.DataFrame({"drawdown_mark": shared + 0.1 * own[0], "twin_drawdown_mark": shared + 0.1 * own[1],
                         "forced_notional": own[0], "twin_forced_notional": own[1]})
    ratios = twin_pairing(part)   # 2 (1 + .01) / .02 and 1, known to a few per cent of 4,000 draws
    assert ratios["drawdown_mark"] == pytest.approx(101.0, rel=0.1)
    assert ratios["forced_notional"] == pytest.approx(1.0, rel=0.1)
    assert twin_pairing(part[["drawdown_mark"]]) == {}
