"""Measures of a price, rate or depth path, with the arithmetic by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spirals.simulation.measures.drawdown import max_drawdown, max_run_up, overshoot, trough
from spirals.simulation.measures.liquidity import (
    depth_left,
    max_relative_spread,
    one_sided_share,
    recovery_half_life,
)
from spirals.simulation.measures.procyclicality import (
    breaches,
    christoffersen,
    kupiec,
    largest_rise,
    mean_extra_margin,
    peak_to_trough,
)

V_SHAPE = np.array([100.0, 90.0, 80.0, 90.0, 100.0])
paths = st.lists(st.floats(1.0, 1000.0), min_size=2, max_size=40).map(np.array)


def test_drawdown_of_a_v_shape_is_the_log_of_peak_over_trough():
    assert max_drawdown(V_SHAPE) == math.log(100 / 80)
    assert max_run_up(V_SHAPE) == math.log(100 / 80)
    assert trough(V_SHAPE) == (0, 2)


def test_drawdown_is_measured_from_the_running_peak_not_from_the_opening():
    path = np.array([100.0, 95.0, 200.0, 150.0, 160.0, 90.0, 95.0])
    assert max_drawdown(path) == math.log(200 / 90)
    assert max_run_up(path) == math.log(200 / 95)


def test_a_rising_path_has_no_drawdown_and_a_falling_one_no_run_up():
    rising = np.array([1.0, 2.0, 2.0, 3.0])
    assert max_drawdown(rising) == 0.0
    assert max_run_up(rising[::-1]) == 0.0
    assert trough(rising) == (0, 0)


def test_steps_without_a_price_are_left_out():
    assert max_drawdown(np.array([math.nan, 0.0, 100.0, math.nan, 50.0])) == math.log(2)
    assert math.isnan(max_drawdown(np.zeros(3)))


@settings(max_examples=50)
@given(paths)
def test_drawdown_equals_the_definition_and_the_mirrored_run_up(path):
    worst = max(math.log(path[s] / path[t]) for t in range(len(path)) for s in range(t + 1))
    assert max_drawdown(path) == pytest.approx(worst, abs=1e-12)
    assert max_run_up(1.0 / path) == pytest.approx(max_drawdown(path), abs=1e-12)


def test_overshoot_is_the_largest_fall_below_the_reference_and_never_negative():
    mark, index = np.array([100.0, 80.0, 95.0]), np.array([100.0, 90.0, 94.0])
    assert overshoot(mark, index) == math.log(90 / 80)
    assert overshoot(index * 2, index) == 0.0


def test_recovery_of_a_v_shape_takes_until_half_of_the_log_fall_is_back():
    # Half-way is sqrt(100 * 80) = 89.4: reached by 90, one step of 2 s after the trough.
    assert recovery_half_life(V_SHAPE, 2.0) == 2.0
    # Half-way of the level is 90: also one step.
    assert recovery_half_life(V_SHAPE, 2.0, logarithmic=False) == 2.0


def test_recovery_is_nan_without_a_fall_and_without_a_recovery():
    assert math.isnan(recovery_half_life(np.array([1.0, 2.0]), 1.0))
    assert math.isnan(recovery_half_life(np.array([100.0, 80.0, 81.0]), 1.0))


def test_depth_that_vanished_still_has_a_half_life():
    assert recovery_half_life(np.array([10.0, 0.0, 0.0, 4.0, 5.0]), 1.0, logarithmic=False) == 3.0


def test_depth_left_is_the_lowest_one_minute_mean_over_the_median_of_the_first_minute():
    depth = np.array([90.0, 100.0, 110.0, 25.0, 60.0])  # lowest mean of two rows of 30 s: (25 + 60) / 2
    assert depth_left(depth, step_seconds=30.0) == pytest.approx(0.425)
    assert depth_left(depth, step_seconds=60.0) == pytest.approx(25.0 / 95.0)
    assert math.isnan(depth_left(np.zeros(4), 1.0))


def test_spread_is_relative_to_the_mid_and_an_empty_side_is_counted_apart():
    spread, mid = np.array([1.0, math.nan, 4.0, 2.0]), np.array([100.0, 100.0, 200.0, 50.0])
    assert max_relative_spread(spread, mid) == 0.04
    assert one_sided_share(spread) == 0.25
    assert math.isnan(max_relative_spread(np.full(2, math.nan), mid[:2]))


def test_a_static_rate_has_peak_to_trough_one_and_never_rises():
    static = np.full(50, 0.05)
    assert peak_to_trough(static) == 1.0
    assert [largest_rise(static, n) for n in (1, 5, 100)] == [0.0, 0.0, 0.0]
    assert mean_extra_margin(static) == pytest.approx(0.0, abs=1e-17)


def test_rises_are_counted_within_n_periods():
    rate = np.array([0.05, 0.04, 0.06, 0.07, 0.03, 0.08])
    assert peak_to_trough(rate) == 0.08 / 0.03
    assert largest_rise(rate, 1) == pytest.approx(0.05)  # .03 -> .08
    assert largest_rise(np.array([0.05, 0.06, 0.06, 0.09]), 1) == pytest.approx(0.03)
    assert largest_rise(np.array([0.05, 0.06, 0.06, 0.09]), 2) == pytest.approx(0.03)
    assert largest_rise(np.array([0.05, 0.06, 0.06, 0.09]), 3) == pytest.approx(0.04)
    assert mean_extra_margin(rate, reference=0.05) == pytest.approx(0.005)


@settings(max_examples=50)
@given(paths, st.integers(1, 60))
def test_largest_rise_equals_its_definition(path, periods):
    worst = max(path[t] - path[s] for t in range(len(path)) for s in range(max(0, t - periods), t + 1))
    assert largest_rise(path, periods) == worst


# Likelihood ratios for 250 days at 1 %, Jorion (2007), Value at Risk, 3rd ed., chapter 6 (recomputed:
# no breach gives -2 * 250 ln .99 = 5.025).
@pytest.mark.parametrize(("count", "ratio"), [(0, 5.025), (1, 1.176), (2, 0.108), (3, 0.095), (4, 0.769),
                                              (5, 1.957), (6, 3.555), (7, 5.497)])
def test_kupiec_gives_the_known_ratios_for_250_days_at_one_percent(count, ratio):
    assert kupiec(250, count, 0.01).statistic == pytest.approx(ratio, abs=6e-4)


def test_kupiec_accepts_the_published_range_of_breaches():
    # Kupiec (1995), 95 % test, 1,000 observations at 1 %: accepted for 4 < x < 17.
    accepted = [count for count in range(30) if kupiec(1000, count, 0.01).p_value > 0.05]
    assert (accepted[0], accepted[-1]) == (5, 16)


def test_kupiec_names_bad_input():
    with pytest.raises(ValueError, match="probability"):
        kupiec(10, 1, 1.0)


def test_clustered_breaches_fail_independence_and_scattered_ones_pass():
    clustered = np.zeros(500, bool)
    clustered[100:105] = True
    scattered = np.zeros(500, bool)
    scattered[::100] = True
    assert christoffersen(clustered, 0.01)[0].p_value < 1e-4
    independence, joint = christoffersen(scattered, 0.01)
    assert independence.p_value > 0.5
    assert joint.statistic == pytest.approx(independence.statistic + kupiec(500, 5, 0.01).statistic)


def test_christoffersen_independence_by_hand():
    # Transitions of 0 1 1 0 0 1: 00 once, 01 twice, 11 once, 10 once; pooled share of ones 3/5.
    chain = math.log(1 / 3) + 2 * math.log(2 / 3) + math.log(1 / 2) + math.log(1 / 2)
    pooled = 2 * math.log(2 / 5) + 3 * math.log(3 / 5)
    assert christoffersen([0, 1, 1, 0, 0, 1], 0.5)[0].statistic == pytest.approx(2 * (chain - pooled))


def test_breaches_are_losses_above_the_margin():
    assert breaches(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0])).tolist() == [False, False, True]
