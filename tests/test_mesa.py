"""The Mesa face: habits of a Mesa user on Mesa 3.3 and 3.5, one rule for both ways of activation, users' agents."""

import copy
import dataclasses
import gc
import math
import warnings
import weakref

import mesa
import numpy as np
import pytest

from spirals.agents import (
    Arbitrageur,
    BackgroundTrader,
    LeveragedTrader,
    Liquidator,
    MarketMaker,
    Participant,
    Population,
    Setup,
    SpiralModel,
    UserAgent,
    UserAgents,
)
from spirals.simulation.accounts.ledger import check_identities
from spirals.simulation.errors import InputError
from spirals.simulation.market.shocks import PriceJump
from spirals.simulation.state import ORDER


def crash(traders=200, steps=120, **parts):
    """A setup in which the outside price jumps down and traders are liquidated."""
    people = Population(traders=traders, long_leverage=12.0, order_rate=0.01)
    jump = (PriceJump(at=30.0, size=-0.06),)
    return dataclasses.replace(Setup(), population=people, shocks=jump, steps=steps, **parts)


def test_agents_are_real_mesa_agents_one_per_account():
    model = SpiralModel(traders=50, steps=10, rng=1)
    assert isinstance(model, mesa.Model) and isinstance(next(iter(model.agents)), mesa.Agent)
    counts = {kind.__name__: len(agents) for kind, agents in model.agents_by_type.items()}
    assert counts == {"Liquidator": 1, "BackgroundTrader": 2, "Arbitrageur": 2, "MarketMaker": 3, "LeveragedTrader": 50}
    rows = [agent.row for agent in model.agents]
    assert sorted(rows) == list(range(3, len(model.core.accounts)))
    assert len({agent.unique_id for agent in model.agents}) == len(model.agents)


def test_agents_are_views_of_the_ledger():
    model = SpiralModel(traders=50, steps=10, rng=1)
    model.run(5)
    frame = model.frame()
    for agent in model.agents_by_type[LeveragedTrader]:
        assert agent.equity == pytest.approx(frame.equity[agent.row])
        assert agent.leverage == pytest.approx(frame.leverage[agent.row])
        assert agent.position == pytest.approx(frame.position_BTCUSDT[agent.row])
        assert agent.margin_ratio > 1 and agent.alive and agent.kind == "trader" and agent.mode in ("cross", "isolated")
    with pytest.raises(AttributeError):
        model.agents_by_type[LeveragedTrader].set("equity", 1.0)


def test_agent_sets_select_aggregate_and_group():
    model = SpiralModel(traders=80, steps=10, rng=1)
    traders = model.agents_by_type[LeveragedTrader]
    longs = model.agents.select(lambda agent: isinstance(agent, LeveragedTrader) and agent.position > 0)
    assert 0 < len(longs) < 80
    assert traders.agg("position", sum) == pytest.approx(0.0, abs=1e-6)
    assert traders.groupby("behaviour").count()["passive"] > 0
    assert len(traders.get(["equity", "leverage"])) == 80


def test_the_collector_has_one_row_per_step_and_the_opening():
    model = SpiralModel(traders=50, steps=12, rng=1)
    model.run()
    table = model.datacollector.get_model_vars_dataframe()
    assert len(table) == 13 and not model.running
    steps = model.core.recorder.steps[:, 0]
    assert np.array_equal(table["mark"].to_numpy(), steps["mark"])
    assert np.array_equal(table["mid"].to_numpy(), steps["mid"])
    assert {"index", "open_interest", "bad_debt", "insurance_fund", "liquidations", "spread"} <= set(table)
    model.step()                                                 # at the horizon nothing happens any more
    assert len(model.datacollector.get_model_vars_dataframe()) == 13
    rare = SpiralModel(traders=50, steps=12, rng=1, collect_every=5)
    rare.run()
    assert rare.datacollector.get_model_vars_dataframe()["tick"].tolist() == [0, 5, 10, 12]
    bare = SpiralModel(traders=50, steps=12, rng=1, collect_every=0)
    bare.run()
    assert bare.datacollector.get_model_vars_dataframe()["tick"].tolist() == [0, 12]
    with pytest.raises(InputError, match="collect_every must be a whole number"):
        SpiralModel(traders=50, collect_every=-1)


def test_a_subclass_may_collect_from_agents():
    class Collecting(SpiralModel):
        def __init__(self, *, rng=None):
            super().__init__(traders=20, steps=3, rng=rng)
            self.datacollector = mesa.DataCollector(
                model_reporters={"mark": "mark"}, agenttype_reporters={LeveragedTrader: {"equity": "equity"}}
            )
            self.datacollector.collect(self)

    model = Collecting(rng=2)
    model.run()
    table = model.datacollector.get_agenttype_vars_dataframe(LeveragedTrader)
    assert len(table) == 20 * 4


@pytest.mark.parametrize("activation", ["compiled", "agents"])
def test_no_warning_comes_from_our_code(activation):
    with warnings.catch_warnings():
        for category in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
            warnings.simplefilter("error", category)
        model = SpiralModel(traders=20, steps=3, rng=1, activation=activation)
        model.run()
        list(model.agents_by_type[MarketMaker])
        copy.deepcopy(model)


def orders_of_step(model):
    """The orders that the population sends in the next step, without sending them."""
    core, twin = model.core, copy.deepcopy(model)
    out = np.zeros(len(core.orders), ORDER)
    twin.core.step_index += 1
    n = twin.population.decide(twin.core, out)
    return out[:n]


def test_compiled_loop_and_agent_steps_give_identical_orders():
    compiled = SpiralModel(crash(), rng=3)
    stepped = SpiralModel(crash(), rng=3, activation="agents")
    for _ in range(12):
        a, b = orders_of_step(compiled), orders_of_step(stepped)
        assert len(a) > 0 and a.tobytes() == b.tobytes()
        compiled.run(10)
        stepped.run(10)
        assert compiled.core.hash() == stepped.core.hash()
    assert compiled.liquidations > 0


def test_a_step_of_ones_own_is_a_preview_of_the_same_orders():
    model = SpiralModel(crash(), rng=3)
    model.run(40)
    before = model.core.hash()
    all_orders = orders_of_step(model)
    model.core.step_index += 1
    rows = [agent.step() for kind in (BackgroundTrader, Arbitrageur, MarketMaker, LeveragedTrader)
            for agent in model.agents_by_type[kind]]
    model.core.step_index -= 1
    assert np.concatenate(rows).tobytes() == all_orders.tobytes()
    assert model.core.hash() == before
    assert next(iter(model.agents_by_type[Liquidator])).step() is None


def test_a_copied_model_continues_alike_and_independently():
    model = SpiralModel(crash(), rng=5)
    model.run(35)
    twin = copy.deepcopy(model)
    model.run(20)
    assert twin.tick == 35 and twin.core.hash() != model.core.hash()
    twin.run(20)
    assert twin.core.hash() == model.core.hash()
    assert next(iter(twin.agents)).model is twin


def test_the_core_alone_can_be_copied_without_the_model():
    model = SpiralModel(traders=20, steps=20, rng=1)
    assert model.population.stepper is None
    core = copy.deepcopy(model.core)
    core.run(5)
    model.run(5)
    assert core.hash() == model.core.hash()


def test_same_seed_same_run_and_seed_under_either_name():
    marks = []
    for words in ({"rng": 7}, {"seed": 7}, {"rng": "7"}, {"rng": 8}):
        model = SpiralModel(traders=30, steps=10, **words)
        model.run()
        marks.append(model.core.hash())
    assert marks[0] == marks[1] == marks[2] != marks[3]
    assert SpiralModel(traders=4, rng=7, seed=7).seed == 7
    for wrong in ("many", 1.5, -1, True):
        with pytest.raises(InputError, match="rng must be a whole number"):
            SpiralModel(rng=wrong)
    with pytest.raises(InputError, match="two names of one number"):
        SpiralModel(rng=1, seed=2)


def test_without_a_seed_every_model_is_another_draw_that_can_be_repeated():
    first, second = SpiralModel(traders=30, steps=5), SpiralModel(traders=30, steps=5, rng="")
    again = SpiralModel(traders=30, steps=5, rng=first.seed)
    for model in (first, second, again):
        model.run()
    assert first.seed != second.seed and first.core.hash() != second.core.hash()
    assert again.core.hash() == first.core.hash()
    assert first.datacollector.get_model_vars_dataframe()["seed"].iloc[-1] == first.seed


def test_models_are_freed_whether_they_were_finished_or_not():
    """Mesa 3.3 keeps every model of which an agent was numbered by its class-level counter."""
    forgotten = []
    for steps in (0, 1, 2):
        model = SpiralModel(traders=10, steps=2, rng=1)
        model.run(steps)
        forgotten += [weakref.ref(model), weakref.ref(model.core)]
    numbers = [agent.unique_id for agent in model.agents]
    late = mesa.Agent(model)
    assert numbers == list(range(1, len(numbers) + 1)) and late.unique_id == len(numbers) + 1
    assert late in model.agents
    del model, late
    gc.collect()
    assert [one() for one in forgotten] == [None] * 6


def test_flat_keywords_override_the_setup():
    model = SpiralModel(traders=20, steps=5, depth="linear", makers=1, initial_margin_rate=0.1, shock=-0.05, rng=1)
    assert type(model.population.depths[0]).__name__ == "LinearDepth"
    assert len(model.agents_by_type[MarketMaker]) == 1
    assert model.core.margin.table[0, 0]["maintenance_rate"] == pytest.approx(0.05)
    assert model.setup.shocks[0].size == -0.05
    assert SpiralModel(traders=4, depth="LinearDepth").setup.depth == model.setup.depth
    with pytest.raises(InputError, match=r"depth must be one of linear, .*LinearDepth"):
        SpiralModel(depth="deep")
    for steps in (0, 1.5, math.nan, math.inf, "many"):
        with pytest.raises(InputError, match="steps must be a whole number of at least 1"):
            SpiralModel(steps=steps)
    with pytest.raises(InputError, match="steps must be a whole number of at least 1"):
        SpiralModel(Setup(steps=0))
    with pytest.raises(InputError, match="step_seconds must be a finite number above 0"):
        SpiralModel(step_seconds=0.0)
    with pytest.raises(InputError, match="activation must be one of"):
        SpiralModel(activation="lazy")


def test_what_is_no_scenario_is_told_with_what_would_be_one():
    with pytest.raises(InputError, match=r"setup must be a scenario's name, its path, or an object .*was 5 without"):
        SpiralModel(5)
    with pytest.raises(InputError, match="calm"):
        SpiralModel("clam")


class DipBuyer(UserAgent):
    """Buys one unit per step while the mark is below what it saw first."""

    def start(self):
        self.first, self.bought, self.notes = self.mark, 0.0, [1, 2]

    def step(self):
        if self.mark < self.first and self.leverage < 2:
            self.buy(0.1)
            self.bought += 0.1


class Quoter(UserAgent):
    """Keeps one bid far below the mid."""

    offset = 0.01

    def step(self):
        self.cancel()
        self.buy(0.5, price=self.mid * (1 - self.offset))


def test_a_users_agent_trades_like_everybody_else():
    group = UserAgents(agent=DipBuyer, count=3, capital=1e5)
    model = SpiralModel(crash(agents=(group,)), rng=1)
    model.run()
    agents = list(model.agents_by_type[DipBuyer])
    assert all(agent.kind == "user" and agent.bought > 0 for agent in agents)
    assert 0 < agents[0].position <= agents[0].bought + 1e-9      # what finds no seller is cancelled
    check_identities(model.core.accounts, model.core.positions)
    assert agents[0].fees > 0


def test_a_users_agent_is_held_to_its_margin():
    class Reckless(UserAgent):
        def step(self):
            self.buy(1000.0)

    model = SpiralModel(traders=50, steps=3, rng=1)
    setup = dataclasses.replace(model.setup, agents=(UserAgents(agent=Reckless, capital=1000.0),))
    model = SpiralModel(setup, rng=1)
    model.run()
    agent = next(iter(model.agents_by_type[Reckless]))
    assert agent.position > 0
    assert agent.notional <= 1000.0 / 0.02 * 1.01                # 2 % initial margin
    assert model.core.recorder.totals["trimmed"].sum() + model.core.recorder.totals["rejected"].sum() > 0


def test_resting_orders_of_a_users_agent_are_seen_and_cancelled():
    group = UserAgents(agent=Quoter, capital=1e6, params={"offset": 0.02})
    setup = dataclasses.replace(Setup(), agents=(group,), steps=30, population=Population(traders=20))
    model = SpiralModel(setup, rng=1)
    model.run()
    agent = next(iter(model.agents_by_type[Quoter]))
    orders = agent.open_orders
    assert len(orders) == 1 and agent.offset == 0.02
    assert orders[0].price_ticks * 0.5 == pytest.approx(model.mid * 0.98, rel=1e-3)


def test_a_users_agent_from_a_file_needs_few_lines(tmp_path):
    file = tmp_path / "my_agent.py"
    file.write_text(
        "from spirals.agents import UserAgent\n\n\n"
        "class Contrarian(UserAgent):\n"
        "    def step(self):\n"
        "        side = self.buy if self.mark < self.index else self.sell\n"
        "        side(0.01 * (1 + self.uniform()))\n"
    )
    setup = dataclasses.replace(Setup(), agents=(UserAgents(file=str(file), count=2),), steps=20,
                                population=Population(traders=20))
    model = SpiralModel(setup, rng=1)
    model.run()
    assert sum(model.core.accounts["fees"][model.population.first_user:] > 0) == 2


def test_users_agents_are_part_of_the_saved_state(tmp_path):
    setup = crash(agents=(UserAgents(agent=DipBuyer, count=2, capital=1e5),), traders=50)
    model = SpiralModel(setup, rng=1)
    model.run(40)
    model.core.save(tmp_path / "state.npz")
    model.run(20)
    again = SpiralModel(setup, rng=1)
    again.core.load(tmp_path / "state.npz")
    again.core.run(20)
    assert again.core.hash() == model.core.hash()
    agent = next(iter(again.agents_by_type[DipBuyer]))
    assert agent.bought > 0 and agent.notes == [1, 2]
    agent.thing = object()
    with pytest.raises(InputError, match=r"DipBuyer\.thing must be plain data"):
        again.core.hash()


def test_orders_that_wait_for_the_next_step_are_saved(tmp_path):
    model = SpiralModel(traders=10, steps=5, rng=1)
    agent = next(iter(model.agents_by_type[LeveragedTrader]))
    agent.sell(0.5)
    model.core.save(tmp_path / "state.npz")
    again = SpiralModel(traders=10, steps=5, rng=1)
    again.core.load(tmp_path / "state.npz")
    assert again.population.queue.n == 1
    model.step()
    again.step()
    assert again.core.hash() == model.core.hash()


def test_random_numbers_of_a_users_agent_do_not_depend_on_the_others():
    class Drawing(UserAgent):
        def start(self):
            self.seen = []

        def step(self):
            self.seen.append([self.uniform(), self.uniform(1), self.uniform(5), self.uniform(5)])

    runs = []
    for order_rate in (0.0, 0.01):
        setup = dataclasses.replace(Setup(), agents=(UserAgents(agent=Drawing),), steps=5,
                                    population=Population(traders=20, order_rate=order_rate))
        model = SpiralModel(setup, rng=1)
        model.run()
        runs.append(next(iter(model.agents_by_type[Drawing])).seen)
    assert runs[0] == runs[1]
    draws = np.array(runs[0])
    assert np.array_equal(draws[:, 2], draws[:, 3]) and len(np.unique(draws)) == 15


@pytest.mark.parametrize(("text", "words"), [
    ("", "there is no subclass of UserAgent"),
    ("x = 1 +", "cannot import"),
    ("class Agent: pass", "there is no subclass"),
])
def test_faults_of_a_users_file_are_told(tmp_path, text, words):
    file = tmp_path / "agent.py"
    file.write_text(text)
    setup = dataclasses.replace(Setup(), agents=(UserAgents(file=str(file)),))
    with pytest.raises(InputError, match=words):
        SpiralModel(setup)
    with pytest.raises(InputError, match="file must exist"):
        SpiralModel(dataclasses.replace(Setup(), agents=(UserAgents(file=str(tmp_path / "none.py")),)))
    with pytest.raises(InputError, match="where the class is"):
        UserAgents()


def test_orders_need_sensible_numbers():
    setup = dataclasses.replace(Setup(), agents=(UserAgents(agent=Quoter),), population=Population(traders=4), steps=2)
    agent = next(iter(SpiralModel(setup).agents_by_type[Quoter]))
    for quantity in (math.nan, math.inf, -1.0):
        with pytest.raises(ValueError, match="quantity must be"):
            agent.buy(quantity)
    with pytest.raises(ValueError, match="price must be"):
        agent.sell(1.0, price=math.nan)
    assert agent.model.population.queue.n == 0


def test_any_participant_may_be_made_to_trade():
    model = SpiralModel(traders=10, steps=5, rng=1)
    agent = next(iter(model.agents_by_type[LeveragedTrader]))
    assert isinstance(agent, Participant)
    before = agent.position
    agent.sell(0.5)
    agent.limit(0.2, price=5000.0)
    model.step()
    assert agent.position == pytest.approx(before - 0.5)
    assert [order.lots for order in agent.open_orders] == [200]
