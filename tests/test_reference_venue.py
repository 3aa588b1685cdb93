"""Compiled venue against the plain reference: the same orders give the same trades, money and liquidations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import BTC, ToyPopulation, toy_setup

from spirals.simulation import randomness
from spirals.simulation.accounts.margin_calls import MarginCalls
from spirals.simulation.liquidation.mechanism import LiquidationMechanism
from spirals.simulation.liquidation.waterfall import LossWaterfall
from spirals.simulation.market.constant import ConstantPrice
from spirals.simulation.market.funding import Funding
from spirals.simulation.market.geometric_brownian import GeometricBrownian
from spirals.simulation.market.price_feed import PriceFeed
from spirals.simulation.market.volatility import VolatilityEstimator
from spirals.simulation.reference import random_numbers
from spirals.simulation.reference.venue import ReferenceVenue
from spirals.simulation.simulation import Simulation
from spirals.simulation.state import (
    ACCOUNT,
    ADL,
    BUY,
    FIRST_ROW,
    LIQUIDATION,
    ORDER,
    POSITION,
    TRADE,
    Cause,
    Kind,
    OrderKind,
    Status,
)

COUNTS = ("rounds", "hit_bound", "calls", "liquidations", "liquidated_accounts", "adl_events", "rejected", "trimmed")
MONEY = ("bad_debt", "fund", "fees", "uncovered", "margin_locked", "maintenance_locked", "topped_up")


class Witness(ToyPopulation):
    """Sends the toy's orders and keeps what the reference needs to repeat the run."""

    def open(self, simulation):
        super().open(simulation)
        self.opening = simulation.accounts.copy(), simulation.positions.copy()
        self.sent, self.asked, self.resting = [], [], []

    def decide(self, simulation, orders):
        n = super().decide(simulation, orders)
        self.sent.append(orders[:n].copy())
        self.asked.append(self.top_up_requests.copy())
        return n

    def after_trading(self, simulation, orders):
        super().after_trading(simulation, orders)
        self.resting.append(orders["order_id"].copy())


class Twin:
    """A compiled run and the reference, fed with the same orders and compared after every step."""

    def __init__(self, setup, population, seed):
        self.population = population
        self.simulation = Simulation(setup, population, seed, trades=True)
        self.reference = ReferenceVenue(setup, population.n_accounts, seed)
        self.reference.load_ledger(*population.opening)
        self.ids = {}
        self.seen_trades = 0
        self.reference.open(self.decide)
        self.learn_ids()
        self.compare()

    def decide(self):
        step = self.reference.step_index
        names = [name for name in ORDER.names if name != "pad"]
        self.orders = [dict(zip(names, row, strict=True)) for row in self.population.sent[step][names].tolist()]
        for order in self.orders:
            order["target"] = self.ids.get(order["target"], -1)
        asked = self.population.asked[step]
        self.reference.top_up_requests = {int(row): int(asked[row]) for row in np.flatnonzero(asked)}
        return list(self.orders)

    def learn_ids(self):
        """The two books number their orders differently."""
        for order, compiled in zip(self.orders, self.population.resting[-1].tolist(), strict=False):
            assert (order["order_id"] > 0) == (compiled > 0)
            self.ids[compiled] = order["order_id"]

    def run(self, steps):
        for _ in range(steps):
            self.simulation.step()
            self.reference.step(self.decide)
            self.learn_ids()
            self.compare()
        self.compare_tables()

    def compare(self):
        compiled, plain, step = self.simulation, self.reference, self.reference.step_index
        for name in ACCOUNT.names:
            if name != "pad":
                mine = [int(getattr(account, name)) for account in plain.accounts]
                assert compiled.accounts[name].tolist() == mine, f"step {step}: {name}"
        in_liquidation = compiled.accounts["status"] == Status.LIQUIDATING
        assert ((compiled.accounts["event"] >= 0) == in_liquidation).all()
        for name in POSITION.names:
            if name != "entry_rate":
                mine = [[getattr(p, name) for p in account.positions] for account in plain.accounts]
                assert compiled.positions[name].tolist() == mine, f"step {step}: {name}"
        for name in ("index", "oracle", "mark", "mid", "last", "basis", "volatility", "funding_rate"):
            mine = [getattr(market, name) for market in plain.markets]
            assert compiled.market.record[name].tolist() == mine, f"step {step}: {name}"
        total, row = plain.totals[step], compiled.recorder.totals[step]
        assert {name: int(row[name]) for name in COUNTS} == {name: int(total.get(name, 0)) for name in COUNTS}
        for name in MONEY:
            assert row[name] == pytest.approx(total.get(name, 0.0), rel=1e-12, abs=1e-12), f"step {step}: {name}"
        for i, columns in enumerate(compiled.recorder.steps[step]):
            assert columns["open_interest"] == total["open_interest"][i]
            assert columns["traded_lots"] == total.get(("traded_lots", i), 0)
            assert columns["adl_lots"] == total.get(("adl_lots", i), 0)
            for side in ("sold_lots", "bought_lots"):
                assert columns[side].tolist() == [total.get((side, i, c), 0) for c in range(len(Cause.names))]
        self.compare_trades()

    def compare_trades(self):
        rows = self.simulation.recorder.trades.rows[self.seen_trades:]
        self.seen_trades += len(rows)
        names = [name for name in TRADE.names if name != "maker_order"]
        assert rows[names].tolist() == [tuple(getattr(t, name) for name in names) for t in self.reference.trades]

    def compare_tables(self):
        for dtype, rows, records in (
            (LIQUIDATION, self.simulation.recorder.liquidations.rows, self.reference.liquidations),
            (ADL, self.simulation.recorder.adl.rows, self.reference.adl),
        ):
            names = [name for name in dtype.names if name != "pad"]
            assert len(rows) == len(records)
            for row, record in zip(rows, records, strict=True):
                assert [row[name].item() for name in names] == [record[name] for name in names]


def crash(seed, *, n=30, steps=60, instruments=1, **parts):
    setup = toy_setup(
        instruments=(BTC,) * instruments, steps=steps,
        outside_world=GeometricBrownian(price=1000.0, volatility=95.0),
        volatility=VolatilityEstimator(sampling_seconds=7.0), **parts,
    )
    return Twin(setup, Witness(n, instruments, seed=seed, leverage=50.0, background_lots=100), seed)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6), instruments=st.integers(1, 2), n=st.integers(30, 60),
    size=st.sampled_from(("full", "partial", "to_target")), fund=st.sampled_from((0.0, 50.0, 5000.0)),
    adl=st.booleans(), mark=st.sampled_from(("index", "mid", "last", "index_ema_basis", "median")),
    grace=st.sampled_from((0.0, 3.0)), band=st.sampled_from((0.001, 0.05, 0.5)), lag=st.sampled_from((0.0, 2.0)),
    cooldown=st.sampled_from((0.0, 4.0)),
)
def test_reference_and_compiled_venue_agree_to_the_last_atom(
    seed, instruments, n, size, fund, adl, mark, grace, band, lag, cooldown
):
    twin = crash(
        seed, n=n, instruments=instruments, waterfall=LossWaterfall(insurance_fund=fund, auto_deleveraging=adl),
        price_feed=PriceFeed(mark=mark, oracle_latency_seconds=lag),
        liquidation=LiquidationMechanism(size=size, partial_above=1000.0, price_band=band, cooldown_seconds=cooldown),
        margin_calls=MarginCalls(call_level=1.5, grace_seconds=grace, transfer_seconds=5.0),
        funding=Funding(interval_seconds=20.0),
    )
    twin.run(60)


def test_the_compared_crashes_contain_every_layer_of_the_waterfall():
    counts = dict.fromkeys(("liquidations", "adl_events", "bad_debt", "rejected", "trimmed", "topped_up", "calls"), 0.0)
    for seed, size in ((0, "full"), (1, "partial")):
        twin = crash(
            seed, n=40, waterfall=LossWaterfall(insurance_fund=20.0), margin_calls=MarginCalls(transfer_seconds=5.0),
            liquidation=LiquidationMechanism(size=size, partial_above=1000.0),
        )
        twin.run(60)
        for name in counts:
            counts[name] += sum(row.get(name, 0.0) for row in twin.reference.totals)
    assert all(counts.values()), counts


class Scripted(ToyPopulation):
    """One account without positions, and a script of orders per step: (kind, lots, whether it replaces)."""

    def __init__(self, script, cash):
        super().__init__(1)
        self.script, self.cash = script, cash

    def open(self, simulation):
        simulation.accounts[FIRST_ROW]["margined"] = 1
        simulation.accounts[FIRST_ROW]["cash"] = simulation.accounts[FIRST_ROW]["deposits"] = self.cash

    def decide(self, simulation, orders):
        rows = self.script.get(simulation.step_index, ())
        for k, (kind, lots) in enumerate(rows):
            orders[k] = np.zeros(1, ORDER)[0]
            orders[k]["kind"], orders[k]["lots"], orders[k]["side"], orders[k]["price_ticks"] = kind, lots, BUY, 900
            orders[k]["account"], orders[k]["event"], orders[k]["arrival"] = FIRST_ROW, -1, 1000 * k
            orders[k]["origin"], orders[k]["target"] = Kind.TRADER, self.last_ids[FIRST_ROW, 0]
        return len(rows)


def test_replacing_one_order_many_times_in_a_batch_does_not_lend_its_margin_to_others():
    # Every replacement gives back 99 lots; only the resting order's 100 lots exist.
    shrink = [(OrderKind.REPLACE, 1)] * 5
    population = Scripted({1: [(OrderKind.LIMIT, 100)], 2: [*shrink, (OrderKind.LIMIT, 480)]}, cash=600_000)
    simulation = Simulation(toy_setup(outside_world=ConstantPrice(price=1000.0), steps=5), population, 0)
    simulation.run(3)
    account = simulation.accounts[FIRST_ROW]
    assert simulation.recorder.totals["trimmed"].sum() == 1
    assert 0 < account["initial_margin"] <= account["equity"] == 600_000


def test_the_two_statements_of_the_random_numbers_agree():
    for key, step, actor, block in ((0, 0, 0, 0), (2**64 - 1, 2**40 + 3, 2**32 - 1, 7), (0x0123456789ABCDEF, 17, 5, 2)):
        words = tuple(int(word) for word in randomness.philox(np.uint64(key), step, actor, block))
        assert random_numbers.philox(key, step, actor, block) == words
        both = randomness.uniforms(np.uint64(key), step, actor, block)
        assert random_numbers.uniforms(key, step, actor, block) == both
        assert random_numbers.tie(key, step, actor) == randomness.hash_key(np.uint64(key), step, actor)
    assert random_numbers.stream_key(3, "traders", 1) == int(randomness.stream_key(3, "traders", 1))


def test_philox_reproduces_the_published_test_vectors():
    # Random123, kat_vectors: philox4x32-10 for counter and key all zero and all ones.
    assert random_numbers.philox(0, 0, 0, 0) == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    ones = random_numbers.philox(2**64 - 1, 2**64 - 1, 2**32 - 1, 2**32 - 1)
    assert ones == (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)
