"""Laws of cascade sizes: fits against simulated branching, and what the count estimator makes of no branching."""

import math

import numpy as np
import pytest

from spirals.simulation.measures.branching import (
    borel_cutoff,
    count_ratio,
    fit_borel,
    fit_generalised_poisson,
    fit_power_law,
    survival,
)


def cascades(n, seeds, rng):
    """Return the sizes of cascades with Poisson children, from that many seeds each."""
    alive, sizes = np.array(seeds), np.array(seeds)
    while alive.any():
        alive = rng.poisson(n * alive)
        sizes = sizes + alive
    return sizes


@pytest.mark.parametrize("n", [0.3, 0.6, 0.9])
def test_borel_sizes_give_their_branching_ratio_back(n):
    # Seed 1, 2,000 cascades: 3 standard errors.
    found = fit_borel(cascades(n, np.ones(2000, int), np.random.default_rng(1)))
    assert abs(found.estimate - n) < 3.0 * found.standard_error
    assert found.standard_error == pytest.approx(math.sqrt(n * (1.0 - n) / 2000), rel=0.1)


def test_the_standard_error_of_borels_fit_is_the_spread_of_its_estimates():
    # Seed 2, 300 samples of 200: the spread of 300 values is known to 1 / sqrt(600) = 4 %; 3.5 of them.
    rng = np.random.default_rng(2)
    found = [fit_borel(cascades(0.7, np.ones(200, int), rng)).estimate for _ in range(300)]
    assert np.std(found, ddof=1) == pytest.approx(math.sqrt(0.7 * 0.3 / 200), rel=0.14)


@pytest.mark.parametrize("n", [0.0, 0.4, 0.8])
def test_generalised_poisson_sizes_give_ratio_and_seeds_back(n):
    # Seed 3, 3,000 shocks with 2 seeds each on average: 3.5 standard errors (asymptotic .02 where n = 0).
    rng = np.random.default_rng(3)
    found = fit_generalised_poisson(cascades(n, rng.poisson(2.0, 3000), rng))
    error = 0.02 if n == 0.0 else found.n.standard_error
    assert abs(found.n.estimate - n) < 3.5 * error
    assert found.theta == pytest.approx(2.0, rel=0.1)


def test_the_tail_of_borels_law_has_exponent_three_halves_and_its_cut_off():
    # Seed 4, 60,000 cascades at n = .9, sizes from 10: 3.5 standard errors and .02 of the factor 1 + 1 / (12 s).
    sizes = cascades(0.9, np.ones(60_000, int), np.random.default_rng(4))
    found = fit_power_law(sizes, least=10)
    assert abs(found.exponent.estimate - 1.5) < 3.5 * found.exponent.standard_error + 0.02
    assert found.exponent.standard_error < 0.08
    assert found.cutoff == pytest.approx(borel_cutoff(0.9), rel=0.15)


def test_a_pure_power_law_has_no_cut_off_that_can_be_told():
    # Seed 5: sizes with P(S >= s) = s^-1.2, so exponent 2.2.
    draws = np.random.default_rng(5).random(20_000)
    sizes = np.floor((1.0 - draws) ** (-1.0 / 1.2))
    found = fit_power_law(sizes[sizes < 1e5], least=10)
    assert abs(found.exponent.estimate - 2.2) < 3.5 * found.exponent.standard_error
    assert found.cutoff > 1000.0


@pytest.mark.parametrize("n", [0.0, 0.5, 0.8])
def test_counts_of_a_stationary_run_give_the_branching_ratio(n):
    # Seed 6, 4,000 windows with whole cascades from Poisson seeds; variance of a variance: kurtosis, bound .04.
    rng = np.random.default_rng(6)
    assert count_ratio(cascades(n, rng.poisson(20.0 * (1.0 - n), 4000), rng)) == pytest.approx(n, abs=0.04)


@pytest.mark.parametrize(("variation", "pretended"), [(0.3, 0.40), (1.0, 0.78)])
def test_an_outside_intensity_that_varies_is_mistaken_for_branching(variation, pretended):
    # Seed 7: no branching at all, gamma intensity with mean 20; law 1 - 1 / sqrt(1 + 20 c^2).
    rng = np.random.default_rng(7)
    counts = rng.poisson(rng.gamma(variation**-2, 20.0 * variation**2, 40_000))
    assert count_ratio(counts) == pytest.approx(pretended, abs=0.02)


def test_too_little_to_fit_is_nan_and_nonsense_is_refused():
    assert math.isnan(fit_borel([]).estimate) and math.isnan(count_ratio([3.0])) and math.isnan(count_ratio([2, 2, 2]))
    assert math.isnan(fit_generalised_poisson([0, 0, 0]).n.estimate)
    assert math.isnan(fit_power_law([4, 4, 4]).exponent.estimate)
    with pytest.raises(ValueError, match="holds its seed"):
        fit_borel([0, 1])
    with pytest.raises(ValueError, match="least must be at least 1"):
        fit_power_law([1, 2, 3], least=0)
    sizes, share = survival([1, 1, 2, 5])
    assert list(sizes) == [1, 2, 5] and list(share) == [1.0, 0.5, 0.25]
