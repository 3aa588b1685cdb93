"""`spirals bench`: what it reports and in which form. Figures themselves are not tested: they depend on the machine."""

import json

import pytest

from spirals.scenarios.experiments import bench
from spirals.scenarios.experiments.bench import Row


@pytest.fixture
def small(monkeypatch):
    """Every kind of measurement that needs no fresh process, in a small size."""
    monkeypatch.setattr(bench, "TRADERS", {50: 4})
    monkeypatch.setattr(bench, "REFERENCE", {50: 1})
    monkeypatch.setattr(bench, "USERS", {20: 2})
    monkeypatch.setattr(bench, "BOOK_EVENTS", (2000,))
    monkeypatch.setattr(bench, "COPIED", 60)
    monkeypatch.setattr(bench, "REPETITIONS", 2)
    monkeypatch.setattr(bench, "_crash", lambda: iter(()))
    monkeypatch.setattr(bench, "_starts", lambda: iter(()))


def test_json_is_one_document_with_the_keys_that_others_rely_on(small, capsys):
    assert bench.main(as_json=True) == 0
    printed = json.loads(capsys.readouterr().out)
    for row in printed["rows"]:
        assert {"name", "agents", "agent_steps_per_second", "ratio_to_reference", "target", "met"} <= set(row)
        assert row["value"] > 0
    by_agents = [row for row in printed["rows"] if row["agents"] == 50]
    compiled, ratio, plain = by_agents
    assert compiled["ratio_to_reference"] == ratio["value"]
    assert compiled["agent_steps_per_second"] / plain["agent_steps_per_second"] == pytest.approx(ratio["value"])
    assert ratio["value"] > 1.0


def test_table_shows_targets_beside_figures(small, capsys):
    assert bench.main() == 0
    printed = capsys.readouterr().out
    assert "≥ 8M" in printed
    assert "a user's agent in plain Python" in printed
    assert "copy of a state into an existing one" in printed and "fork of a state" in printed
    assert "≥ 200k" in printed


def test_every_trader_sends_an_order_in_every_step_of_the_measured_market():
    from spirals.agents.model import SpiralModel

    model = SpiralModel(bench.busy_market(60, 5), rng=1, collect_every=0)
    people, sent = model.population, []
    decide = people.decide_group

    def counted(core, group, first, last, orders, n):
        after = decide(core, group, first, last, orders, n)
        if group == 3:
            sent.append(after - n)
        return after

    people.decide_group = counted
    model.run()
    assert sent == [60] * 5


def test_a_target_is_met_from_its_own_side():
    assert Row("a", 6e6, "x", target=6e6).met is True
    assert Row("a", 5.9e6, "x", target=6e6).met is False
    assert Row("a", 0.4, "s", target=0.5, more_is_better=False).met is True
    assert Row("a", 0.6, "s", target=0.5, more_is_better=False).met is False
    assert Row("a", None, "s", target=0.5).met is None
    assert Row("a", 1.0, "s").met is None


def test_a_missing_scenario_is_a_note_and_no_failure(monkeypatch):
    monkeypatch.setattr(bench, "CRASH", "no-such-scenario")
    row, = bench._crash()
    assert row.value is None
    assert "no-such-scenario" in row.note
    assert "no-such-scenario" in bench._table([{**vars(row), "met": row.met}])


def test_a_failing_child_process_says_why():
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        bench._child(["-c", "1 / 0"])
