"""Early warning: how well and how early a score tells what comes, with intervals over runs."""

import numpy as np
import pytest

from spirals.scenarios import load_scenario
from spirals.scenarios.feedback.early_warning import Looks, auc, roc, warning_quality
from spirals.scenarios.feedback.early_warning_experiment import look_at_runs, warning_table
from spirals.scenarios.feedback.early_warning_ranks import LATER, beginnings, rank_correlation, rank_table
from spirals.scenarios.feedback.early_warning_scores import SCORE_NAMES, Looking, opened
from spirals.scenarios.feedback.stress import stress
from spirals.simulation.errors import InputError


def planted(noise, runs=60, seed=3):
    """Nine looks a run, one a minute; every other run has a cascade at 600 s. `perfect` knows the time left."""
    rng = np.random.Generator(np.random.Philox(key=seed))
    run = np.repeat(np.arange(runs), 9)
    seconds = np.tile(np.arange(1, 10) * 60.0, runs)
    onset = np.where(run % 2 == 0, 600.0, np.inf)
    left = np.minimum(onset - seconds, 1e4)
    scores = {"perfect": -left, "blind": rng.standard_normal(len(run)), "constant": np.zeros(len(run)),
              "noisy": (left <= 180.0) + noise * rng.standard_normal(len(run))}
    return Looks(run, seconds, onset, scores)


def test_the_area_is_that_of_the_pairs_and_ties_count_half():
    scores, labels = np.array([3.0, 1.0, 2.0, 2.0, 0.0]), np.array([True, True, False, False, False])
    pairs = [np.sign(a - b) / 2 + 0.5 for a in scores[labels] for b in scores[~labels]]
    assert auc(scores, labels) == pytest.approx(np.mean(pairs))
    false, true = roc(scores, labels)
    assert np.trapezoid(true, false) == pytest.approx(np.mean(pairs))
    assert (false[0], true[0], false[-1], true[-1]) == (0.0, 0.0, 1.0, 1.0)
    assert np.isnan(auc(scores, np.zeros(5, bool)))


def test_a_score_that_knows_warns_of_every_cascade_as_early_as_asked_and_a_blind_one_does_not():
    found = {one.score: one for one in warning_quality(planted(1.0), 180.0, false_alarm_rate=0.05)}
    assert found["perfect"].auc.estimate == 1.0 and found["perfect"].detected.estimate == 1.0
    assert found["perfect"].lead_seconds.estimate == 180.0
    assert found["perfect"].false_alarms <= 0.05
    assert found["blind"].auc.low < 0.5 < found["blind"].auc.high
    assert found["constant"].auc.estimate == 0.5 and found["constant"].detected.estimate == 0.0
    assert found["constant"].false_alarms == 0.0 and np.isnan(found["constant"].lead_seconds.estimate)
    # Two normal laws one deviation apart: P(X > Y) = Phi(1 / sqrt 2) = .760.
    assert found["noisy"].auc.low < 0.760 < found["noisy"].auc.high
    assert found["noisy"].auc.low > 0.5


def test_the_interval_counts_runs_not_looks():
    """Ten copies of every look say no more than one."""
    one = planted(1.0, runs=20)
    many = Looks(np.repeat(one.run, 10), np.repeat(one.seconds, 10), np.repeat(one.onset, 10),
                 {"noisy": np.repeat(one.scores["noisy"], 10)})
    single = next(found for found in warning_quality(one, 180.0) if found.score == "noisy")
    copied = warning_quality(many, 180.0)[0]
    assert copied.auc.estimate == pytest.approx(single.auc.estimate)
    assert copied.auc.standard_error == pytest.approx(single.auc.standard_error)


def test_bad_questions_are_told_together():
    with pytest.raises(InputError) as caught:
        warning_quality(planted(1.0), -1.0, false_alarm_rate=1.0, resamples=1)
    assert len(caught.value.problems) == 3
    with pytest.raises(InputError, match="in some cases and not in others"):
        warning_quality(planted(1.0), 1.0)
    with pytest.raises(InputError) as caught:
        look_at_runs(load_scenario("flash-crash"), [1], Looking(every_seconds=0.0, branches=1))
    assert len(caught.value.problems) == 2


def test_looks_are_before_the_cascade_and_repeat_themselves():
    scenario = load_scenario("flash-crash", ["population.traders=80", "background.places=60", "steps=420"])
    looking = Looking(within_seconds=120.0, every_seconds=100.0, horizon_seconds=10.0)
    looks, again = (look_at_runs(scenario, [1, 2], looking) for _ in range(2))
    assert (looks.seconds < looks.onset).all() and (looks.onset > 300.0).all()
    assert np.isfinite(looks.onset).any() and set(looks.scores) == set(SCORE_NAMES)
    for name, values in looks.scores.items():
        assert np.isfinite(values).all() and (values == again.scores[name]).all()
    assert (looks.scores["leverage"] > 1.0).all() and (looks.scores["margin_use"] < 1.0).all()
    lines = warning_table(warning_quality(looks, looking.within_seconds, resamples=20))
    assert lines.count("\n") == len(SCORE_NAMES)


def test_rank_correlation_is_that_of_the_ranks():
    x = np.arange(12.0)
    assert rank_correlation(x, np.exp(x)).estimate == pytest.approx(1.0)
    assert rank_correlation(x, -x**3).estimate == pytest.approx(-1.0)
    assert rank_correlation(np.array([1.0, 2.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0, 4.0])).estimate == pytest.approx(
        0.9486833)   # ranks 1, 2.5, 2.5, 4 and 1, 3, 2, 4: sqrt(.9)
    assert np.isnan(rank_correlation(x, np.ones(12)).estimate)
    noise = np.random.Generator(np.random.Philox(key=2)).standard_normal((2, 80))
    found = rank_correlation(*noise)
    assert found.low < 0.0 < found.high and found.high - found.low < 0.6


def test_a_further_move_forces_more_the_larger_it_is_and_leaves_the_run_alone():
    core = opened(load_scenario("flash-crash", ["population.traders=200", "population.long_leverage=15"]), 4)
    core.run(60)
    before = core.market.record.copy()
    none, small, large = (stress(core, move, 30.0) for move in (0.0, -0.02, -0.1))
    assert 0.0 <= none < 0.01 < small < large < 2.0   # at rest a call now and then
    assert (core.market.record == before).all() and core.step_index == 60


def test_a_run_is_looked_at_when_its_crash_begins():
    scenario = load_scenario("flash-crash", ["population.traders=80", "background.places=60", "steps=420"])
    found = beginnings(scenario, [1, 2], Looking(begins=0.02, horizon_seconds=10.0))
    # The script falls 8.3 % over 180 s from 300 s on: 2 % are reached within the first minute of that.
    assert ((found.seconds > 300.0) & (found.seconds < 360.0)).all() and len(found.seconds) == 2
    assert set(found.scores) == set(SCORE_NAMES) and set(found.outcomes) == set(LATER)
    assert all(value > 0.0 for value in found.outcomes["forced_notional"])
    assert rank_table(found).count("\n") == len(SCORE_NAMES)
    assert len(beginnings(scenario, [1], Looking(begins=0.5)).seconds) == 0
