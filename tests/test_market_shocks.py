"""Scripted shocks: what they do to the outside price, to depth, flow and oracle, and when."""

import math

import numpy as np
import pytest

from spirals.simulation.errors import InputError
from spirals.simulation.market.geometric_brownian import GeometricBrownian
from spirals.simulation.market.outside_world import OutsidePath
from spirals.simulation.market.shocks import (
    DepthWithdrawal,
    OracleLag,
    OrderFlow,
    PriceJump,
    VolatilityShock,
    apply_price_shocks,
    schedule,
)


def flat(n_steps: int, step_seconds: float = 1.0, instruments: int = 1) -> OutsidePath:
    return OutsidePath(np.full((n_steps + 1, instruments), 100.0), step_seconds)


def test_jump_acts_in_the_first_step_that_starts_at_its_time() -> None:
    moved = np.log(apply_price_shocks(flat(10), [PriceJump(at=4, size=-0.1)]).price[:, 0] / 100.0)
    assert moved[:5] == pytest.approx(np.zeros(5), abs=0)
    assert moved[5:] == pytest.approx(np.full(6, -0.1))
    at_opening = apply_price_shocks(flat(3), [PriceJump(at=0, size=-0.1)]).price[:, 0]
    assert at_opening[0] == 100.0 and at_opening[1] == pytest.approx(100 * math.exp(-0.1))


def test_ramp_and_rebound_are_even_in_log_price() -> None:
    jump = PriceJump(at=2, size=-0.2, ramp_seconds=4, rebound=0.5, rebound_seconds=2)
    moved = np.log(apply_price_shocks(flat(12), [jump]).price[:, 0] / 100.0)
    assert moved == pytest.approx([0, 0, 0, -0.05, -0.1, -0.15, -0.2, -0.15, -0.1, -0.1, -0.1, -0.1, -0.1])


def test_instant_jump_is_seen_for_a_step_before_its_rebound() -> None:
    moved = np.log(apply_price_shocks(flat(5), [PriceJump(at=1, size=0.3, rebound=1.0)]).price[:, 0] / 100.0)
    assert moved == pytest.approx([0, 0, 0.3, 0, 0, 0])


def test_jumps_add_up_and_hit_only_their_instrument() -> None:
    shocks = [PriceJump(at=1, size=-0.1, instrument=1), PriceJump(at=2, size=-0.05)]
    moved = np.log(apply_price_shocks(flat(4, instruments=2), shocks).price / 100.0)
    assert moved[-1] == pytest.approx([-0.05, -0.15])


def test_volatility_shock_scales_the_increments_of_its_window_only() -> None:
    path = GeometricBrownian().path(20, 1.0, 1, seed=3)
    shocked = apply_price_shocks(path, [VolatilityShock(at=5, duration=10, multiplier=3.0)])
    before, after = (np.diff(np.log(p.price[:, 0])) for p in (path, shocked))
    factor = np.ones(20)
    factor[5:15] = 3.0  # increment k leads from row k to row k + 1, starting at k seconds
    assert after == pytest.approx(factor * before, abs=1e-13)
    assert shocked.price[:6].tobytes() == path.price[:6].tobytes()


def test_price_shocks_leave_a_path_without_them_alone() -> None:
    path = flat(5)
    assert apply_price_shocks(path, [OrderFlow()]) is path


def test_schedule_covers_the_steps_that_start_in_the_window() -> None:
    shocks = [
        DepthWithdrawal(at=3, duration=2, fraction=0.5), DepthWithdrawal(at=4, duration=3, fraction=0.5, instrument=1),
        OrderFlow(at=0, duration=2, notional_per_second=10, side="sell"), OracleLag(at=1, duration=1, seconds=5),
    ]
    found = schedule(shocks, 100, 0.5, 2)
    # At 0.5 s a step, seconds [3, 5) are the steps 7 to 10 and [4, 7) the steps 9 to 14.
    depth = found.depth_factor
    assert depth[:7].tolist() == [[1, 1]] * 7
    assert depth[7:].tolist() == [[0.5, 0.5]] * 2 + [[0.5, 0.25]] * 2 + [[1, 0.5]] * 4 + [[1, 1]]
    assert found.flow_notional.tolist() == [[0, 0]] + [[-5, -5]] * 4 + [[0, 0]]
    assert found.oracle_lag.tolist() == [[0, 0]] * 3 + [[10, 10]] * 2 + [[0, 0]]


def test_schedule_without_shocks_is_one_row_however_long_the_run() -> None:
    found = schedule([PriceJump()], 1_000_000, 1.0, 3)
    assert found.depth_factor.shape == found.flow_notional.shape == found.oracle_lag.shape == (1, 3)


def test_shock_beyond_the_run_does_nothing_and_a_window_is_cut_at_its_end() -> None:
    assert (schedule([DepthWithdrawal(at=50)], 10, 1.0, 1).depth_factor == 1.0).all()
    cut = schedule([DepthWithdrawal(at=8, duration=100)], 10, 1.0, 1).depth_factor
    assert cut[9:11, 0].tolist() == [0.5, 0.5] and len(cut) == 12


def test_wrong_instruments_and_values_are_refused() -> None:
    with pytest.raises(InputError, match=r"PriceJump: instrument must be -1 or in \[0, 1\], was 2"):
        apply_price_shocks(flat(5, instruments=2), [PriceJump(instrument=2)])
    with pytest.raises(InputError, match="OrderFlow: side must be one of buy, sell"):
        OrderFlow(side="short")
    with pytest.raises(InputError, match="DepthWithdrawal: fraction"):
        DepthWithdrawal(fraction=1.5)
