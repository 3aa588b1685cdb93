"""Crashes drawn by seed: they follow the stated law, do not depend on the policy, and are told in the outcomes."""

import math

import numpy as np
import pytest
from scipy import stats

from spirals.scenarios import load_scenario, run
from spirals.simulation.errors import InputError
from spirals.simulation.market.outside_world import OutsidePath
from spirals.simulation.market.random_crash import DrawnCrash, RandomCrash, drawn_shocks, truncated_pareto
from spirals.simulation.market.shocks import DepthWithdrawal, PriceJump, apply_price_shocks


def crash_of(seed, **parameters):
    return RandomCrash(**parameters).drawn(seed)[0]


def moves(crash, seconds, step_seconds):
    flat = OutsidePath(np.full((round(seconds / step_seconds) + 1, 1), 100.0), step_seconds)
    return np.log(apply_price_shocks(flat, [crash]).price[:, 0] / 100.0)


@pytest.mark.parametrize("exponent", [0.0, 2.0])
def test_the_draws_follow_the_stated_laws(exponent):
    # 2,000 seeds; Kolmogorov's distance has standard deviation about .006, its 99.9 % point is .0436.
    drawn = [crash_of(seed, size_exponent=exponent) for seed in range(2000)]
    size = np.abs([crash.size for crash in drawn])
    law = (np.log(size / 0.05) / np.log(7.0) if exponent == 0.0
           else (1 - (size / 0.05) ** -exponent) / (1 - 7.0**-exponent))
    uniform = {
        "size": law,
        "duration": np.log([crash.ramp_seconds / 60.0 for crash in drawn]) / math.log(40.0),
        "gap": np.array([crash.gap_share for crash in drawn]) / 0.5,
        "place of the gap": np.array([crash.gap_after / crash.ramp_seconds for crash in drawn]),
        "rebound": np.array([crash.rebound for crash in drawn]) / 0.7,
        "its duration": np.log([crash.rebound_seconds / 60.0 for crash in drawn]) / math.log(30.0),
        "start": (np.array([crash.at for crash in drawn]) - 60.0) / 300.0,
    }
    for name, values in uniform.items():
        assert stats.kstest(values, "uniform").statistic < 0.0436, name
    for name, values in uniform.items():   # independent of the size; 3.3 standard deviations of 1 / sqrt(2000)
        assert name == "size" or abs(stats.spearmanr(values, law).statistic) < 0.074, name
    assert np.mean([crash.size > 0 for crash in drawn]) == pytest.approx(0.2, abs=3.3 * math.sqrt(0.16 / 2000))


def test_the_pareto_law_meets_its_bounds_and_tends_to_log_uniform():
    assert truncated_pareto(1e-12, 0.05, 0.35, 2.0) == pytest.approx(0.05)
    assert truncated_pareto(1.0, 0.05, 0.35, 2.0) == pytest.approx(0.35)
    assert truncated_pareto(0.3, 0.05, 0.35, 1e-7) == pytest.approx(truncated_pareto(0.3, 0.05, 0.35, 0.0), rel=1e-5)


def test_the_path_has_ramp_gap_and_rebound_as_drawn():
    crash = DrawnCrash(at=10.0, size=-0.2, ramp_seconds=10.0, gap_share=0.5, gap_after=4.0, rebound=0.5,
                       rebound_seconds=20.0)
    path = moves(crash, 60.0, 1.0)
    assert path[10] == 0.0 and path[14] == pytest.approx(-0.04) and path[15] == pytest.approx(-0.15)
    assert path[20] == pytest.approx(-0.2) and path[30] == pytest.approx(-0.15) and path[-1] == pytest.approx(-0.1)


def test_the_step_length_moves_a_crash_by_one_step_at_most():
    for seed in range(20):
        crash = crash_of(seed, gap_share_high=0.0)
        fine, coarse = moves(crash, 5000.0, 0.25), moves(crash, 5000.0, 5.0)
        speed = abs(crash.size) * (1.0 / crash.ramp_seconds + 1.0 / crash.rebound_seconds)
        assert np.abs(fine[::20] - coarse).max() <= 5.0 * speed + 1e-12
        with_gap = crash_of(seed)
        assert moves(with_gap, 5000.0, 0.25)[-1] == pytest.approx(moves(with_gap, 5000.0, 5.0)[-1], abs=1e-12)


def test_a_changed_law_keeps_every_other_draw_and_places_draw_independently():
    one, other = crash_of(7), crash_of(7, size_high=0.2, up_share=0.9)
    assert (one.ramp_seconds, one.rebound, one.at) == (other.ramp_seconds, other.rebound, other.at)
    assert abs(one.size) != abs(other.size)
    first, second = drawn_shocks([RandomCrash(), RandomCrash()], 7)
    assert first == one and first.ramp_seconds != second.ramp_seconds
    scripted = PriceJump()
    assert drawn_shocks([scripted], 7) == (scripted,)


def test_depth_leaves_with_the_crash_and_comes_back_after_it():
    crash, gone = RandomCrash(withdrawn=0.5, withdrawn_after=100.0).drawn(3)
    assert isinstance(gone, DepthWithdrawal) and gone.fraction == 0.5
    assert gone.at == crash.at and gone.duration == crash.ramp_seconds + 100.0


def test_bounds_in_the_wrong_order_are_told_all_at_once():
    with pytest.raises(InputError) as error:
        RandomCrash(size_low=0.4, rebound_low=0.9)
    assert len(error.value.problems) == 2


def test_a_seed_meets_the_same_crash_under_every_policy_and_in_the_twin_and_the_outcomes_tell_it():
    def outcomes(seed, *overrides):
        given = ["steps=600", "population.traders=100", "background.places=56", *overrides]
        result = run(load_scenario("crash-ensemble", given), seed, twins=["T1"])
        paths = [record.price("exogenous") for record in (result.record, result.twins["T1"])]
        return result.outcomes, *paths

    responsive, path, twin = outcomes(5)
    static, other, _ = outcomes(5, "margin.Procyclicality.pi=0", "depth.share_of_open_interest=0.06")
    assert responsive["forced_notional"] != static["forced_notional"]   # the policy and the depth did differ
    drawn = load_scenario("crash-ensemble").shocks[0].drawn(5)[0]
    for found in (responsive, static):
        assert found["crash_size"] == drawn.size and found["crash_seconds"] == drawn.ramp_seconds
        assert found["crash_at_seconds"] == drawn.at and found["crash_rebound"] == drawn.rebound
    assert outcomes(6)[0]["crash_size"] != drawn.size
    assert np.array_equal(path, other) and np.array_equal(path, twin)


def test_a_scenario_without_a_random_crash_tells_none():
    found = run(load_scenario("flash-crash", ["steps=5"]), 1).outcomes
    assert all(math.isnan(found[name]) for name in found if name.startswith("crash_"))
