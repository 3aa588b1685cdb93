"""Random outside worlds: moments, correlation, and paths that do not depend on the horizon."""

import math

import numpy as np
import pytest

from spirals.simulation.errors import InputError
from spirals.simulation.market.constant import ConstantPrice
from spirals.simulation.market.geometric_brownian import GeometricBrownian
from spirals.simulation.market.heston import Heston
from spirals.simulation.market.jump_diffusion import JumpDiffusion
from spirals.simulation.market.outside_world import SECONDS_PER_YEAR, OutsidePath, OutsideWorld

WORLDS = [
    GeometricBrownian(correlation=0.4),
    JumpDiffusion(correlation=0.4, intensity=2000.0),
    Heston(correlation=0.4),
    ConstantPrice(5.0),
]
N = 100_000
HOUR = 3600.0
DT = HOUR / SECONDS_PER_YEAR


def returns(world: OutsideWorld, n: int = N, instruments: int = 1, seed: int = 1) -> np.ndarray:
    return np.diff(np.log(world.path(n, HOUR, instruments, seed).price), axis=0)


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: type(world).__name__)
def test_longer_path_begins_with_the_shorter_and_seed_decides(world: OutsideWorld) -> None:
    short = world.path(50, 1.0, 2, seed=0).price
    long = world.path(80, 1.0, 2, seed=0).price
    assert short.tobytes() == long[:51].tobytes()
    assert short.shape == (51, 2) and short.dtype == np.float64
    if not isinstance(world, ConstantPrice):
        assert not np.array_equal(short, world.path(50, 1.0, 2, seed=1).price)


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: type(world).__name__)
def test_adding_an_instrument_does_not_move_the_others(world: OutsideWorld) -> None:
    assert np.array_equal(world.path(50, 1.0, 1, seed=0).price[:, 0], world.path(50, 1.0, 3, seed=0).price[:, 0])


def test_geometric_brownian_has_the_stated_mean_and_volatility() -> None:
    # n = 1e5: standard error of the deviation 0.22 %, of the mean sigma sqrt(dt / n). Four standard errors.
    world = GeometricBrownian(volatility=0.6, drift=0.5)
    found = returns(world)[:, 0]
    deviation = 0.6 * math.sqrt(DT)
    assert found.std() == pytest.approx(deviation, rel=0.009)
    assert found.mean() == pytest.approx((0.5 - 0.18) * DT, abs=4 * deviation / math.sqrt(N))
    lagged = float(np.corrcoef(found[1:], found[:-1])[0, 1])
    assert abs(lagged) < 4 / math.sqrt(N)


def test_instruments_have_the_common_correlation_and_their_own_volatility() -> None:
    world = GeometricBrownian(price=(100.0, 10.0, 1.0), volatility=(0.3, 0.6, 0.9), correlation=0.7)
    found = returns(world, instruments=3)
    correlation = np.corrcoef(found.T)
    # Standard error of a correlation: (1 - rho^2) / sqrt(n) = .0016.
    assert correlation[np.triu_indices(3, 1)] == pytest.approx(0.7, abs=0.007)
    assert found.std(axis=0) / math.sqrt(DT) == pytest.approx([0.3, 0.6, 0.9], rel=0.01)


def test_jump_diffusion_has_merton_variance_and_an_unbiased_price() -> None:
    # Variance per step: sigma^2 dt + lambda dt (m^2 + d^2); mean of exp(r) is exp(drift dt).
    world = JumpDiffusion(volatility=0.6, intensity=12.0, jump_mean=-0.01, jump_deviation=0.02, drift=0.0)
    found = returns(world)[:, 0]
    jumps = 12.0 / 24.0
    variance = 0.36 * DT + jumps * (0.01**2 + 0.02**2)
    # Kurtosis about 8: standard error of the variance 0.8 %; 4 standard errors.
    assert found.var() == pytest.approx(variance, rel=0.035)
    assert np.exp(found).mean() == pytest.approx(1.0, abs=4 * math.sqrt(variance / N))
    assert ((found - found.mean()) ** 4).mean() / found.var() ** 2 > 4.0


def test_without_jumps_the_jump_diffusion_is_the_brownian_path() -> None:
    jumps = JumpDiffusion(intensity=0.0).path(500, 1.0, 2, seed=4).price
    assert np.array_equal(jumps, GeometricBrownian().path(500, 1.0, 2, seed=4).price)


def test_jumps_hit_all_instruments_at_the_same_moment() -> None:
    world = JumpDiffusion(volatility=0.0, intensity=24.0, jump_mean=0.05, jump_deviation=0.0)
    moved = np.abs(np.diff(np.log(world.path(2000, 60.0, 2, seed=0).price), axis=0)) > 0.01
    assert 10 < moved[:, 0].sum() < 60 and np.array_equal(moved[:, 0], moved[:, 1])


def test_heston_variance_returns_to_its_mean_and_falls_raise_it() -> None:
    # Mean variance over many mean-reversion times equals theta^2 (full truncation biases it by < 3 %);
    # with negative correlation squared returns are higher after falls than after rises.
    world = Heston(volatility=0.6, long_run_volatility=0.6, mean_reversion=500.0, volatility_of_variance=10.0,
                   price_variance_correlation=-0.9)
    found = returns(world, n=200_000)[:, 0]
    assert found.var() / DT == pytest.approx(0.36, rel=0.04)
    leverage = np.corrcoef(found[:-1], found[1:] ** 2)[0, 1]
    assert leverage < -0.02
    squares = np.corrcoef(found[:-1] ** 2, found[1:] ** 2)[0, 1]
    assert squares > 0.05


def test_heston_with_constant_variance_is_the_brownian_path() -> None:
    heston = Heston(volatility_of_variance=0.0).path(300, 1.0, 1, seed=2).price
    assert heston == pytest.approx(GeometricBrownian().path(300, 1.0, 1, seed=2).price, rel=1e-12)


def test_parameters_out_of_range_are_all_named() -> None:
    with pytest.raises(InputError) as caught:
        GeometricBrownian(price=-1.0, volatility=float("nan"), correlation=1.5)
    assert [line.split()[1] for line in caught.value.problems] == ["price", "volatility", "correlation"]
    with pytest.raises(InputError, match="one number or 3 numbers, had 2"):
        ConstantPrice((1.0, 2.0)).path(5, 1.0, 3, seed=0)


def test_a_users_path_is_checked() -> None:
    good = np.ones((4, 1))
    assert OutsidePath(good, 1.0).problems(3, 1) == []
    assert "shape" in OutsidePath(good, 1.0).problems(4, 1)[0]
    good[2] = np.nan
    assert "row 2" in OutsidePath(good, 1.0).problems(3, 1)[0]
