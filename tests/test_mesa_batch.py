"""`mesa.batch_run` and agents' data of the DataCollector: the same tables on Mesa 3.3 and 3.5."""

import inspect
import pickle
import warnings

import mesa
import pytest

from spirals.agents import LeveragedTrader, SpiralModel
from spirals.agents.collecting import BY_POSITION
from spirals.simulation.errors import InputError

needs_batch_run = pytest.mark.skipif(not hasattr(mesa, "batch_run"), reason="this Mesa has no batch_run")


def batch(parameters, max_steps, period=-1, **words):
    """Rows of mesa.batch_run in this process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)       # `iterations` on Mesa 3.5
        return mesa.batch_run(SpiralModel, parameters, number_processes=1, max_steps=max_steps,
                              display_progress=False, data_collection_period=period, **words)


def seeded(parameters, seeds, max_steps, period=-1):
    """The same with seeds, where this version of Mesa takes them."""
    if "rng" in inspect.signature(mesa.batch_run).parameters:
        return batch(parameters, max_steps, period, rng=seeds)
    return batch({**parameters, "rng": seeds}, max_steps, period)


@needs_batch_run
def test_batch_run_varies_parameters_and_seeds():
    rows = seeded({"leverage_multiplier": [0.5, 1.0], "traders": 20, "steps": 5}, [1, 2], 5)
    assert len(rows) == 4 and {row["seed"] for row in rows} == {1, 2}
    assert len({row["mark"] for row in rows}) >= 2


@needs_batch_run
def test_iterations_without_a_seed_are_different_draws_whose_seeds_are_in_the_rows():
    rows = batch({"traders": 20, "steps": 5}, 5, iterations=3)
    assert len({row["seed"] for row in rows}) == 3 and len({row["mark"] for row in rows}) == 3
    again = SpiralModel(traders=20, steps=5, rng=rows[1]["seed"])
    again.run()
    assert again.mark == rows[1]["mark"]


@needs_batch_run
@pytest.mark.parametrize("max_steps", [4, 6, 1000])
def test_row_k_of_batch_run_is_the_state_after_k_steps(max_steps):
    model, marks = SpiralModel(traders=20, steps=6, rng=1), []
    marks.append(model.mark)
    while model.tick < 6:
        model.step()
        marks.append(model.mark)
    reached = min(max_steps, 6)
    rows = seeded({"traders": 20, "steps": 6}, [1], max_steps, period=1)
    assert [row["Step"] for row in rows] == [row["tick"] for row in rows] == list(range(reached + 1))
    assert [row["mark"] for row in rows] == marks[:reached + 1]
    (last,) = seeded({"traders": 20, "steps": 6}, [1], max_steps)
    assert last["tick"] == reached and last["mark"] == marks[reached]


@needs_batch_run
@pytest.mark.parametrize("every", [0, 10])
def test_batch_run_with_few_rows_works_or_says_what_it_needs(every):
    parameters = {"traders": 20, "steps": 25, "collect_every": every}
    if BY_POSITION:
        with pytest.raises(InputError, match="collect_every must be 1 under mesa"):
            seeded(parameters, [1], 25)
        return
    (last,) = seeded(parameters, [1], 25)
    assert last["Step"] == last["tick"] == 25
    ticks = [row["tick"] for row in seeded(parameters, [1], 25, period=1)]
    assert ticks == ([0, 25] if every == 0 else [0, 10, 20, 25])


@needs_batch_run
def test_agents_data_of_batch_run_belongs_to_the_step_of_its_row():
    rows = seeded({"traders": 10, "steps": 3, "agent_data": True}, [1], 3)
    model = SpiralModel(traders=10, steps=3, rng=1)
    model.run()
    assert len(rows) == len(model.agents) and {row["tick"] for row in rows} == {3}
    assert {row["AgentID"]: row["equity"] for row in rows} == {a.unique_id: a.equity for a in model.agents}


def test_agents_data_is_collected_when_asked_for():
    model = SpiralModel(traders=10, steps=3, rng=1, agent_data=True)
    model.run()
    table = model.datacollector.get_agent_vars_dataframe()
    assert list(table) == ["position", "equity", "leverage"] and len(table) == 4 * len(model.agents)
    last = table.xs(3, level="Step")
    for agent in model.agents_by_type[LeveragedTrader]:
        assert last.loc[agent.unique_id].tolist() == [agent.position, agent.equity, agent.leverage]
    records = model.datacollector._agent_records[3]
    assert all(type(value) is float for record in records for value in record[2:])
    assert pickle.loads(pickle.dumps(model.datacollector)).agent_reporters == model.datacollector.agent_reporters


def test_a_loop_while_running_ends_at_the_horizon():
    model = SpiralModel(traders=10, steps=4, rng=1, collect_every=3)
    while model.running:
        model.step()
    assert model.tick == 4 and model.datacollector.get_model_vars_dataframe()["tick"].tolist() == [0, 3, 4]
