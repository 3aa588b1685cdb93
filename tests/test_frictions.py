"""Frictions: a freeze of top-ups, a slow liquidation engine, makers who are faster than a step."""

import numpy as np
import pytest
from agents_support import simulate

from spirals.agents.market_maker import MarketMakers
from spirals.agents.population import Population
from spirals.simulation.accounts.margin_calls import MarginCalls
from spirals.simulation.accounts.top_ups import move_top_ups
from spirals.simulation.engine import Engine
from spirals.simulation.liquidation.mechanism import LiquidationMechanism
from spirals.simulation.market.depth import PowerDepth
from spirals.simulation.market.price_feed import PriceFeed
from spirals.simulation.market.shocks import PriceJump
from spirals.simulation.measures.outcomes import outcomes
from spirals.simulation.state import ACCOUNT, POSITION


def crash(steps=80, **parts):
    parts.setdefault("population", Population(traders=200, long_leverage=15.0, order_rate=0.0))
    parts.setdefault("engine", Engine(check_identities=True))
    return simulate(1, steps, shocks=(PriceJump(at=20.0, size=-0.08, ramp_seconds=30.0),), **parts)


def test_frozen_money_neither_leaves_nor_arrives():
    accounts, positions = np.zeros(2, ACCOUNT), np.zeros((2, 1), POSITION)
    accounts["outside_wealth"], accounts["transfer_step"] = 1000, -1
    accounts["in_transfer"][1], accounts["transfer_step"][1] = 300, 5
    requests = np.array([100, 0], np.int64)
    assert move_top_ups(accounts, positions, requests, 6, 2, True) == 0
    assert requests[0] == 0 and accounts["outside_wealth"][0] == 1000 and accounts["in_transfer"][1] == 300
    assert move_top_ups(accounts, positions, requests, 7, 2, False) == 300 and accounts["cash"][1] == 300


def test_a_freeze_during_the_crash_stops_rescues():
    people = Population(traders=200, long_leverage=15.0, order_rate=0.0, top_up=1.0, reduce=0.0, call_hazard=1.0)

    def rescued(**freeze):
        core = crash(population=people, margin_calls=MarginCalls(transfer_seconds=5.0, **freeze))
        found = outcomes(core.record())
        return found["topped_up"], found["liquidated_notional"]

    free, frozen = rescued(), rescued(freeze_seconds=90.0)
    assert frozen[0] == 0.0 < free[0] and frozen[1] > free[1]
    assert rescued(freeze_at_seconds=70.0, freeze_seconds=0.0) == free


@pytest.mark.parametrize("period", [5.0, 20.0])
def test_a_slow_engine_liquidates_only_when_it_runs(period):
    core = crash(engine=Engine(period_seconds=period, check_identities=True))
    steps = core.recorder.liquidations.rows["step"]
    assert len(steps) > 5 and np.all(steps % period == 0)


def test_what_a_slow_engine_lets_slip_is_bad_debt():
    # Filled at the mark, so that only the fall while the engine waits (8 % in 30 s) costs anything.
    people = Population(traders=200, long_leverage=30.0, order_rate=0.0, neutral_share=0.0)
    debts = []
    for period in (0.0, 20.0):
        engine = Engine(period_seconds=period, transfer_causes=("liquidation",), check_identities=True)
        core = crash(engine=engine, population=people, price_feed=PriceFeed(mark="index"))
        debts.append(outcomes(core.record())["bad_debt_gross"])
    assert debts[1] > max(1e6, 100.0 * debts[0])


def test_an_engine_that_runs_every_second_is_the_default_one():
    assert crash(engine=Engine(period_seconds=1.0, check_identities=True)).hash() == crash().hash()


THIN = dict(depth=PowerDepth(share_of_open_interest=0.003), liquidation=LiquidationMechanism(size="full"),
            engine=Engine(max_rounds=20, check_identities=True))


def test_makers_who_react_between_rounds_send_more_quotes_only_when_there_are_rounds():
    def makers(reaction, fall=True):
        part = MarketMakers(depth_share=0.9, maker_reaction_rounds=reaction)
        parts = dict(THIN) if fall else {**THIN, "margin_calls": MarginCalls(), "shocks": ()}
        core = crash(makers=part, **parts) if fall else simulate(1, 40, makers=part, **parts)
        return core

    slow, fast, never = makers(0), makers(1), makers(100)
    assert slow.recorder.totals["rounds"].max() > 2
    assert fast.hash() != slow.hash() and never.hash() == slow.hash()
    assert makers(1, fall=False).hash() == makers(0, fall=False).hash()


def test_quotes_of_reacting_makers_are_known_to_them():
    core = crash(makers=MarketMakers(depth_share=0.9, maker_reaction_rounds=1), **THIN)
    people = core.population
    for m in range(people.makers.count):
        known = {int(order) for order in people.quotes["order_id"][m] if order}
        resting = {order.order_id for order in core.book.orders_of(people.first_maker + m, 0)}
        assert resting <= known
