"""Impulse responses: on a linear book they are what arithmetic says; on a crash they leave the run alone; the verb."""

import json

import numpy as np
import pytest

from spirals.scenarios.command.entry import main
from spirals.scenarios.feedback.impulse import Impulse, ProbeAt, _pooled, impulses
from spirals.scenarios.feedback.probe import RESPONSES, Response
from spirals.scenarios.inputs.loader import resolve_scenario
from spirals.scenarios.reports.figures_impulse import impulse_figure
from spirals.simulation.measures.intervals import Interval

SMALL = ["flash-crash", "-s", "population.traders=100", "-s", "steps=420"]
SHORT = ["--at", "330", "--horizon", "20", "--replications", "2", "--quiet"]


def response(forced, size=100.0):
    paths = {name: np.array([0.0, forced if name == "forced" else 1.0]) for name in RESPONSES}
    errors = {name: np.array([0.0, 7.0]) for name in RESPONSES}
    n = forced / (size + forced)
    return size, Response(3, np.array([1.0, 2.0]), paths, errors, Interval(n, n, n, 0.0, 2),
                          Interval(forced / size, 0.0, 0.0, 0.0, 2))


def test_over_seeds_the_closed_gain_is_a_ratio_of_means_and_errors_are_those_between_seeds():
    found = _pooled("sell", 60.0, [response(20.0), response(100.0)])
    assert found.mean["forced"].tolist() == [0.0, 60.0] and found.error["forced"].tolist() == [0.0, 40.0]
    assert found.error["mark"].tolist() == [0.0, 0.0] and found.size == 100.0
    assert found.closed.estimate == pytest.approx(60.0 / 160.0)      # the mean of ratios would be .333
    assert found.opened.estimate == pytest.approx(0.6)


def test_of_one_seed_errors_and_intervals_are_those_of_its_forks():
    found = _pooled("buy", 0.0, [response(20.0)])
    assert found.error["mark"].tolist() == [0.0, 7.0] and found.closed.n == 2


def test_a_sale_lowers_the_mark_a_purchase_raises_it_and_in_calm_nothing_is_set_off():
    inputs = resolve_scenario("calm", ["population.traders=100", "steps=200"])
    sell, buy = impulses(inputs, ProbeAt(horizon_seconds=15.0), [100.0], [1, 2])
    assert (sell.side, buy.side) == ("sell", "buy") and sell.seconds.tolist() == list(range(1, 16))
    # the probe is as large as the whole depth within 1 %: the second in which it ends moves the mark by basis points
    assert sell.mean["mark"][4] < -5e-5 < 5e-5 < buy.mean["mark"][4]
    assert sell.mean["depth"][4] < -0.5 and buy.mean["depth"][4] < -0.5
    assert np.abs(sell.mean["forced"]).max() <= 0.01 * sell.size


def test_several_moments_of_one_run_are_those_of_runs_probed_once():
    inputs = resolve_scenario("flash-crash", ["population.traders=100", "steps=420"])
    probe = ProbeAt(horizon_seconds=20.0)
    both = impulses(inputs, probe, [310.0, 350.0], [1], ["sell"])
    for one in both:
        (alone,) = impulses(inputs, probe, [one.at_seconds], [1], ["sell"])
        assert alone.mean["mark"].tolist() == one.mean["mark"].tolist() and alone.opened == one.opened


def test_the_verb_writes_table_and_figure_and_says_what_the_probe_was(tmp_path, capsys):
    assert main(["probe", *SMALL, *SHORT, "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "5 % of the opening open interest" in told and "gain, open loop" in told
    document = json.loads((tmp_path / "out" / "probe.json").read_text())
    assert [row["side"] for row in document["responses"]] == ["sell", "buy"]
    lines = (tmp_path / "out" / "response.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * 20 and lines[0].startswith("at_seconds,side,seconds,mark")
    assert (tmp_path / "out" / "response.svg").read_text().startswith("<?xml")


def test_panels_in_which_nothing_moves_show_no_rounding():
    still = {name: np.zeros(3) for name in RESPONSES} | {"mark": np.array([0.0, 1e-3, 2e-3])}
    zero = Interval(0.0, 0.0, 0.0, 0.0, 2)
    found = [Impulse(side, at, 1.0, np.arange(1.0, 4.0), still, {name: np.zeros(3) for name in RESPONSES}, zero, zero)
             for at in (60.0, 120.0) for side in ("sell", "buy")]
    mark, rate, *_ = impulse_figure(found).axes
    assert mark.get_ylim()[1] > 20.0 and max(map(abs, rate.get_ylim())) > 0.01


def test_bad_questions_are_told_together(capsys):
    status = main(["probe", "flash-crash", "--at", "99999,-1", "--size", "2", "--horizon", "0", "--branches", "1"])
    told = capsys.readouterr().err
    assert status == 2 and "--branches" in told
    status = main(["probe", "flash-crash", "--at", "99999,-1", "--size", "2", "--horizon", "0"])
    told = capsys.readouterr().err
    assert status == 2 and told.count("--at") == 2 and "--size" in told and "--horizon" in told
    assert main(["probe", "flash-crash", "--over", "30", "--horizon", "20"]) == 2
    assert "at most --horizon" in capsys.readouterr().err
