"""Copies of a run: the same from here on to the last bit, independent of their source, and cheap to reset."""

import pytest

from spirals.agents.model import SpiralModel
from spirals.scenarios import load_scenario
from spirals.simulation.copying import copy_into, fork

MIDST = 360   # [steps] of flash-crash: the outside price falls from 300 to 480


@pytest.fixture(scope="module")
def crash():
    scenario = load_scenario("flash-crash", overrides=["population.traders=150", "steps=600"])
    core = SpiralModel(setup=scenario, rng=3, collect_every=0, trades=True).core
    core.run(MIDST)
    return core


def test_a_fork_continues_like_its_source_to_the_last_bit(crash):
    source, twin = fork(crash), fork(crash)
    assert twin.hash() == source.hash() == crash.hash()
    source.run(60)
    assert twin.step_index == MIDST
    twin.run(60)
    assert twin.hash() == source.hash() != crash.hash()
    assert twin.recorder.steps.tobytes() == source.recorder.steps.tobytes()
    assert twin.recorder.liquidations.rows.tobytes() == source.recorder.liquidations.rows.tobytes()


def test_a_fork_of_a_fork_leaves_both_alone(crash):
    first = fork(crash)
    before = crash.hash()
    second = fork(first, branch=7)
    second.run(30)
    assert first.hash() == crash.hash() == before


def test_another_branch_draws_other_numbers_from_here_on(crash):
    plain, other, again = fork(crash), fork(crash, branch=1), fork(crash, branch=1)
    for run in (plain, other, again):
        run.run(30)
    assert other.hash() == again.hash() != plain.hash()
    assert (other.recorder.steps["exogenous"] == plain.recorder.steps["exogenous"]).all()


def test_copying_into_a_run_brings_it_back_and_forgets_what_came_later(crash):
    run = fork(crash)
    run.run(60)
    wanted = run.hash()
    assert run.recorder.liquidations.count > 0
    copy_into(crash, run)
    assert run.hash() == crash.hash() and run.recorder.liquidations.count == 0
    run.run(60)
    assert run.hash() == wanted


def test_a_whole_run_is_not_changed_by_forks_on_the_way():
    scenario = load_scenario("flash-crash", overrides=["population.traders=100", "steps=420"])
    plain, forked = (SpiralModel(setup=scenario, rng=1, collect_every=0).core for _ in range(2))
    plain.run()
    while forked.step_index < forked.n_steps:
        forked.run(70)
        fork(forked).run(5)
    assert forked.hash() == plain.hash()
    assert forked.record().steps.tobytes() == plain.record().steps.tobytes()
