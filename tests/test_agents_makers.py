"""Market makers: quotes of the theory by hand, inventory and margin limits, replacement, withdrawal and return."""

import math

import numpy as np
import pytest
from agents_support import BTC, Desk, simulate

from spirals.agents.market_maker import MarketMakers, decide_makers, glft, maker_rows
from spirals.agents.orders import NO_ORDER
from spirals.simulation.errors import InputError
from spirals.simulation.market.depth import LinearDepth
from spirals.simulation.order_book.book import OrderBook
from spirals.simulation.randomness import stream_key
from spirals.simulation.state import BUY, SELL, OrderKind

DEPTH = LinearDepth(notional_1pct=1e7)


def test_glft_quotes_of_the_avellaneda_stoikov_setting():
    # gamma .1, A 140, k 1.5, sigma 2 (Avellaneda and Stoikov 2008): c1 = 10 ln(1 + 1/15) = .645385,
    # c2 = sqrt(.1 / 420 * (16/15)^16) = .0258578; half-spread = c1 + c2 (sigma/2 = 1), skew = 2 c2.
    c1 = 10 * math.log(16 / 15)
    c2 = math.sqrt(0.1 / 420 * (16 / 15) ** 16)
    half, skew = glft(0.1, 140.0, 1.5, 2.0)
    assert half == pytest.approx(c1 + c2, rel=1e-12)
    assert skew == pytest.approx(2 * c2, rel=1e-12)
    assert half == pytest.approx(0.6713, abs=2e-4)


def test_without_risk_the_half_spread_is_that_of_the_fill_rate():
    assert glft(1e-6, 140.0, 1.5, 0.0)[0] == pytest.approx(1 / 1.5, rel=1e-5)


class Quoting:
    """One maker at a hand-made desk with its own book."""

    def __init__(self, hedged_share=0.0, bare_widening=0.0, **parameters):
        self.hedged_share, self.bare_widening = hedged_share, bare_widening
        self.part = MarketMakers(count=1, index_weight=1.0, **parameters)
        self.desk = Desk(cash=1e6)
        self.rows, self.quotes = maker_rows(self.part, [DEPTH], [10000.0], [BTC.lot_size], 0)
        self.book = OrderBook((BTC,), 1)
        self.step = 0

    def act(self, depth_factor=1.0):
        desk, self.step = self.desk, self.step + 1
        n = decide_makers(
            0, 1, self.part.rule(DEPTH, self.hedged_share, self.bare_widening), self.rows, self.quotes,
            desk.accounts, desk.positions, desk.market, desk.contracts, desk.requirement, self.book.slots,
            self.book.pool, self.step, 1.0, stream_key(1, "makers"), np.array([depth_factor]), desk.orders, 0,
            desk.owners,
        )
        orders = desk.orders[:n]
        self.book.match(desk.orders, np.arange(n), np.zeros((1, 1), np.int64))
        for k in range(n):
            resting = orders[k]["order_id"]
            self.quotes[0, desk.owners[k]]["order_id"] = resting if resting > 0 else NO_ORDER
        return orders.copy()


def prices(orders, side):
    return orders["price_ticks"][orders["side"] == side] * BTC.tick_size


def test_quotes_are_symmetric_without_inventory_and_share_the_profile():
    maker = Quoting(depth_share=0.5)
    orders = maker.act()
    bids, asks = prices(orders, BUY), prices(orders, SELL)
    assert len(bids) == len(asks) == 4
    assert np.all(10000.0 - bids == asks - 10000.0)
    assert np.all(np.diff(bids) < 0)
    lots = orders["lots"][orders["side"] == BUY]
    # Half of the linear profile within 12 bp: .5 * 1e7 * .12 quote.
    assert lots.sum() * 10.0 == pytest.approx(0.5 * 1.2e6, rel=0.01)


def test_a_long_inventory_lowers_both_sides():
    maker = Quoting(depth_share=0.5, inventory_limit=1000.0)
    flat = maker.act()
    maker = Quoting(depth_share=0.5, inventory_limit=1000.0)
    maker.desk.positions["lots"] = 50 * maker.rows["unit_lots"][0]
    maker.desk.positions["cost"] = maker.desk.positions["lots"] * 20000 * BTC.atoms_per_tick_lot
    maker.desk.accounts["cash"] = 10**15
    maker.desk.mark(10000.0)
    long = maker.act()
    # 50 units of skew: sigma c2 = .0314 * 1e4 / sqrt(86400) * .0805 = .086 bp each, 4.3 bp or 8 to 9 ticks in all.
    shift = prices(flat, BUY)[0] - prices(long, BUY)[0]
    assert shift == pytest.approx(4.3, abs=0.5)
    assert prices(flat, SELL)[0] - prices(long, SELL)[0] == pytest.approx(4.3, abs=0.5)


@pytest.mark.parametrize(("hedged_share", "shift"), [(0.0, 4.3), (0.5, 2.15), (1.0, 0.0)])
def test_inventory_that_is_hedged_elsewhere_does_not_move_the_quotes(hedged_share, shift):
    flat = Quoting(inventory_limit=1000.0).act()
    maker = Quoting(hedged_share, inventory_limit=1000.0)
    maker.desk.positions["lots"] = 50 * maker.rows["unit_lots"][0]
    maker.desk.positions["cost"] = maker.desk.positions["lots"] * 20000 * BTC.atoms_per_tick_lot
    maker.desk.accounts["cash"] = 10**15
    maker.desk.mark(10000.0)
    assert prices(flat, BUY)[0] - prices(maker.act(), BUY)[0] == pytest.approx(shift, abs=0.5)


def test_quotes_stay_until_the_price_has_moved_by_the_threshold():
    maker = Quoting(replace_bp=2.0)
    maker.act()
    maker.desk.mark(10000.5)       # half a basis point
    assert len(maker.act()) == 0
    maker.desk.mark(10003.0)
    moved = maker.act()
    assert len(moved) == 8 and np.all(moved["kind"] == OrderKind.REPLACE)


def test_a_depleted_quote_is_renewed():
    maker = Quoting()
    maker.act()
    slot = int(maker.quotes[0, 0]["order_id"]) & 0xFFFFFF
    maker.book.slots[slot]["lots"] = 1
    orders = maker.act()
    assert len(orders) == 1 and orders[0]["kind"] == OrderKind.REPLACE
    assert orders[0]["lots"] == maker.quotes[0, 0]["lots"]


def test_inventory_limit_leaves_only_the_reducing_side():
    maker = Quoting(inventory_limit=5.0)
    maker.desk.positions["lots"] = maker.rows["limit_lots"][0]
    assert set(maker.act()["side"].tolist()) == {SELL}


def test_own_margin_limits_the_quotes():
    maker = Quoting(margin_use=0.5)
    maker.desk.accounts["cash"] = round(1000.0 / BTC.atom)      # half of 1000 at 10 % initial margin: 5000 quote
    maker.desk.mark(10000.0)
    orders = maker.act()
    assert orders["lots"][orders["side"] == BUY].sum() * 10.0 == pytest.approx(5000.0, abs=10.0)


def test_makers_leave_in_volatility_and_return_after_the_timer():
    maker = Quoting(withdraw_multiple=2.0, withdraw_spread=0.0, return_seconds=30.0)
    assert len(maker.act()) == 8
    maker.desk.market["volatility"] = 0.1                       # above 2 x .0314
    orders = maker.act()
    assert orders["kind"].tolist() == [OrderKind.CANCEL_ALL] and maker.book.n_orders == 0
    maker.desk.market["volatility"] = 0.03
    assert all(len(maker.act()) == 0 for _ in range(29))
    assert len(maker.act()) == 8


def test_makers_leave_after_losses():
    maker = Quoting(loss_limit=0.1)
    maker.act()
    maker.desk.accounts["equity"] = maker.desk.accounts["equity"] * 0.89
    assert maker.act()["kind"].tolist() == [OrderKind.CANCEL_ALL]


@pytest.mark.parametrize(("elasticity", "size"), [(0.0, 1.0), (1.0, 0.5), (2.0, 0.25)])
def test_a_maker_who_lost_half_of_its_capital_quotes_half(elasticity, size):
    maker = Quoting(capital_elasticity=elasticity, loss_limit=1.0, replace_ticks=1000)
    opening = maker.act()["lots"]
    maker.desk.accounts["equity"] //= 2
    if elasticity == 0.0:
        assert len(maker.act()) == 0
        return
    shrunk = maker.act()
    assert np.all(shrunk["kind"] == OrderKind.REPLACE)
    assert shrunk["lots"].tolist() == (opening * size).astype(int).tolist()
    maker.desk.accounts["equity"] *= 4                             # more than at the opening: no larger than then
    assert maker.act()["lots"].tolist() == opening.tolist()


def test_the_inventory_limit_shrinks_with_capital():
    maker = Quoting(inventory_limit=20.0, capital_elasticity=1.0, loss_limit=1.0)
    maker.act()
    maker.desk.positions["lots"] = int(0.6 * maker.rows["limit_lots"][0])
    assert set(maker.act()["side"].tolist()) == {BUY, SELL}
    maker = Quoting(inventory_limit=20.0, capital_elasticity=1.0, loss_limit=1.0)
    maker.act()
    maker.desk.positions["lots"] = int(0.6 * maker.rows["limit_lots"][0])
    maker.desk.accounts["equity"] //= 2                            # .6 of the old limit is above half of it
    assert {int(o["side"]) for o in maker.act() if o["kind"] != OrderKind.CANCEL} == {SELL}


def test_a_maker_comes_back_with_the_capital_it_has_left():
    maker = Quoting(capital_elasticity=1.0, loss_limit=0.1, return_seconds=20.0)
    opening = maker.act()["lots"]
    maker.desk.accounts["equity"] = (maker.desk.accounts["equity"] * 0.6).astype(int)
    assert maker.act()["kind"].tolist() == [OrderKind.CANCEL_ALL]
    assert all(len(maker.act()) == 0 for _ in range(19))
    assert maker.act()["lots"].sum() == pytest.approx(0.6 * opening.sum(), rel=0.01)


def test_a_hedge_that_gained_what_the_venue_took_leaves_the_capital_whole():
    maker = Quoting(capital_elasticity=1.0, loss_limit=1.0)
    opening = maker.act()["lots"]
    maker.desk.accounts["equity"] //= 2
    maker.rows["outside_profit"] = maker.desk.accounts["equity"][0]
    assert len(maker.act()) == 0 and np.all(opening > 0)


def test_what_deleveraging_left_without_its_hedge_bears_risk():
    flat = Quoting(1.0, inventory_limit=1000.0).act()
    stripped, wide = Quoting(1.0, inventory_limit=1000.0), Quoting(1.0, 10.0, inventory_limit=1000.0)
    for maker in (stripped, wide):
        maker.rows["bare_lots"] = 50 * maker.rows["unit_lots"][0]
    skewed, widened = stripped.act(), wide.act()
    assert prices(flat, BUY)[0] - prices(skewed, BUY)[0] == pytest.approx(4.3, abs=0.5)   # as without any hedge
    spread = [prices(orders, SELL)[-1] - prices(orders, BUY)[-1] for orders in (skewed, widened)]
    assert spread[1] == pytest.approx(1.5 * spread[0], rel=0.05)   # 1 + 10 x 50 / 1000


def test_quotes_widen_with_volatility():
    wide = Quoting(widening=1.0)
    wide.desk.market["volatility"] = 0.0314 * 4
    calm = Quoting(widening=1.0)
    spread = [prices(maker, SELL)[0] - prices(maker, BUY)[0] for maker in (calm.act(), wide.act())]
    assert spread[1] > 3 * spread[0]


def test_scripted_withdrawal_cuts_the_size_of_quotes():
    full, half = Quoting().act(), Quoting().act(depth_factor=0.5)
    assert half["lots"].sum() == pytest.approx(0.5 * full["lots"].sum(), rel=0.02)


def test_reach_must_lie_outside_the_half_spread():
    with pytest.raises(InputError, match="reach_bp must exceed the half-spread"):
        MarketMakers(reach_bp=0.1)


def test_no_makers_leave_the_whole_book_to_the_background():
    core = simulate(steps=5, makers=MarketMakers(count=0))
    assert len(core.population.maker_state) == 0
    assert core.market.record["best_bid"][0] > 0
