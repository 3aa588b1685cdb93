"""The whole venue over random scenarios: identities every step, replay, save and restore, twins."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import BTC, ToyPopulation, toy_setup

from spirals.agents.rows import FLOW
from spirals.simulation.accounts.margin_calls import MarginCalls
from spirals.simulation.engine import TWINS, Engine
from spirals.simulation.liquidation import LiquidationMechanism, LossWaterfall
from spirals.simulation.margin.static import Static
from spirals.simulation.market.constant import ConstantPrice
from spirals.simulation.market.funding import Funding
from spirals.simulation.market.geometric_brownian import GeometricBrownian
from spirals.simulation.market.price_feed import PriceFeed
from spirals.simulation.simulation import SCHEMA_VERSION, Simulation
from spirals.simulation.state import ACCOUNT, LIQUIDATION, POSITION, STEP, STEP_TOTAL


def crash(seed=0, steps=60, n=40, instruments=1, **parts):
    """A violent market over highly levered accounts and a thin book."""
    setup = toy_setup(
        instruments=(BTC,) * instruments, steps=steps,
        outside_world=GeometricBrownian(price=1000.0, volatility=95.0), **parts,
    )
    return Simulation(setup, ToyPopulation(n, instruments, seed=seed, leverage=50.0, background_lots=100), seed)


@settings(max_examples=85)
@given(
    seed=st.integers(0, 10**6), instruments=st.integers(1, 3), size=st.sampled_from(("full", "partial", "to_target")),
    fund=st.sampled_from((0.0, 50.0, 5000.0)), adl=st.booleans(), twin=st.sampled_from((None, "T1", "T2", "T3")),
    mark=st.sampled_from(("index", "mid", "last", "index_ema_basis", "median")), grace=st.sampled_from((0.0, 3.0)),
    band=st.sampled_from((0.001, 0.05, 0.5)),
)
def test_lots_and_money_balance_in_every_step_of_any_crash(seed, instruments, size, fund, adl, twin, mark, grace, band):
    # 85 examples x 120 steps = 10,200 steps; the engine raises ConservationError on the first breach.
    simulation = crash(
        seed, 120, 25, instruments, waterfall=LossWaterfall(insurance_fund=fund, auto_deleveraging=adl),
        engine=Engine(check_identities=True, **(TWINS[twin][1] if twin else {})), price_feed=PriceFeed(mark=mark),
        liquidation=LiquidationMechanism(size=size, partial_above=1000.0, price_band=band),
        margin_calls=MarginCalls(grace_seconds=grace, transfer_seconds=5.0),
        funding=Funding(interval_seconds=30.0),
    )
    simulation.run()
    simulation.book.check()
    assert simulation.step_index == 120


def test_the_random_crashes_do_contain_bankruptcies_adl_partial_fills_and_rejections():
    names = ("liquidations", "adl_events", "bad_debt", "rejected", "trimmed", "topped_up")
    totals, partial = dict.fromkeys(names, 0.0), 0
    for seed in range(4):
        simulation = crash(seed, 120, 40, waterfall=LossWaterfall(insurance_fund=20.0),
                           margin_calls=MarginCalls(transfer_seconds=5.0))
        simulation.run()
        for name in totals:
            totals[name] += float(simulation.recorder.totals[name].sum())
        rows = simulation.recorder.liquidations.rows
        partial += int(((rows["filled_lots"] != 0) & (rows["filled_lots"] != rows["lots"])).sum())
    assert partial > 0
    assert all(value > 0 for value in totals.values()), totals


def test_same_seed_gives_the_same_state_and_another_seed_another():
    first, again, other = crash(3), crash(3), crash(4)
    for simulation in (first, again, other):
        simulation.run()
    assert first.hash() == again.hash() != other.hash()


def test_a_run_saved_mid_crash_and_restored_continues_identically(tmp_path):
    whole, half = crash(5, 80, instruments=2), crash(5, 80, instruments=2)
    whole.run()
    half.run(40)
    half.save(tmp_path / "state.npz")
    fresh = crash(5, 80, instruments=2)
    fresh.load(tmp_path / "state.npz")
    assert fresh.hash() == half.hash()
    fresh.run()
    assert fresh.hash() == whole.hash()
    for name, array in fresh.recorder.arrays().items():
        assert array.tobytes() == whole.recorder.arrays()[name].tobytes(), name


def test_a_fork_shares_everything_until_its_branch_differs():
    trunk, fork = crash(6), crash(6)
    trunk.run(30)
    fork.restore(trunk.arrays())
    trunk.run()
    fork.run()
    assert fork.hash() == trunk.hash()


def test_state_of_another_set_up_or_of_another_version_is_refused(tmp_path):
    crash(1, 20).save(tmp_path / "a.npz")
    with pytest.raises(ValueError, match="another set-up"):
        crash(1, 21).load(tmp_path / "a.npz")
    with pytest.raises(ValueError, match="seed 1, this one has 2"):
        crash(2, 20).load(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as file:
        arrays = dict(file)
    for version in (1, 99):
        arrays["schema_version"] = np.array([version])
        np.savez(tmp_path / "b.npz", **arrays)
        with pytest.raises(ValueError, match=f"schema_version {version}, this program reads {SCHEMA_VERSION}"):
            crash(1, 20).load(tmp_path / "b.npz")
    del arrays["schema_version"]
    np.savez(tmp_path / "c.npz", **arrays)
    (tmp_path / "d.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:5000])
    (tmp_path / "e.npz").write_bytes(b"")
    for name in ("c", "d", "e"):
        with pytest.raises(ValueError, match=r"must be a state written by save\(\)"):
            crash(1, 20).load(tmp_path / f"{name}.npz")


def test_the_records_that_a_saved_state_holds_are_those_of_its_version():
    """Whoever changes a record of the state or the recorder raises SCHEMA_VERSION with it."""
    sizes = tuple(record.itemsize for record in (ACCOUNT, POSITION, FLOW, STEP, STEP_TOTAL, LIQUIDATION))
    assert (SCHEMA_VERSION, sizes) == (2, (128, 48, 64, 384, 192, 96))


def test_without_leverage_nobody_is_liquidated():
    setup = toy_setup(steps=60, outside_world=GeometricBrownian(price=1000.0, volatility=20.0),
                      margin=Static(0.05, 0.02))
    population = ToyPopulation(40, leverage=2.0001, busy=0.0)
    simulation = Simulation(setup, population, 1)
    simulation.run()
    assert simulation.recorder.totals["liquidations"].sum() == 0


def test_a_constant_price_without_orders_moves_no_money():
    setup = toy_setup(steps=30, outside_world=ConstantPrice(price=1000.0))
    simulation = Simulation(setup, ToyPopulation(20, busy=0.0), 1)
    before = simulation.accounts["equity"].copy()
    simulation.run()
    assert (simulation.accounts["equity"] == before).all()


def test_twin_t3_liquidates_nobody_and_t2_fills_at_the_mark():
    t3 = crash(2, engine=Engine(check_identities=True, **TWINS["T3"][1]))
    t3.run()
    assert t3.recorder.totals["liquidations"].sum() == 0
    t2 = crash(2, engine=Engine(check_identities=True, **TWINS["T2"][1]))
    t2.run()
    rows = t2.recorder.liquidations.rows
    assert len(rows) and (rows["filled_lots"] == rows["lots"]).all()
    contract = t2.contracts[0]
    paid = rows["notional"] / np.abs(rows["filled_lots"]) / contract["lot_size"]
    np.testing.assert_allclose(paid, rows["mark"], rtol=1e-6)


def test_twin_t1_leaves_the_book_to_voluntary_orders():
    t1 = crash(2, engine=Engine(check_identities=True, **TWINS["T1"][1]))
    t1.recorder.keep_trades = True
    t1.run()
    assert t1.recorder.totals["liquidations"].sum() > 0
    assert (t1.recorder.trades.rows["taker_cause"] == 0).all()


def test_what_is_uncovered_never_exceeds_the_gross_bad_debt_and_a_large_fund_leaves_nothing():
    for seed in range(3):
        simulation = crash(seed, 120, waterfall=LossWaterfall(insurance_fund=30.0))
        simulation.run()
        totals = simulation.recorder.totals
        assert (totals["uncovered"] <= np.cumsum(totals["bad_debt"])).all()
        rich = crash(seed, 120, waterfall=LossWaterfall(insurance_fund=1e6))
        rich.run()
        assert rich.recorder.totals["uncovered"].max() == 0.0
        assert rich.recorder.totals["adl_events"].sum() == 0


def test_who_loses_what_adds_up_over_all_rows():
    simulation = crash(8, 120)
    simulation.run()
    record = simulation.record()
    change = record.closing_equity - record.opening_equity - record.deposits
    assert abs(change.sum()) < 1e-6 * record.opening_equity.sum()


def test_hitting_the_round_bound_is_named_in_the_stop_reason():
    simulation = crash(1, 120, engine=Engine(max_rounds=1, check_identities=True))
    simulation.run()
    bounded = int(simulation.recorder.totals["hit_bound"].sum())
    assert bounded > 0
    assert simulation.stop_reason == f"horizon; round bound (1) hit in {bounded} steps"


def test_an_index_beyond_the_price_range_of_the_book_is_named_in_the_stop_reason():
    narrow = dataclasses.replace(BTC, max_price=1010.0)
    simulation = Simulation(toy_setup(instruments=(narrow,), steps=60,
                                      outside_world=GeometricBrownian(price=1000.0, volatility=95.0)),
                            ToyPopulation(20, depth=3), 1)
    simulation.run()
    assert "BTCUSDT above max_price (1010) in" in simulation.stop_reason


def test_engine_refuses_a_cause_that_is_shadowed_and_transferred():
    with pytest.raises(ValueError, match="must not share"):
        Engine(shadow_causes=("liquidation",), transfer_causes=("liquidation",))
    assert dataclasses.replace(Engine(), shadow_causes=("liquidation",)).routes()[1] == 1
