"""Probes: as much is sold as is asked for, in markets with scripted orders and without."""

import pytest

from spirals.agents.model import SpiralModel
from spirals.scenarios import load_scenario
from spirals.scenarios.probe import _Probing


@pytest.mark.parametrize("name", ["calm", "flash-crash"])
def test_a_probe_sells_the_same_in_each_of_its_steps_and_nothing_afterwards(name):
    scenario = load_scenario(name, overrides=["steps=12", "population.traders=50"])
    core = SpiralModel(setup=scenario, rng=1, collect_every=0).core
    core.loop = _Probing(-1000.0, 3)
    core.loop.attach(core.market)
    sold = []
    for _ in range(6):
        core.step()
        sold.append(float(core.market.flow_notional[0]))
    assert sold == [-1000.0] * 3 + [0.0] * 3
