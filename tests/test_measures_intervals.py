"""Intervals: exact small cases, and coverage against Monte Carlo."""

import math

import numpy as np
import pytest

from spirals.simulation.measures.amplification import amplification_ratio, ratio_of_means
from spirals.simulation.measures.intervals import (
    bootstrap_interval,
    fieller_interval,
    independent_difference,
    mean_interval,
    paired_difference,
    student_quantile,
    variance_ratio,
)


def test_mean_interval_by_hand():
    # Mean 2, standard deviation 1, standard error 1 / sqrt(3), Student quantile 4.303 with 2 degrees.
    found = mean_interval(np.array([1.0, 2.0, 3.0]))
    assert (found.estimate, found.n) == (2.0, 3)
    assert found.high - 2.0 == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert student_quantile(0.95, 9) == pytest.approx(2.262157, abs=1e-6)


def test_missing_values_are_left_out_and_one_value_has_no_interval():
    assert mean_interval(np.array([1.0, math.nan, 3.0])).n == 2
    single = mean_interval(np.array([5.0]))
    assert single.estimate == 5.0 and math.isnan(single.low)
    assert single.sign == 0
    assert mean_interval(np.array([])).n == 0


def test_pairing_removes_common_noise():
    noise = np.array([0.0, 10.0, -5.0, 3.0])
    effect = np.array([1.0, 1.2, 0.8, 1.0])
    paired = paired_difference(noise + effect, noise)
    apart = independent_difference(noise + effect, noise)
    assert paired.estimate == pytest.approx(1.0) and apart.estimate == pytest.approx(1.0)
    assert paired.sign == 1 and apart.sign == 0
    assert variance_ratio(noise + effect, noise) > 1000


def test_variance_ratio_is_one_for_uncorrelated_runs_and_below_one_for_opposed_ones():
    first = np.array([1.0, 1.0, -1.0, -1.0])
    second = np.array([1.0, -1.0, 1.0, -1.0])
    assert variance_ratio(first, second) == pytest.approx(1.0)
    assert variance_ratio(first, -first) == pytest.approx(0.5)
    assert variance_ratio(first, first + 2.0) == math.inf
    assert math.isnan(variance_ratio(np.ones(3), np.ones(3)))


def test_fieller_interval_covers_the_ratio_as_often_as_it_says():
    # 2,000 samples of 12 correlated normal pairs with ratio of means 1.5. The standard error of the
    # coverage is sqrt(.95 * .05 / 2000) = .0049; the tolerance is three of them.
    rng = np.random.Generator(np.random.Philox(key=7))
    common = rng.standard_normal((2000, 12))
    below = 1.0 + 0.3 * common + 0.2 * rng.standard_normal((2000, 12))
    above = 1.5 + 0.5 * common + 0.3 * rng.standard_normal((2000, 12))
    found = [fieller_interval(a, b) for a, b in zip(above, below, strict=True)]
    covered = sum(one.low <= 1.5 <= one.high for one in found) / len(found)
    assert covered == pytest.approx(0.95, abs=0.015)


def test_fieller_interval_is_unbounded_when_the_denominator_may_be_zero():
    found = fieller_interval(np.array([1.0, 2.0, 1.5]), np.array([1.0, -1.0, 0.3]))
    assert (found.low, found.high) == (-math.inf, math.inf)


def test_fieller_interval_of_an_exact_ratio_is_a_point():
    below = np.array([0.2, 0.3, 0.4])
    found = fieller_interval(2.0 * below, below)
    assert (found.low, found.high) == pytest.approx((2.0, 2.0))


def test_bootstrap_repeats_with_the_same_seed_and_agrees_with_fieller():
    rng = np.random.Generator(np.random.Philox(key=3))
    twin = 0.2 + 0.02 * rng.standard_normal(60)
    full = 1.4 * twin + 0.01 * rng.standard_normal(60)
    first = ratio_of_means(full, twin, method="bootstrap", seed=1)
    assert first == ratio_of_means(full, twin, method="bootstrap", seed=1)
    assert first != ratio_of_means(full, twin, method="bootstrap", seed=2)
    exact = ratio_of_means(full, twin)
    assert (first.low, first.high) == pytest.approx((exact.low, exact.high), rel=0.01)


def test_bootstrap_of_a_mean_has_the_known_standard_error():
    values = np.arange(40.0)
    found = bootstrap_interval((values,), lambda sample: float(sample.mean()), seed=0)
    # Population standard deviation over sqrt(n) = sqrt((40^2 - 1) / 12 / 40); 2,000 resamples: 1.6 % error.
    assert found.standard_error == pytest.approx(math.sqrt(1599 / 12 / 40), rel=0.06)


def test_ratio_is_not_given_when_the_twin_hardly_fell():
    assert math.isnan(amplification_ratio(0.05, 0.0099))
    assert amplification_ratio(0.05, 0.02) == 2.5
    assert math.isnan(ratio_of_means(np.full(5, 0.05), np.full(5, 0.009)).estimate)


def test_ratio_of_means_is_not_the_mean_of_ratios():
    found = ratio_of_means(np.array([0.1, 0.3]), np.array([0.1, 0.1]))
    assert found.estimate == pytest.approx(2.0)
    skewed = ratio_of_means(np.array([0.1, 0.1]), np.array([0.05, 0.2]))
    assert skewed.estimate == pytest.approx(0.8)  # the mean of ratios would say 1.25
