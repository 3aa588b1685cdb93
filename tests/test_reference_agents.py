"""Compiled traders against plain Mesa agents with the same rules, on the compiled and on the plain venue."""

import mesa
import numpy as np
import pytest

from spirals.agents.arbitrageur import Arbitrageurs
from spirals.agents.background import BackgroundFlow
from spirals.agents.groups import Agents
from spirals.agents.market_maker import MarketMakers
from spirals.agents.population import Population
from spirals.agents.reference import ReferenceModel, ReferenceTrader, ladder
from spirals.agents.setup import Setup
from spirals.simulation.accounts.margin_calls import MarginCalls
from spirals.simulation.contracts import Instrument
from spirals.simulation.engine import Engine
from spirals.simulation.liquidation.waterfall import LossWaterfall
from spirals.simulation.margin.static import Static
from spirals.simulation.market.depth import LinearDepth
from spirals.simulation.market.geometric_brownian import GeometricBrownian
from spirals.simulation.simulation import Simulation
from spirals.simulation.state import ACCOUNT, BACKGROUND_ROW, POSITION, TRADE, Cause, OrderKind

LEVELS, LOTS, STEPS = 20, 400, 60


def crash(seed, **habits):
    """Levered traders with strong habits in a violent market; nobody else but a ladder of quotes."""
    habits = dict(traders=60, open_interest=4e7, long_leverage=15.0, short_leverage=15.0, order_rate=0.3,
                  stop_loss=0.2, take_profit=0.2, trend_following=0.2, contrarian=0.1, leverage_targeting=0.2,
                  top_up=0.3, reduce=0.4, call_hazard=2.0, horizon_seconds=20.0, reentry_rate=0.2,
                  neutral_share=0.2, stop_nearest=0.002, stop_furthest=0.02) | habits
    return Setup(
        instruments=(Instrument(tick_size=0.5, lot_size=0.01, atom=1e-4),), steps=STEPS,
        outside_world=GeometricBrownian(price=8000.0, volatility=40.0), margin=Static(0.02, 0.01),
        waterfall=LossWaterfall(insurance_fund=20000.0), engine=Engine(check_identities=True),
        margin_calls=MarginCalls(transfer_seconds=5.0),
        makers=MarketMakers(count=0), arbitrageurs=Arbitrageurs(count=0),
        depth=LinearDepth(notional_1pct=1e-9), background=BackgroundFlow(order_rate=0.0),
        population=Population(**habits),
    )


class Quotes:
    """Lets the ladder of the reference quote on the compiled venue."""

    def __init__(self, agents):
        self.queue = agents.queue

    def __call__(self, core):
        for i, instrument in enumerate(core.instruments):
            self.queue.add(BACKGROUND_ROW, i, OrderKind.CANCEL_ALL, 0, 0, 0, 0)
            for side, price, lots in ladder(float(core.market.record[i]["index"]), instrument.tick_size, LEVELS, LOTS):
                self.queue.add(BACKGROUND_ROW, i, OrderKind.LIMIT, side, price, lots, 0)


def both(setup, seed):
    agents = Agents(
        setup.instruments, setup.depth, setup.background, setup.makers, setup.arbitrageurs, setup.population
    )
    agents.stepper = Quotes(agents)
    return Simulation(setup, agents, seed, trades=True), ReferenceModel(setup, rng=seed, levels=LEVELS, lots=LOTS)


def assert_equal_ledgers(simulation, venue):
    for name in ACCOUNT.names:
        if name != "pad":
            assert simulation.accounts[name].tolist() == [int(getattr(a, name)) for a in venue.accounts], name
    for name in POSITION.names:
        if name != "entry_rate":
            mine = [[getattr(p, name) for p in account.positions] for account in venue.accounts]
            assert simulation.positions[name].tolist() == mine, name


@pytest.mark.parametrize("kind", ["ioc", "limit"])
def test_plain_mesa_agents_and_compiled_rules_give_the_same_market(kind):
    names = [name for name in TRADE.names if name not in ("maker_order", "taker_order")]  # rows and ids of the batch
    executed, topped_up, cuts = np.zeros(len(Cause.names)), 0.0, 0
    for seed in range(4):
        simulation, model = both(crash(seed, order_kind=kind), seed)
        seen = simulation.recorder.trades.count
        for _ in range(STEPS):
            simulation.step()
            model.step()
            assert_equal_ledgers(simulation, model.venue)
            rows = simulation.recorder.trades.rows[seen:]
            seen += len(rows)
            assert rows[names].tolist() == [tuple(getattr(t, name) for name in names) for t in model.venue.trades]
        steps = simulation.recorder.steps
        executed += (steps["sold_lots"] + steps["bought_lots"]).sum(axis=(0, 1))
        topped_up += simulation.recorder.totals["topped_up"].sum()
        cuts += len(simulation.recorder.adl.rows)
    # The runs compared contain every branch of the rule and of the venue.
    for cause in (Cause.VOLUNTARY, Cause.LIQUIDATION, Cause.CALL_RESPONSE, Cause.LEVERAGE_TARGET, Cause.STOP_LOSS):
        assert executed[cause] > 0, Cause.names[cause]
    assert topped_up > 0
    assert cuts > 0


def test_every_step_replacing_of_limit_orders_agrees():
    # The load of `spirals bench`: every trader replaces its order in every step.
    setup = crash(5, order_kind="limit", order_rate=1.0, trend_following=0.0, contrarian=0.0)
    simulation, model = both(setup, 5)
    for _ in range(30):
        simulation.step()
        model.step()
        assert_equal_ledgers(simulation, model.venue)
    assert simulation.recorder.trades.count > 500


def test_the_reference_is_an_ordinary_mesa_model():
    model = ReferenceModel(crash(0, traders=10), rng=0)
    assert isinstance(model, mesa.Model)
    traders = model.agents.select(agent_type=ReferenceTrader)
    assert len(traders) == 10
    before = np.array(traders.get("account"))
    model.step()
    assert model.steps == 1
    assert (np.array(traders.get("account")) == before).all()
