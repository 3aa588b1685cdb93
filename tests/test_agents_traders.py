"""Leveraged traders: exits, reaction to near calls as a hazard, behaviours, re-entry; all by hand."""

import math

import numpy as np
import pytest
from agents_support import BTC, Desk, trader, trader_rule_row

from spirals.agents.draws import uniforms_of_rows
from spirals.agents.leveraged_trader import ASKED, IDLE, ORDERED, trader_rule
from spirals.agents.rows import TRADER, Behaviour, Response
from spirals.simulation.randomness import stream_key, uniforms
from spirals.simulation.state import BUY, SELL, Cause, Mode, OrderKind, Status


def decide(desk, row, first=0.5, second=0.5, resting=False, seconds=1.0, **rule):
    """Apply the rule; return what the trader did and its order."""
    did = trader_rule(
        trader_rule_row(**rule)[0], row[0], desk.accounts[0], desk.positions[0, 0], desk.market[0], desk.contracts[0],
        desk.requirement[0], resting, seconds, first, second, desk.orders[0],
    )
    return did, desk.orders[0]


def test_draws_in_a_batch_are_those_of_the_single_actors():
    rows = np.zeros(70, TRADER)
    rows["account"], rows["instrument"] = np.arange(70) * 3 + 9, np.arange(70) % 3
    key, out = stream_key(7, "traders"), np.zeros((2, 64))
    for step in (0, 12345, 2**40 + 1):
        uniforms_of_rows(key, step, rows, 5, 69, np.zeros((4, 64), np.uint64), out)
        for k in range(64):
            assert tuple(out[:, k]) == uniforms(key, step, int(rows["account"][5 + k]), int(rows["instrument"][5 + k]))


def test_a_stop_loss_sells_everything_once_the_mark_is_below_it():
    desk = Desk(lots=100, cash=1000.0)
    row = trader(behaviour=Behaviour.STOP_LOSS, exit_price=9500.0)
    desk.mark(9501.0)
    assert decide(desk, row)[0] == IDLE
    desk.mark(9499.0)
    did, order = decide(desk, row)
    assert did == ORDERED
    assert (order["side"], order["lots"], order["kind"], order["cause"]) == (SELL, 100, OrderKind.IOC, Cause.STOP_LOSS)
    assert order["price_ticks"] == math.ceil(9499.0 * 0.98 / BTC.tick_size) and order["reduce_only"] == 1
    assert decide(desk, row)[0] == IDLE           # spent


def test_a_short_takes_its_profit_by_buying_back_of_its_own_accord():
    desk = Desk(lots=-100, cash=1000.0)
    row = trader(behaviour=Behaviour.TAKE_PROFIT, exit_price=9500.0)
    desk.mark(9600.0)
    assert decide(desk, row)[0] == IDLE
    desk.mark(9400.0)
    did, order = decide(desk, row)
    assert did == ORDERED
    assert (order["side"], order["lots"], order["cause"]) == (BUY, 100, Cause.VOLUNTARY)


@pytest.mark.parametrize("mode", [Mode.CROSS, Mode.ISOLATED])
def test_the_hazard_of_selling_rises_as_the_call_comes_near(mode):
    # 100 lots at 10 000 are 1000 quote; maintenance 50. With 70 of equity the call is 20 / 1000 = 2 % away,
    # two e-folding distances: P = 1 - exp(-h exp(-2)).
    desk = Desk(lots=100, cash=70.0)
    if mode == Mode.ISOLATED:
        desk.accounts["mode"] = mode
        desk.positions["collateral"], desk.accounts["cash"] = desk.accounts["cash"], 0
        desk.mark(10000.0)
    chance = 1 - math.exp(-0.5 * math.exp(-2.0))
    row = trader(response=Response.REDUCE, call_hazard=0.5)
    assert decide(desk, row, first=chance + 1e-6)[0] == IDLE
    did, order = decide(desk, row, first=chance - 1e-6)
    assert did == ORDERED
    assert (order["side"], order["lots"], order["cause"]) == (SELL, 30, Cause.CALL_RESPONSE)


def test_keeping_calm_before_a_call_says_nothing_about_the_next_decision():
    """Reacting to the call has chance p, trading back to the target leverage q (1 - p): two decisions, not one draw."""
    desk = Desk(lots=100, cash=70.0)                                 # 2 % from the call, at 14 times, target 5
    row = trader(response=Response.REDUCE, call_hazard=5.0, behaviour=Behaviour.LEVERAGE_TARGETING, horizon=1.0)
    p, q = 1 - math.exp(-5.0 * math.exp(-2.0)), 1 - math.exp(-1.0)
    causes = []
    for first in (np.arange(1000) + 0.5) / 1000:
        did, order = decide(desk, row, first=first)
        causes.append(int(order["cause"]) if did == ORDERED else -1)
    found = [causes.count(Cause.CALL_RESPONSE) / 1000, causes.count(Cause.LEVERAGE_TARGET) / 1000]
    assert found == pytest.approx([p, q * (1 - p)], abs=0.002)       # a grid of 1000: two ends


def test_beyond_the_call_the_hazard_is_that_at_the_call():
    desk = Desk(lots=100, cash=20.0)
    row = trader(response=Response.REDUCE, call_hazard=0.5)
    chance = 1 - math.exp(-0.5)
    assert decide(desk, row, first=chance - 1e-6)[0] == ORDERED
    assert decide(desk, row, first=chance + 1e-6)[0] == IDLE


def test_far_from_the_call_nobody_reacts():
    desk = Desk(lots=100, cash=70.0 + 60.0)
    assert decide(desk, trader(response=Response.REDUCE, call_hazard=1e9), first=1e-12)[0] == IDLE


def test_a_trader_of_the_passive_kind_does_nothing_at_the_call():
    desk = Desk(lots=100, cash=50.0)
    assert decide(desk, trader(response=Response.NOTHING, call_hazard=1e9), first=1e-12)[0] == IDLE


def test_a_top_up_restores_the_target_leverage_as_far_as_outside_wealth_goes():
    desk = Desk(lots=100, cash=60.0)
    row = trader(response=Response.TOP_UP, call_hazard=1e9, target_leverage=5.0)
    assert decide(desk, row, first=0.1)[0] == IDLE               # no outside wealth
    desk.accounts["outside_wealth"] = round(1000.0 / BTC.atom)
    did, order = decide(desk, row, first=0.1)
    assert did == ASKED and order["lots"] * BTC.atom == pytest.approx(200.0 - 60.0)
    desk.accounts["outside_wealth"] = round(30.0 / BTC.atom)
    assert decide(desk, row, first=0.1)[1]["lots"] * BTC.atom == pytest.approx(30.0)
    desk.accounts["transfer_step"] = 5                           # money is on its way
    assert decide(desk, row, first=0.1)[0] == IDLE


def test_leverage_targeting_sells_after_a_fall_and_buys_after_a_rise():
    # 100 lots, 200 of equity: leverage 5. At 9500 it is 950 / 150 = 6.33: sell (950 - 750) / 9.5 = 21 lots.
    desk = Desk(lots=100, cash=200.0)
    row = trader(behaviour=Behaviour.LEVERAGE_TARGETING, target_leverage=5.0, horizon=1.0)
    assert decide(desk, row, first=0.0)[0] == IDLE
    desk.mark(9500.0)
    did, order = decide(desk, row, first=0.0)
    assert did == ORDERED
    assert (order["side"], order["lots"], order["cause"]) == (SELL, 21, Cause.LEVERAGE_TARGET)
    assert decide(desk, row, first=0.64)[0] == IDLE              # P(act) = 1 - exp(-1) = .632
    desk.mark(10500.0)                                           # 1050 / 250 = 4.2: buy (1250 - 1050) / 10.5 = 19
    did, order = decide(desk, row, first=0.0)
    assert (order["side"], order["lots"], order["cause"]) == (BUY, 19, Cause.LEVERAGE_TARGET)


@pytest.mark.parametrize(("behaviour", "side"), [(Behaviour.TREND_FOLLOWING, SELL), (Behaviour.CONTRARIAN, BUY)])
def test_trend_followers_sell_a_fall_and_contrarians_buy_it(behaviour, side):
    desk = Desk(lots=10, cash=1000.0)
    row = trader(behaviour=behaviour, order_rate=1.0, home_lots=10, unit_lots=2, trend_price=10000.0)
    desk.mark(9900.0)
    did, order = decide(desk, row, first=0.5)
    assert did == ORDERED and order["side"] == side and order["lots"] == 2
    # The moving average follows with the horizon: 10000 - 100 / 100.
    assert row["trend_price"][0] == pytest.approx(9999.0)


def test_own_trading_stays_near_the_opening_position():
    desk = Desk(lots=110, cash=1e5)
    row = trader(order_rate=1.0, home_lots=100, unit_lots=2)
    sides = [int(decide(desk, row, second=u)[1]["side"]) for u in (0.1, 0.3, 0.6, 0.9)]
    assert sides == [SELL] * 4                                   # five units above the opening: only back
    desk.positions["lots"] = 108
    assert [int(decide(desk, row, second=u)[1]["side"]) for u in (0.1, 0.9)] == [BUY, SELL]


def test_a_resting_order_is_replaced_in_every_step_when_the_rate_is_one_per_step():
    desk = Desk(lots=100, cash=1e5)
    row = trader(order_rate=1.0, home_lots=100, order_id=77)
    did, order = decide(desk, row, second=0.25, resting=True, limit_orders=1.0, order_distance=0.001)
    assert (did, order["kind"], order["target"]) == (ORDERED, OrderKind.REPLACE, 77)
    # Side: lower half of the draw buys; its place in the half: .5 of twice the mean distance.
    assert order["side"] == BUY and order["price_ticks"] == round(10000.0 * (1 - 0.001) / 0.5)
    did, order = decide(desk, row, second=0.25, resting=False, limit_orders=1.0)
    assert (did, order["kind"], order["target"]) == (ORDERED, OrderKind.LIMIT, 0)


def test_orders_come_at_the_stated_rate():
    desk = Desk(lots=100, cash=1e5)
    row = trader(order_rate=0.1, home_lots=100)
    draws = (np.arange(1000) + 0.5) / 1000
    acted = [decide(desk, row, second=u)[0] == ORDERED for u in draws]
    assert sum(acted) == 100


def test_whoever_is_being_liquidated_decides_nothing():
    desk = Desk(lots=100, cash=10.0)
    desk.accounts["status"] = Status.LIQUIDATING
    assert decide(desk, trader(order_rate=1.0, response=Response.REDUCE, call_hazard=1e9), first=0.0)[0] == IDLE


def test_a_trader_out_of_the_market_returns_only_with_a_re_entry_rate():
    desk = Desk(lots=0, cash=300.0)
    row = trader(home_lots=100, order_rate=1.0)
    assert decide(desk, row, first=0.0)[0] == IDLE
    did, order = decide(desk, row, first=0.0, reentry_rate=1.0)
    assert did == ORDERED and (order["side"], order["lots"]) == (BUY, 100)   # 5 x 300 covers 1000, 10 % margin too
    desk = Desk(lots=0, cash=10.0)
    desk.accounts["outside_wealth"] = round(500.0 / BTC.atom)
    did, order = decide(desk, row, first=0.0, reentry_rate=1.0)
    assert did == ASKED and order["lots"] * BTC.atom == pytest.approx(200.0)  # 1000 / 5
