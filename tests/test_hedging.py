"""Hedged actors: an outside leg that offsets the position, and what auto-deleveraging does to it."""

import dataclasses

import numpy as np
import pytest
from agents_support import Desk, simulate

from spirals.agents.basis_trader import BasisTraders, basis_rows, basis_rule
from spirals.agents.hedging import OutsideHedges, decide_rehedges, follow_outside, hedge_rows, note_cuts, note_restored
from spirals.agents.model import SpiralModel
from spirals.agents.population import Population
from spirals.agents.rows import BASIS
from spirals.agents.setup import Setup
from spirals.simulation.engine import TWINS, Engine
from spirals.simulation.liquidation.waterfall import LossWaterfall
from spirals.simulation.margin.static import Static
from spirals.simulation.market.depth import PowerDepth
from spirals.simulation.market.price_feed import PriceFeed
from spirals.simulation.market.shocks import PriceJump
from spirals.simulation.measures.outcomes import outcomes
from spirals.simulation.randomness import stream_key
from spirals.simulation.state import ADL, BUY, SELL, Cause, Kind, Status

KEY = stream_key(1, "hedges")


class Hedged:
    """A short of 100 lots with its outside leg, by hand."""

    def __init__(self, share=1.0, lots=-100, **parameters):
        self.part = OutsideHedges(**parameters)
        self.desk = Desk(lots=lots, cash=1e4)
        self.owners = np.zeros(1, BASIS)
        self.hedges, self.hedge_of = hedge_rows([(self.owners, share)], self.desk.positions, self.desk.market,
                                                self.desk.contracts, [30.0])

    def cut(self, lots):
        """Auto-deleveraging changes the position by `lots`."""
        record = np.zeros(1, ADL)
        record["lots"] = -lots
        self.desk.positions["lots"] += lots
        note_cuts(record, self.part.rehedge_share, self.hedge_of, self.hedges)

    def follow(self):
        desk = self.desk
        follow_outside(self.hedges, desk.positions, desk.market, desk.contracts)
        return int(self.hedges["outside_lots"][0])

    def orders(self, filled=None):
        desk = self.desk
        n = decide_rehedges(0, 1, self.part.rule(), self.owners, Kind.BASIS_TRADER, self.hedges, self.hedge_of,
                            desk.accounts, desk.market, desk.contracts, 1, KEY, desk.orders, 0)
        if filled is not None:
            desk.orders["filled_lots"][:n] = filled
            desk.positions["lots"] += desk.orders["side"][0] * filled
            note_restored(desk.orders, n, self.hedge_of, self.hedges)
        return desk.orders[:n].copy()


@pytest.mark.parametrize(("share", "outside"), [(1.0, 100), (0.5, 50), (0.0, 0)])
def test_the_outside_leg_offsets_its_share_of_the_position(share, outside):
    hedged = Hedged(share)
    assert hedged.follow() == outside
    hedged.desk.positions["lots"] = -40                          # a trade of its own
    assert hedged.follow() == 0.4 * outside


def test_a_full_hedge_has_no_profit_whatever_the_price_does():
    hedged = Hedged()
    for price in (10500.0, 9000.0, 9700.0):
        hedged.desk.mark(price)
        hedged.desk.positions["lots"] = -100 if price > 9500.0 else -60
        hedged.follow()
    # Outside: bought 100 at 10 000, sold 40 at 9 000, bought 40 at 9 700; it holds 100 at 9 700, lots of .001.
    value = hedged.hedges["outside_lots"][0] * 9.7 + hedged.hedges["outside_cash"][0]
    assert value == pytest.approx(100 * (9.7 - 10.0) + 40 * (9.0 - 9.7))


def test_a_stripped_short_sells_on_the_book_what_it_restores_and_outside_the_rest():
    hedged = Hedged(rehedge_share=0.75)
    hedged.cut(40)
    assert hedged.follow() == 90                                 # 40 lost: 30 to be restored, 10 sold outside
    first = hedged.orders(filled=20)[0]
    assert (first["side"], first["lots"], first["cause"]) == (SELL, 30, Cause.ADL_HEDGE)
    assert hedged.follow() == 90 and hedged.orders(filled=10)["lots"].tolist() == [10]
    assert hedged.follow() == 90 and hedged.desk.positions["lots"][0, 0] == -90 and len(hedged.orders()) == 0


def test_a_stripped_long_buys_back():
    hedged = Hedged(lots=100, rehedge_share=1.0)
    hedged.cut(-25)
    assert hedged.follow() == -100
    assert [(row["side"], row["lots"]) for row in hedged.orders()] == [(BUY, 25)]


def test_a_liquidated_hedger_unwinds_outside_and_sells_nothing_here():
    hedged = Hedged(rehedge_share=1.0)
    hedged.cut(40)
    hedged.desk.accounts["status"] = Status.LIQUIDATING
    assert len(hedged.orders()) == 0
    hedged.desk.positions["lots"] = 0
    assert hedged.follow() == 0


def carry(desk, part=None, basis=0.0):
    desk.market["basis"] = basis
    desk.market["mid"] = desk.market["index"] * (1.0 + basis)
    part = part or BasisTraders(count=1)
    rows = basis_rows(part, [10_000], 0)
    n = basis_rule(part.rule()[0], rows[0], desk.accounts[0], desk.positions[0, 0], desk.market[0], desk.contracts[0],
                   0.1, 1, KEY, desk.orders, 0)
    return [(int(row["side"]), int(row["lots"])) for row in desk.orders[:n]]


def test_basis_traders_earn_the_premium_and_leave_at_a_discount():
    # Largest short 1.5 x 2000 lots, orders of 2 % of it.
    desk = Desk(lots=-2000, cash=1e5)
    assert carry(desk, basis=0.0004) == [] and carry(desk, basis=-0.0009) == []
    assert carry(desk, basis=0.0006) == [(SELL, 60)]
    assert carry(desk, basis=-0.0011) == [(BUY, 60)]
    full, flat = Desk(lots=-3000, cash=1e5), Desk(cash=1e5)
    assert carry(full, basis=0.01) == [] and carry(flat, basis=-0.01) == []


def test_a_basis_trader_extends_only_as_far_as_its_margin_allows():
    assert carry(Desk(lots=-2000, cash=2900.1), basis=0.01) == [(SELL, 30)]   # .7 x 2900 / (.1 x 10) = 2030 lots


PARTS = dict(
    population=Population(traders=200, long_leverage=20.0, short_leverage=10.0, neutral_share=0.5, reduce=0.0,
                          top_up=0.0, stop_loss=0.0, order_rate=0.0),
    depth=PowerDepth(share_of_open_interest=0.003), waterfall=LossWaterfall(insurance_fund=0.0),
    shocks=(PriceJump(at=10.0, size=-0.12, ramp_seconds=5.0),), price_feed=PriceFeed(mark="index"),
    margin=Static(0.02, 0.01),
)
BASIS_PART = BasisTraders(count=4, interest_share=0.3, leverage=10.0)


def crash(seed=1, steps=60, **parts):
    return simulate(seed, steps, **{**PARTS, **parts})


def test_basis_traders_hold_their_part_of_the_open_interest():
    core = crash(steps=0, basis_traders=BASIS_PART)
    people, lots = core.population, core.positions["lots"][:, 0]
    assert lots.sum() == 0 and np.maximum(lots, 0).sum() == 60_000_000
    own = lots[people.first_basis:people.first_user]
    assert own.tolist() == [-4_500_000] * 4
    assert np.all(core.accounts["kind"][people.first_basis:people.first_user] == Kind.BASIS_TRADER)


def test_deleveraged_hedges_come_back_to_the_book_as_forced_sales():
    sold = []
    for share in (0.0, 1.0):
        core = crash(basis_traders=BASIS_PART, hedges=OutsideHedges(shorts=True, rehedge_share=share))
        found = outcomes(core.record())
        assert found["adl_notional"] > 0.0
        sold.append(found["forced_notional_adl_hedge"])
    assert sold[0] == 0.0 and sold[1] > 1e6


def test_a_hedged_book_loses_outside_what_it_gains_here():
    core = crash(basis_traders=BASIS_PART, hedges=OutsideHedges(shorts=True, rehedge_share=0.0))
    record = core.record()
    rows = slice(core.population.first_basis, core.population.first_user)
    here = (record.closing_equity - record.opening_equity - record.deposits)[rows].sum()
    elsewhere = record.outside_profit[rows].sum()
    assert here > 0.0 > elsewhere
    assert abs(here + elsewhere) < 0.25 * here                   # what is left: discount, fees and bankruptcy prices


def test_the_shadow_twin_takes_rehedging_off_the_book():
    parts = dict(basis_traders=BASIS_PART, hedges=OutsideHedges(shorts=True, rehedge_share=1.0))
    core = crash(engine=Engine(check_identities=True, shadow_causes=("adl_hedge",)), **parts)
    found = outcomes(core.record())
    assert found["forced_notional_adl_hedge"] > 0.0
    assert "adl_hedge" in TWINS["T1"][1]["shadow_causes"]


def test_the_hedges_of_makers_follow_their_inventory():
    core = crash(steps=40, shocks=(), hedges=OutsideHedges(maker_share=0.5))
    legs = core.population.hedge_state
    held = core.positions["lots"][legs["account"], 0]
    assert len(legs) == 3 and np.any(held != 0)
    assert np.array_equal(legs["outside_lots"], -np.trunc(0.5 * held).astype(int))


def test_makers_who_were_cut_leave_for_a_while():
    core = crash(steps=0, hedges=OutsideHedges(maker_share=1.0, maker_away_seconds=30.0))
    people = core.population
    cuts = np.zeros(1, ADL)
    cuts["counterparty"], cuts["lots"] = people.first_maker + 1, 10
    people.after_deleveraging(core, cuts)
    core.run(5)
    away = people.maker_state["away_until"] > core.step_index
    assert away.tolist() == [False, True, False]


def test_makers_know_which_hedges_they_lost_and_what_the_others_earned():
    core = crash(steps=40, shocks=(), hedges=OutsideHedges(maker_share=1.0, rehedge_share=0.5))
    people = core.population
    legs, held = people.hedge_state, core.positions["lots"][people.maker_state["account"], 0].copy()
    m = int(np.argmax(np.abs(held)))
    assert np.all(people.maker_state["bare_lots"] == 0)
    cuts = np.zeros(1, ADL)
    cuts["counterparty"], cuts["lots"] = people.maker_state["account"][m], held[m] // 2   # half is closed
    people.after_deleveraging(core, cuts)
    people.decide(core, core.orders)
    assert people.maker_state["bare_lots"][m] == legs["cut_lots"][m] != 0
    assert np.sign(people.maker_state["bare_lots"][m]) == -np.sign(held[m])
    profit = legs["outside_lots"] * 1e-3 * core.market.record["index"][0] + legs["outside_cash"]
    told = people.maker_state["outside_profit"] * 1e-6
    assert told == pytest.approx(profit, abs=1e-5)


def test_orders_do_not_depend_on_who_calls_the_rules():
    setup = dataclasses.replace(
        Setup(), **{**PARTS, "population": dataclasses.replace(PARTS["population"], traders=60)}, steps=30,
        basis_traders=BASIS_PART, hedges=OutsideHedges(shorts=True, rehedge_share=1.0, maker_share=0.5),
    )
    hashes = []
    for activation in ("compiled", "agents"):
        model = SpiralModel(setup, rng=1, activation=activation, collect_every=0)
        model.run()
        hashes.append(model.core.hash())
    assert hashes[0] == hashes[1]
    kinds = {type(agent).__name__ for agent in model.agents}
    assert "BasisTrader" in kinds
    assert any(agent.outside_pnl < 0.0 for agent in model.agents if type(agent).__name__ == "BasisTrader")


def test_a_run_with_hedges_continues_bit_for_bit_after_a_restore():
    parts = dict(basis_traders=BASIS_PART, hedges=OutsideHedges(shorts=True, rehedge_share=1.0))
    setup = dataclasses.replace(Setup(), **PARTS, **parts, steps=60, engine=Engine(check_identities=True))
    first, second = (SpiralModel(setup, rng=1, collect_every=0).core for _ in range(2))
    first.run(25)
    second.restore({name: array.copy() for name, array in first.arrays().items()})
    first.run()
    second.run()
    assert first.hash() == second.hash() == crash(**parts).hash()
