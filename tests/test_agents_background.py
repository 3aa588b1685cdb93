"""Background flow and arbitrageurs: depth against its profile, withdrawal, scripted flow, the anchor to the index."""

import dataclasses

import numpy as np
import pytest
from agents_support import BTC, Desk, simulate

from spirals.agents.arbitrageur import Arbitrageurs, arbitrageur_rows, decide_arbitrageurs, hedge_outside
from spirals.agents.background import BackgroundFlow
from spirals.agents.market_maker import MarketMakers
from spirals.agents.population import Population
from spirals.simulation.market.constant import ConstantPrice
from spirals.simulation.market.depth import FileDepth, GappedDepth, LinearDepth, PowerDepth
from spirals.simulation.market.shocks import DepthWithdrawal, OrderFlow, PriceJump
from spirals.simulation.randomness import stream_key
from spirals.simulation.state import BACKGROUND_ROW, BUY, SELL, OrderKind

NOBODY = Population(traders=0)
QUIET = BackgroundFlow(order_rate=0.0)
STILL = {
    "population": NOBODY, "background": QUIET, "makers": MarketMakers(count=0), "arbitrageurs": Arbitrageurs(count=0),
    "outside_world": ConstantPrice(price=10000.0),
}


def resting_notional(core, side, within):
    """Notional of background orders within a log-distance of 10 000."""
    orders = [order for order in core.book.orders_of(BACKGROUND_ROW, 0) if order.side == side]
    near = [o for o in orders if abs(np.log(o.price_ticks * BTC.tick_size / 10000.0)) <= within]
    return sum(o.lots * o.price_ticks * BTC.tick_size * BTC.lot_size for o in near)


@pytest.mark.parametrize("depth", [LinearDepth(notional_1pct=2e7), PowerDepth(notional_1pct=2e7),
                                   GappedDepth(notional_1pct=2e7)])
def test_stationary_depth_is_the_profile(depth):
    # Places are independent two-state chains; over 60 looks 20 s apart and two sides the mean of the
    # cumulative depth within 1 % has a standard error of some 2 % (places taken 80 % of the time).
    looks = []
    core = simulate(steps=1200, depth=depth, **STILL)
    steps = core.recorder.steps[20::20, 0]
    for k, distance in enumerate((0.001, 0.005, 0.01)):
        measured = 0.5 * (steps["depth_bid"][:, k].mean() + steps["depth_ask"][:, k].mean())
        looks.append(measured / float(depth.cumulative(distance)))
    assert looks == pytest.approx([1.0, 1.0, 1.0], abs=0.12)


def test_the_opening_book_is_stationary_already():
    totals = [resting_notional(simulate(seed, depth=LinearDepth(notional_1pct=2e7), **STILL), side, 0.1)
              for seed in range(12) for side in (BUY, SELL)]
    assert np.mean(totals) == pytest.approx(float(LinearDepth(notional_1pct=2e7).cumulative(0.1)), rel=0.12)


def test_makers_and_background_share_the_profile():
    parts = dict(STILL, makers=MarketMakers(count=2, depth_share=0.5, reach_bp=12.0))
    depth = LinearDepth(notional_1pct=2e7)
    core = simulate(steps=600, depth=depth, **parts)
    band = core.recorder.steps[20::20, 0]
    measured = 0.5 * (band["depth_bid"][:, 0].mean() + band["depth_ask"][:, 0].mean())
    assert measured == pytest.approx(float(depth.cumulative(0.001)), rel=0.15)
    background = np.mean([resting_notional(core, side, 0.001) for side in (BUY, SELL)])
    assert background < 0.8 * measured


def test_a_one_sided_depth_file_gives_a_one_sided_book(tmp_path):
    file = tmp_path / "book.csv"
    file.write_text("distance_bp,bid_notional,ask_notional\n10,1000000,100000\n100,10000000,1000000\n")
    core = simulate(steps=200, depth=FileDepth(file=str(file)), **STILL)
    steps = core.recorder.steps[20:, 0]
    assert steps["depth_bid"][:, 2].mean() > 5 * steps["depth_ask"][:, 2].mean()


def test_volatility_withdraws_depth_with_the_stated_elasticity():
    depth = LinearDepth(notional_1pct=2e7, volatility_elasticity=0.5, reference_volatility=0.0314)
    core = simulate(steps=1, depth=depth, **STILL)
    core.market.record["volatility"] = 4 * 0.0314
    core.population.decide(core, core.orders)
    assert core.population.flows["bid_depth"][0] == pytest.approx(0.5)
    core.market.record["volatility"] = 0.0314
    core.population.decide(core, core.orders)           # one second later: 1/600 of the way back
    assert core.population.flows["bid_depth"][0] == pytest.approx(0.5 + 0.5 / 600, rel=1e-3)


def test_withdrawn_depth_returns_over_minutes_what_a_trade_took_in_seconds():
    depth = LinearDepth(notional_1pct=2e7, fast_refill_seconds=2.0, slow_refill_seconds=8.0, volatility_elasticity=0.0,
                        return_seconds=600.0)

    def left(shock, elasticity):
        shy = dataclasses.replace(depth, flow_elasticity=elasticity)
        core = simulate(steps=90, depth=shy, shocks=(shock,), **STILL)
        band = core.recorder.steps["depth_bid"][:, 0, 1]                # within 50 bp
        return band[31] / band[20:30].mean(), band[70:90].mean() / band[20:30].mean()

    sale = OrderFlow(at=30.0, duration=1.0, notional_per_second=8e6, side="sell")
    after, later = left(sale, 0.0)                                      # 8e6 of 1e7 taken, nobody is frightened
    assert after < 0.5 and later > 0.85
    assert left(sale, 2.0)[1] < 0.75                                    # a minute later still on its way back


def test_cancels_and_market_orders_rise_with_volatility_and_fills():
    parts = dict(STILL, background=BackgroundFlow(order_rate=1.0, activity_elasticity=1.0))
    counts = []
    for volatility, sold in ((0.0314, 0.0), (8 * 0.0314, 0.0), (0.0314, 4e7)):
        core = simulate(steps=30, depth=LinearDepth(notional_1pct=2e7, volatility_elasticity=1.0, flow_elasticity=1.0),
                        **parts)
        core.market.record["volatility"] = volatility
        core.population.flows["sold_into"] = sold
        n = core.population.decide(core, core.orders)
        sent = core.orders[:n]
        counts.append([int(np.sum(sent["kind"] == kind)) for kind in (OrderKind.CANCEL, OrderKind.IOC)])
    calm, wild, hit = counts
    assert wild[0] > 2 * calm[0] and wild[1] > calm[1]
    assert hit[0] > calm[0]


def test_latent_orders_rest_beyond_the_quoted_band():
    held = []
    for latent in (0.0, 1.0, 3.0):
        depth = LinearDepth(notional_1pct=2e7, latent_from=0.05, latent=latent)
        core = simulate(3, depth=depth, **dict(STILL, background=dataclasses.replace(QUIET, places=200)))
        held.append(resting_notional(core, BUY, 0.2) - resting_notional(core, BUY, 0.05))
    assert held[0] < 0.05 * held[1]                                     # a stratum across the edge
    assert held[1] == pytest.approx(15 * 2e7, rel=0.35) and held[2] == pytest.approx(3 * held[1], rel=0.1)


def test_fills_of_a_side_withdraw_that_side_only():
    flow = OrderFlow(at=0.0, duration=30.0, notional_per_second=2e6, side="sell")
    core = simulate(steps=30, depth=LinearDepth(notional_1pct=2e7, flow_elasticity=1.0), shocks=(flow,), **STILL)
    state = core.population.flows[0]
    assert state["bid_depth"] < 0.6 < 0.95 < state["ask_depth"]


def test_scripted_flow_trades_its_notional():
    flow = OrderFlow(at=0.0, duration=10.0, notional_per_second=1e5, side="buy")
    core = simulate(steps=10, depth=LinearDepth(notional_1pct=2e7), shocks=(flow,), **STILL)
    traded = core.recorder.steps["traded_lots"][1:, 0].sum() * BTC.lot_size * 10000.0
    assert traded == pytest.approx(1e6, rel=0.01)
    assert core.positions["lots"][core.population.takers, 0] > 0


def test_scripted_withdrawal_empties_the_book():
    parts = dict(STILL, shocks=(DepthWithdrawal(at=0.0, duration=400.0, fraction=0.9),))
    core = simulate(steps=300, depth=LinearDepth(notional_1pct=2e7), **parts)
    late = core.recorder.steps[200:, 0]["depth_bid"][:, 2].mean()
    assert late == pytest.approx(2e6, rel=0.5)


def test_limit_and_market_orders_of_the_background_trade_with_each_other():
    parts = dict(STILL, background=BackgroundFlow(order_rate=2.0))
    core = simulate(steps=50, depth=LinearDepth(notional_1pct=2e7), **parts)
    lots = core.positions["lots"][:, 0]
    assert lots[BACKGROUND_ROW] == -lots[core.population.takers] != 0
    assert core.recorder.steps["traded_lots"].sum() > 0


def test_the_book_follows_a_jump_of_the_index():
    parts = dict(STILL, shocks=(PriceJump(at=10.0, size=-0.05),), arbitrageurs=Arbitrageurs(count=2),
                 background=BackgroundFlow())
    core = simulate(steps=200, depth=LinearDepth(notional_1pct=2e7), **parts)
    steps = core.recorder.steps[:, 0]
    gap = np.abs(np.log(steps["mid"] / steps["index"]))
    assert gap[11] > 0.01
    assert gap[100:].mean() < 0.001


def test_live_orders_never_exceed_the_places():
    core = simulate(steps=300, depth=LinearDepth(notional_1pct=2e7), **dict(STILL, background=BackgroundFlow()))
    places = core.population.places[0]
    held = {int(i) for i in places["order_id"] if i}
    assert core.book.resting["orders"][BACKGROUND_ROW, 0] <= len(places)
    assert {order.order_id for order in core.book.orders_of(BACKGROUND_ROW, 0)} <= held


class Arbitraging:
    """One arbitrageur at a hand-made desk."""

    def __init__(self, **parameters):
        self.part = Arbitrageurs(count=1, threshold_bp=10.0, exit_bp=2.0, **parameters)
        self.desk = Desk(cash=1e5)
        self.rows = arbitrageur_rows(self.part, 1e4, [10000.0], [BTC.lot_size], 0)

    def act(self, gap):
        desk = self.desk
        desk.market["mid"] = desk.market["index"] * (1 + gap)
        n = decide_arbitrageurs(0, 1, self.part.rule(), self.rows, desk.accounts, desk.positions, desk.market,
                                desk.contracts, desk.requirement, 1, 1.0, stream_key(1, "arbitrageurs"), desk.orders,
                                0, desk.owners)
        return desk.orders[:n]


def test_an_arbitrageur_sells_a_premium_but_never_below_its_threshold():
    orders = Arbitraging().act(0.002)
    assert len(orders) == 1 and orders[0]["side"] == SELL and orders[0]["kind"] == OrderKind.IOC
    assert orders[0]["price_ticks"] == 20020                     # 10 000 x 1.001 in ticks of .5
    assert orders[0]["lots"] == 300                              # a tenth of 3 x 10 000 quote, at 10 quote a lot
    assert len(Arbitraging().act(0.0009)) == 0


def test_an_arbitrageur_closes_at_the_smaller_threshold_without_turning_around():
    case = Arbitraging()
    case.desk.positions["lots"] = -50
    assert len(case.act(-0.0001)) == 0
    orders = case.act(-0.0005)
    assert (orders[0]["side"], orders[0]["lots"]) == (BUY, 50)


def test_capital_limits_the_arbitrageur():
    case = Arbitraging()
    case.desk.positions["lots"] = -2900
    case.desk.positions["cost"] = -2900 * 20000 * BTC.atoms_per_tick_lot
    assert case.act(0.002)[0]["lots"] == 100                     # limit 3000
    case.desk.positions["lots"] = -3000
    assert len(case.act(0.002)) == 0


def test_every_fill_is_hedged_outside_at_the_index():
    case = Arbitraging()
    orders = case.act(0.002)
    orders[0]["filled_lots"] = 300
    hedge_outside(case.rows[0], orders[0], 10000.0, BTC.lot_size)
    assert case.rows["outside_lots"][0] == 300
    assert case.rows["outside_cash"][0] == pytest.approx(-3000.0)


def test_arbitrageurs_earn_from_a_premium_that_reverts():
    flow = OrderFlow(at=5.0, duration=10.0, notional_per_second=1e6, side="buy")
    parts = dict(STILL, shocks=(flow,), arbitrageurs=Arbitrageurs(count=1, capital=1e7), background=BackgroundFlow())
    core = simulate(steps=300, depth=LinearDepth(notional_1pct=5e6), **parts)
    state = core.population.arbitrageur_state[0]
    lots = core.positions["lots"][core.population.first_arbitrageur, 0]
    assert state["outside_lots"] == -lots
    venue = core.accounts["equity"][core.population.first_arbitrageur] * BTC.atom - 1e7
    outside = state["outside_cash"] + state["outside_lots"] * BTC.lot_size * core.market.record["index"][0]
    assert venue + outside > 0


def test_a_background_without_orders_of_its_own_still_keeps_money_and_positions():
    core = simulate(steps=100, **dict(STILL, background=dataclasses.replace(QUIET, occupancy=0.5)))
    assert core.positions["lots"].sum() == 0
