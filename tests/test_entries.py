"""Entries: who comes back after a liquidation, who arrives, with which money, and what that does to open interest."""

import dataclasses

import numpy as np
import pytest
from agents_support import simulate

from spirals.agents.entry import Entries
from spirals.agents.groups import Agents
from spirals.agents.population import Population
from spirals.agents.rows import Stage
from spirals.agents.setup import Setup
from spirals.simulation.accounts.margin_calls import MarginCalls
from spirals.simulation.engine import Engine
from spirals.simulation.margin.static import Static
from spirals.simulation.market.shocks import PriceJump
from spirals.simulation.simulation import Simulation
from spirals.simulation.state import Status

CALLS = MarginCalls(transfer_seconds=5.0)


def crash(entries, seed=1, steps=150, fall=-0.06, **parts):
    """A fall that liquidates many longs, identities checked in every step."""
    population = parts.pop("population", Population(traders=120, long_leverage=12.0, order_rate=0.0))
    return simulate(seed, steps, entries=entries, population=population, margin_calls=parts.pop("margin_calls", CALLS),
                    shocks=(PriceJump(at=20.0, size=fall),) if fall else (), **parts)


def core_of(entries, steps, **parts):
    setup = dataclasses.replace(Setup(), steps=steps, engine=Engine(check_identities=True), entries=entries,
                                population=Population(traders=120, long_leverage=12.0), margin_calls=CALLS,
                                shocks=(PriceJump(at=20.0, size=-0.06),), **parts)
    people = Agents(setup.instruments, setup.depth, setup.background, setup.makers, setup.arbitrageurs,
                    setup.population, entries=setup.entries)
    return Simulation(setup, people, 1)


def held(core):
    people = core.population
    return core.positions["lots"][people.first_trader:people.first_user, 0]


def test_nobody_comes_back_by_default():
    core = crash(Entries())
    closed = core.accounts["status"] == Status.CLOSED
    assert closed.sum() > 10 and "entries" not in core.population.arrays()
    assert np.all(core.positions["lots"][closed] == 0)


def test_the_stated_share_of_the_liquidated_comes_back():
    for share in (0.5, 1.0):
        core = crash(Entries(return_share=share, return_seconds=5.0))
        entries = core.population.entry_state
        out = entries["returns"] > 0
        assert out.sum() > 20
        assert (entries["stage"][out] != Stage.GONE).mean() == pytest.approx(share, abs=0.25 * (share < 1))


def test_who_comes_back_brings_new_money_from_outside_and_nothing_else():
    core = crash(Entries(return_share=1.0, return_seconds=5.0))
    back = np.flatnonzero((core.population.entry_state["returns"] > 0) & (held(core) > 0))
    assert len(back) > 10
    rows = core.population.first_trader + back
    before = crash(Entries(return_share=1.0, return_seconds=5.0), steps=10).accounts[rows]
    after = core.accounts[rows]
    brought = after["deposits"] - before["deposits"]
    assert np.all(brought > 0)
    assert np.array_equal(brought + after["in_transfer"], before["outside_wealth"] - after["outside_wealth"])


def test_returns_take_their_time():
    early = crash(Entries(return_share=1.0, return_seconds=5.0))
    late = crash(Entries(return_share=1.0, return_seconds=1e6))
    never = crash(Entries())
    gains = [np.maximum(held(core), 0).sum() for core in (early, late, never)]
    assert gains[0] > 1.1 * gains[2] and gains[1] == gains[2]


def test_leverage_is_drawn_anew_below_the_limit_offered():
    core = crash(Entries(return_share=1.0, return_seconds=5.0), margin=Static(0.08, 0.04))
    opening = crash(Entries(return_share=1.0, return_seconds=5.0), steps=1, margin=Static(0.08, 0.04))
    returned = (core.population.entry_state["returns"] > 0) & (core.population.entry_state["stage"] == Stage.IN)
    new = core.population.traders["target_leverage"][returned]
    assert len(new) > 10 and not np.any(new == opening.population.traders["target_leverage"][returned])
    assert new.max() <= 12.5


def test_newcomers_open_with_nothing_and_bring_the_stated_interest():
    part = Entries(newcomers=40, newcomer_interest=0.2, arrival_seconds=10.0)
    opened = crash(part, steps=0, fall=0)
    assert np.all(held(opened)[120:] == 0)
    assert opened.accounts["deposits"][opened.population.first_trader + 120:].sum() == 0
    core = crash(part, fall=0, steps=200)
    new = held(core)[120:]
    interest = int(core.opening_open_interest[0])
    assert (new > 0).sum() > 15 and (new < 0).sum() > 10
    assert new[new > 0].sum() == pytest.approx(0.2 * interest, rel=0.25)


def test_arrivals_restore_open_interest():
    nobody, some = crash(Entries()), crash(Entries(newcomers=60, newcomer_interest=0.3, arrival_seconds=60.0))
    interest = [core.recorder.steps["open_interest"][-1, 0] for core in (nobody, some)]
    assert interest[1] > 1.05 * interest[0]


def test_tight_margin_keeps_newcomers_away():
    part = Entries(newcomers=60, arrival_seconds=100.0)
    def arrived(elasticity):
        people = Population(traders=60, entry_elasticity=elasticity, reference_margin=0.02, open_interest=3e8)
        core = crash(part, fall=0, steps=60, population=people, margin=Static(0.08, 0.04))
        return (core.population.entry_state["stage"][60:] != Stage.OUT).sum()

    assert arrived(2.0) < 0.5 * arrived(0.0)


def test_a_run_with_entries_continues_bit_for_bit_after_a_restore():
    part = Entries(return_share=0.7, return_seconds=10.0, newcomers=20, arrival_seconds=30.0)
    one, two = core_of(part, 90), core_of(part, 90)
    one.run(50)
    two.restore({name: array.copy() for name, array in one.arrays().items()})
    one.run()
    two.run()
    assert one.hash() == two.hash()


def test_draws_of_the_other_traders_do_not_depend_on_entries():
    plain, with_newcomers = crash(Entries(), steps=0), crash(Entries(newcomers=30), steps=0)
    assert np.array_equal(plain.population.traders, with_newcomers.population.traders[:120])
