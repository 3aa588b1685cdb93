"""Clustered volatility: its law against closed form, the same at every step length, drawn by counters."""

import math

import numpy as np
import pytest

from spirals.scenarios.calibration import fit_volatility
from spirals.scenarios.calibration.market_experiments import return_facts
from spirals.simulation.market.clustered_volatility import ClusteredVolatility
from spirals.simulation.market.geometric_brownian import GeometricBrownian
from spirals.simulation.market.outside_world import SECONDS_PER_YEAR

DAY = 86400
QUIET = {"slow_deviation": 0.0, "intensity": 0.0}


def returns(world: ClusteredVolatility, steps: int, seconds: float, seed: int = 1) -> np.ndarray:
    return np.diff(np.log(world.path(steps, seconds, 1, seed).price[:, 0]))


def test_without_factors_and_jumps_it_is_geometric_brownian_to_rounding() -> None:
    world = ClusteredVolatility(volatility=0.6, fast_deviation=0.0, **QUIET)
    assert world.path(500, 1.0, 2, 3).price == pytest.approx(
        GeometricBrownian(volatility=0.6).path(500, 1.0, 2, 3).price, rel=1e-12)


def test_a_longer_path_begins_with_the_shorter_and_an_instrument_more_moves_no_other() -> None:
    world = ClusteredVolatility(correlation=0.4, intensity=2000.0)
    short, long = world.path(50, 1.0, 1, 0).price, world.path(80, 1.0, 3, 0).price
    assert short[:, 0].tobytes() == np.ascontiguousarray(long[:51, 0]).tobytes()
    assert not np.array_equal(short, world.path(50, 1.0, 1, 1).price)


def test_jumps_have_the_stated_variance_and_the_fourth_moment_of_laplace() -> None:
    # 200,000 steps of an hour, .5 jumps in each: E J^2 = d^2, E J^4 = 6 d^4, so that the fourth moment of a return is
    # m 6 d^4 + 3 m^2 d^4 with m = .5. Standard errors .6 % and 4 % (fourth moment of J^4: 8! d^8 / 16); four of them.
    found = returns(ClusteredVolatility(volatility=0.0, intensity=12.0, jump_deviation=0.01), 200_000, 3600.0)
    assert (found**2).mean() == pytest.approx(0.5 * 1e-4, rel=0.03)
    assert (found**4).mean() == pytest.approx((3.0 + 0.75) * 1e-8, rel=0.16)
    # The expected price does not drift: the mean of exp(sum) per step is 1 to four standard errors.
    assert np.exp(found).mean() == pytest.approx(1.0, abs=4 * 0.00707 / math.sqrt(200_000))


@pytest.mark.parametrize("seconds", [0.25, 0.5, 1.0])
def test_the_law_is_the_same_at_every_step_length(seconds: float) -> None:
    # Memory of 20 s so that a path holds many: 200 s x 60 seeds. The mean variance over blocks of
    # 10 s and the covariance of neighbouring blocks against the closed form, E v v' = exp(4 f^2 e^(-t / T)).
    # Tolerance: four standard errors over the paths (from their scatter), plus 3 %.
    f, memory, block = 0.3, 20.0, 10.0
    world = ClusteredVolatility(volatility=0.6, fast_deviation=f, fast_seconds=memory, **QUIET)
    per_block = round(block / seconds)
    scale = 0.36 * block / SECONDS_PER_YEAR
    squares = np.array([
        (returns(world, per_block * 200, seconds, seed).reshape(-1, per_block) ** 2).sum(axis=1) / scale
        for seed in range(60)
    ])
    mean, product = squares.mean(axis=1), (squares[:, :-3] * squares[:, 3:]).mean(axis=1)
    lags = np.linspace(-block, block, 2001)
    weights = 1.0 - np.abs(lags) / block
    expected = float((weights * np.exp(4 * f * f * np.exp(-np.abs(3 * block + lags) / memory))).sum() / weights.sum())
    for measured, truth in ((mean, 1.0), (product, expected)):
        error = measured.std(ddof=1) / math.sqrt(len(measured))
        assert measured.mean() == pytest.approx(truth, abs=4 * error + 0.03)
        assert error < 0.03


def test_minute_returns_of_the_defaults_have_fat_tails_and_cluster_as_the_bands_ask() -> None:
    # 20 days, minutes. Kurtosis is dominated by single jumps, so its median over days is taken; the standard errors of
    # the autocorrelations are .02. Bands: spirals.scenarios.calibration.market_moments, stated before.
    facts = [return_facts(returns(ClusteredVolatility(), DAY // 60, 60.0, seed)) for seed in range(20)]
    assert 3.0 <= np.median([day["excess_kurtosis"] for day in facts]) <= 50.0
    assert 0.1 <= np.mean([day["absolute_acf_1"] for day in facts]) <= 0.45
    assert 0.05 <= np.mean([day["absolute_acf_10"] for day in facts]) <= 0.4
    assert abs(np.mean([day["return_acf_1"] for day in facts])) < 0.05


def test_the_defaults_have_the_moments_of_september_2025(capsys) -> None:
    # 464 simulated days beside 29 real ones: within two standard errors of the bars, all six; the level within 3 %.
    returns, world = fit_volatility.bars_by_day(), fit_volatility.simulated(ClusteredVolatility())
    goal, errors = fit_volatility.moments(returns)
    assert (np.abs(fit_volatility.moments(world)[0] - goal) < 2.0 * errors).all()
    assert math.sqrt((world**2).mean() / (returns**2).mean()) == pytest.approx(1.0, abs=0.03)
    assert fit_volatility.main([]) == 0 and "excess_kurtosis" in capsys.readouterr().out
