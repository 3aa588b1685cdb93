"""Tails of scenarios by splitting: paths drawn anew by branch, scores so far, agreement with plain runs, refusals."""

import math

import numpy as np
import pytest

from spirals.agents.model import SpiralModel
from spirals.scenarios import load_scenario
from spirals.scenarios.command.entry import main
from spirals.scenarios.feedback.splitting import Replicated
from spirals.scenarios.feedback.tail import Tail, TailQuestion, tail_probability
from spirals.scenarios.feedback.tail_lives import Life, Worker
from spirals.scenarios.inputs.loader import build_scenario, resolve_scenario
from spirals.simulation.copying import copy_into, fork
from spirals.simulation.errors import InputError
from spirals.simulation.market.clustered_volatility import ClusteredVolatility
from spirals.simulation.market.geometric_brownian import GeometricBrownian
from spirals.simulation.market.heston import Heston
from spirals.simulation.market.jump_diffusion import JumpDiffusion
from spirals.simulation.measures.outcomes import outcomes

SMALL = ["population.traders=60", "steps=200", "background.places=60"]
WORLDS = [GeometricBrownian(), JumpDiffusion(intensity=3000.0), Heston(), ClusteredVolatility()]


def small(*changes):
    return build_scenario(small_inputs(*changes))


def small_inputs(*changes):
    return resolve_scenario("stochastic-volatility-crash", [*SMALL, *changes])


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: type(world).__name__)
def test_a_forked_path_keeps_its_past_and_draws_its_future_anew(world):
    plain = world.path(100, 1.0, 2, 5).price
    assert (world.forked_path(100, 1.0, 2, 5, ()).price == plain).all()
    first, other = (world.forked_path(100, 1.0, 2, 5, ((40, branch),)).price for branch in (1, 2))
    assert (first[:41] == plain[:41]).all() and (first[41:] != plain[41:]).all()
    assert (first[41:] != other[41:]).all()
    twice = world.forked_path(100, 1.0, 2, 5, ((40, 1), (70, 2))).price
    assert (twice[:71] == first[:71]).all() and (twice[71:] != first[71:]).all()
    returns = np.diff(np.log(first), axis=0)
    assert abs(returns[40]).max() < 6 * returns.std()   # no jump where the branches meet


def test_a_run_with_a_path_of_its_own_is_copied_hashed_and_saved_with_it(tmp_path):
    core = SpiralModel(setup=small(), rng=3, collect_every=0).core
    core.run(50)
    plain, anew = fork(core), fork(core)
    anew.rebranch(7, outside=True)
    assert anew.hash() != plain.hash()
    file = tmp_path / "state.npz"
    anew.save(file)
    loaded, copied = fork(core), fork(core)
    loaded.load(file)
    copy_into(anew, copied)
    for run in (plain, anew, loaded, copied):
        run.run(40)
    assert anew.hash() == loaded.hash() == copied.hash() != plain.hash()
    copy_into(plain, anew)
    for run in (plain, anew):
        run.run(20)
    assert anew.hash() == plain.hash()   # back on the path of the trunk


def test_recorded_prices_cannot_be_drawn_anew():
    scenario = load_scenario("black-thursday-2020", ["steps=20", "population.traders=50"])
    core = SpiralModel(setup=scenario, rng=1, collect_every=0).core
    with pytest.raises(InputError, match="HistoricalBars"):
        core.rebranch(1, outside=True)


def test_scores_so_far_are_the_outcomes_of_the_record_at_the_end():
    scenario = load_scenario("flash-crash", ["population.traders=60", "steps=500", "background.places=60"])
    worker = Worker(scenario, 3, TailQuestion("bad_debt_gross", 1e5, every_seconds=7.0))
    life = Life(worker)
    while life.step():
        pass
    measured = outcomes(worker.core.record())
    assert measured["bad_debt_gross"] > 0.0
    for name, value in life.tally.values.items():
        assert value == pytest.approx(measured[name], rel=1e-9, abs=1e-12), name
    assert worker.steps == 500


def test_lives_that_take_turns_go_on_as_if_each_had_been_alone():
    question = TailQuestion("drawdown_mark", 0.05, every_seconds=10.0)
    alone, shared = (Life(Worker(small(), 2, question)) for _ in range(2))
    for life in (alone, shared):
        life.step()
    other = shared.fork(9)
    only = alone.fork(9)
    for _ in range(5):
        only.step()
    for _ in range(5):
        shared.step()
        other.step()
    assert other.tally.values == only.tally.values != shared.tally.values
    fresh = Life(Worker(small(), 2, question))
    for _ in range(6):
        fresh.step()
    assert fresh.tally.values == shared.tally.values


def test_splitting_agrees_with_plain_runs():
    """Seed 0, 12 populations of 12; 200 plain runs of other seeds; four standard errors of the difference."""
    question = TailQuestion("drawdown_mark", 0.016, particles=12, replications=12)
    scenario = small("steps=100")
    found = tail_probability(small_inputs("steps=100"), question)
    reached = 0
    for seed in range(200):
        life = Life(Worker(scenario, seed, question))
        while life.part < 1.0 and life.step():
            pass
        reached += life.part >= 1.0
    share = reached / 200
    assert 0.005 < share < 0.3
    error = math.hypot(found.estimate.standard_error, math.sqrt(share * (1.0 - share) / 200))
    assert abs(found.estimate.mean - share) < 4.0 * error
    assert found.redrawn and found.run_steps == 100 and found.plain[1] == 144
    assert found.steps > 144 * 100 * (1.0 - share)


def test_a_score_that_never_moves_is_reported_as_such():
    calm = small_inputs("outside_world.volatility=0.1", "outside_world.long_run_volatility=0.1", "steps=30")
    found = tail_probability(calm, TailQuestion("bad_debt_gross", 1e6, particles=4, replications=2))
    assert found.estimate.mean == 0.0 and found.moved == 0.0
    assert "never moved" in found.verdict


def test_a_tail_made_by_openings_or_by_one_jump_is_told_to_be_no_case_for_splitting():
    estimates = Replicated(0.01, 0.01, -0.01, 0.03, np.array([0.0, 0.02]))
    found = Tail(TailQuestion("bad_debt_gross", 1.0), estimates, 10_000_000, 100, (1, 100), 0.5, 0.95, 0.9, True)
    assert found.plain_runs == pytest.approx(99.0) and found.speed_up < 1.0
    assert "does not help" in found.verdict and "one jump" in found.verdict and "opening population" in found.verdict


def test_a_fall_in_one_step_leaves_splitting_nothing_to_climb():
    """All bad debt comes in the seconds after one jump: no population of 10 finds a state from which to climb."""
    fall = ["shocks.0.at=30", "shocks.0.ramp_seconds=0", "shocks.0.size=-0.2", "shocks.0.rebound=0"]
    inputs = resolve_scenario("flash-crash", [*SMALL, "steps=60", *fall])
    found = tail_probability(inputs, TailQuestion("bad_debt_gross", 5e7, particles=10, replications=2))
    assert found.estimate.mean == 0.0 and found.jump > 0.8 and found.moved > 0.5
    assert "no life reached" in found.verdict and "one jump" in found.verdict


def test_a_recorded_path_stays_as_it_is_and_the_answer_says_so(capsys):
    status = main(["-q", "tail", "black-thursday-2020", "-s", "steps=1200", "-s", "population.traders=40",
                   "-s", "background.places=60", "--level", "3e6", "--particles", "6", "--replications", "2",
                   "--every", "60"])
    said = capsys.readouterr().out
    assert status == 0 and "no noise of its own" in said


def test_faults_of_a_question_are_told_together(capsys):
    asked = ["tail", "calm-2019x", "--score", "nothing", "--level", "-1", "--guide", "none", "--particles", "1"]
    assert main(asked) == 2
    said = capsys.readouterr().err
    for word in ("calm-2019x", "score must be", "level must be", "guide must be", "--particles"):
        assert word in said


def test_the_answer_does_not_depend_on_the_number_of_processes(capsys):
    told = []
    for workers in ("1", "2"):
        asked = ["tail", "stochastic-volatility-crash", *(part for one in SMALL for part in ("-s", one)),
                 "--score", "drawdown_mark", "--level", "0.004", "--particles", "6", "--replications", "3", "--json",
                 "--workers", workers, "--quiet"]
        assert main(asked) == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]
