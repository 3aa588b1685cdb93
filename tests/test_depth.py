"""Depth models: profiles by hand, impact as their inverse, withdrawal parameters, the user's depth file."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spirals.simulation.errors import InputError
from spirals.simulation.market.depth import (
    DEPTHS,
    Depth,
    FileDepth,
    FittedDepth,
    GappedDepth,
    LinearDepth,
    PowerDepth,
    SquareRootDepth,
)
from spirals.simulation.state import BUY, SELL

MODELS = [LinearDepth, PowerDepth, SquareRootDepth, GappedDepth, FittedDepth]


def test_linear_depth_doubles_with_distance():
    depth = LinearDepth(notional_1pct=1e6)
    assert depth.cumulative(0.01) == pytest.approx(1e6)
    assert depth.cumulative(0.02) == pytest.approx(2e6)
    assert depth.inverse(5e5) == pytest.approx(0.005, abs=1e-9)


def test_square_root_depth_has_impact_proportional_to_the_root_of_size():
    depth = SquareRootDepth(notional_1pct=1e6)
    assert depth.cumulative(0.02) == pytest.approx(4e6)
    sizes = np.array([1e3, 1e4, 1e5, 1e6])
    slope = np.polyfit(np.log(sizes), np.log(depth.inverse(sizes)), 1)[0]
    assert slope == pytest.approx(0.5, abs=1e-6)


def test_power_depth_follows_its_exponent():
    depth = PowerDepth(notional_1pct=1e6, exponent=1.5)
    assert depth.cumulative(0.04) == pytest.approx(8e6)


def test_a_large_order_falls_through_the_gap():
    depth = GappedDepth(notional_1pct=1e6, gap_from=0.003, gap_to=0.02, beyond=2.0)
    assert depth.cumulative(0.0015) == pytest.approx(5e5)
    assert depth.cumulative(0.003) == depth.cumulative(0.02) == pytest.approx(1e6)
    assert depth.cumulative(0.03) == pytest.approx(3e6)          # 1e6 + 2e6 per 1 % over 1 %
    assert depth.inverse(1.1e6) == pytest.approx(0.0205, abs=1e-9)


def test_fitted_depth_follows_its_knots_and_states_what_lies_beyond():
    depth = FittedDepth(notional_1pct=900.0, distance_bp=(1.0, 4.0), profile=(1.0, 2.0), beyond_exponent=1.0,
                        latent_from=0.02, latent=0.5)
    shape = np.array([0.5, 1.0, 2**0.5, 2.0, 50.0, 100.0, 150.0])    # knots, straight in logarithms, continued; latent
    assert depth.cumulative(np.array([0.5, 1, 2, 4, 100, 200, 400]) * 1e-4) == pytest.approx(900.0 / 50.0 * shape)
    assert depth.cumulative(0.0) == 0.0
    assert FittedDepth(distance_bp=[1.0, 4.0], profile=[1.0, 2.0]).profile == (1.0, 2.0)   # as TOML gives them


def test_faults_of_a_fitted_profile_are_told():
    with pytest.raises(InputError, match="same number of entries"):
        FittedDepth(distance_bp=(1.0,))
    with pytest.raises(InputError, match="profile must increase"):
        FittedDepth(distance_bp=(1.0, 2.0), profile=(2.0, 2.0))
    with pytest.raises(InputError, match="latent_from must cover the last distance"):
        FittedDepth(latent_from=0.001)


def test_latent_liquidity_multiplies_what_lies_beyond_its_edge():
    plain = LinearDepth(notional_1pct=1e6, latent_from=0.05)
    double = dataclasses.replace(plain, latent=2.0)
    none = dataclasses.replace(plain, latent=0.0)
    assert double.cumulative(0.05) == plain.cumulative(0.05) == pytest.approx(5e6)
    assert plain.cumulative(0.07) == pytest.approx(7e6)
    assert double.cumulative(0.07) == pytest.approx(9e6)
    assert none.cumulative(0.07) == pytest.approx(5e6)


def test_nothing_rests_beyond_the_reach():
    depth = LinearDepth(notional_1pct=1e6, reach=0.1)
    assert depth.cumulative(0.5) == depth.cumulative(0.1)
    assert np.isinf(depth.inverse(1.1e7))


def test_share_of_open_interest_becomes_a_notional():
    assert LinearDepth(share_of_open_interest=0.05).resolved(2e8).notional_1pct == pytest.approx(1e7)
    assert LinearDepth(notional_1pct=3.0).resolved(2e8).notional_1pct == 3.0


def test_refill_is_fast_at_the_touch_and_slow_far_away():
    depth = LinearDepth(fast_refill_seconds=2.0, slow_refill_seconds=32.0)
    assert depth.refill_seconds(0.0) == depth.refill_seconds(1e-4) == pytest.approx(2.0)
    assert depth.refill_seconds(1e-3) == pytest.approx(8.0)      # half way in log distance: geometric mean
    assert depth.refill_seconds(0.01) == depth.refill_seconds(0.2) == pytest.approx(32.0)


@given(st.sampled_from(MODELS), st.floats(1e-6, 0.24), st.floats(1e-6, 0.24))
def test_cumulative_depth_never_falls_and_inverts(model, near, far):
    depth = model(notional_1pct=1e7)
    near, far = sorted((near, far))
    assert depth.cumulative(near) <= depth.cumulative(far)
    back = float(depth.inverse(depth.cumulative(far)))
    assert back <= far + 1e-9
    assert float(depth.cumulative(back)) == pytest.approx(float(depth.cumulative(far)), rel=1e-6)


def test_all_faults_of_a_depth_are_told_at_once():
    with pytest.raises(InputError) as caught:
        LinearDepth(notional_1pct=-1.0, volatility_elasticity=float("nan"), reach=2.0)
    assert len(caught.value.problems) == 3
    with pytest.raises(InputError, match="fast_refill_seconds must not exceed"):
        LinearDepth(fast_refill_seconds=10.0, slow_refill_seconds=5.0)
    with pytest.raises(InputError, match="gap_to must lie below reach"):
        GappedDepth(gap_to=0.3)


def test_every_named_model_is_a_depth():
    assert set(DEPTHS) == {"linear", "power", "square_root", "gapped", "file", "fitted"}
    assert all(issubclass(model, Depth) for model in DEPTHS.values())


def write(path, text):
    path.write_text(text)
    return str(path)


def test_depth_file_tells_bids_from_asks(tmp_path):
    file = write(tmp_path / "book.csv", "distance_bp,bid_notional,ask_notional\n10,100,50\n100,1000,500\n")
    depth = FileDepth(file=file)
    assert depth.cumulative(0.0005, BUY) == pytest.approx(50.0)
    assert depth.cumulative(0.01, SELL) == pytest.approx(500.0)
    assert depth.cumulative(0.2, BUY) == pytest.approx(1000.0)
    rescaled = FileDepth(file=file, notional_1pct=1500.0)         # mean of the sides at 1 % was 750
    assert rescaled.cumulative(0.01, BUY) == pytest.approx(2000.0)


def test_all_faults_of_a_depth_file_are_told_at_once(tmp_path):
    file = write(tmp_path / "book.csv", "distance_bp,bid_notional,ask_notional\n10,100,nan\n5,-1,50\n20,abc,10\n")
    with pytest.raises(InputError) as caught:
        FileDepth(file=file)
    text = str(caught.value)
    for part in ("line 2: ask_notional", "line 3: bid_notional", "line 3: distance_bp must increase",
                 "line 4: bid_notional", "line 4: ask_notional is cumulative"):
        assert part in text
    with pytest.raises(InputError, match="missing ask_notional"):
        FileDepth(file=write(tmp_path / "b.csv", "distance_bp,bid_notional\n1,2\n"))
    with pytest.raises(InputError, match="file must exist"):
        FileDepth(file=str(tmp_path / "none.csv"))
    with pytest.raises(InputError, match="at least one row"):
        FileDepth(file=write(tmp_path / "c.csv", "distance_bp,bid_notional,ask_notional\n"))
