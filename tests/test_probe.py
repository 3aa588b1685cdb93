"""Probes: the gain of a loop by intervention, on a linear book whose gain is known, and on a crash."""

import numpy as np
import pytest

from spirals.agents.model import SpiralModel
from spirals.scenarios import load_scenario
from spirals.scenarios.experiments.laws_book import OPENING_TICKS, LadderMarket, MarginByPrice, opened
from spirals.scenarios.feedback.probe import Probe, _Probing, open_loop_gain, probe_state, series, stability_path
from spirals.simulation.errors import InputError
from spirals.simulation.state import BUY, SELL

SIDES = pytest.mark.parametrize("side", [SELL, BUY])
QUOTE = 200.0 * OPENING_TICKS   # moves the ladder by 200 ticks


def ladder(gain, side, margin=None, maintenance=0.015):
    """One lot per tick; one account of a lot every 1 / gain ticks, none at all for a gain of zero."""
    far = np.array([OPENING_TICKS + side * 50_000.0])
    thresholds = OPENING_TICKS + side * (np.arange(1200) + 0.5) / gain if gain else far
    run = opened(LadderMarket(thresholds, 1, maintenance, 1, 3000, side=side), 100, margin=margin, max_rounds=1)
    run.run(3)
    return run


def probed(run, side, **changes):
    return probe_state(run, Probe(**{"size": QUOTE, "side": side, "branches": 2, **changes}))


@SIDES
def test_without_feedback_the_gain_is_exactly_zero_and_only_the_price_responds(side):
    found = probed(ladder(0.0, side), side)
    assert found.closed.estimate == found.opened.estimate == 0.0 and found.stability_margin == 1.0
    assert (found.paths["forced"] == 0.0).all() and (found.paths["initial_rate"] == 0.0).all()
    assert found.paths["mark"][-1] == pytest.approx(side * 200 / OPENING_TICKS, rel=0.01)


@SIDES
@pytest.mark.parametrize("gain", [0.2, 0.5, 0.8])
def test_open_and_closed_loop_find_the_known_gain_of_a_linear_book(gain, side):
    # One account is 1 / 200 of the probe; notional counts at prices that move by up to 1 % on the way. At .8 the chain
    # of generations is cut by the horizon: .8^20 is left after the 95 s.
    found = probed(ladder(gain, side), side, horizon_seconds=95.0)
    assert found.opened.estimate == pytest.approx(gain, abs=0.006)
    assert found.closed.estimate == pytest.approx(gain, abs=0.012)
    assert found.stability_margin == 1.0 - found.opened.estimate
    amplified = abs(found.paths["mark"][-1]) / (200 / OPENING_TICKS)
    assert amplified == pytest.approx(1.0 / (1.0 - gain), rel=0.03)


def test_a_margin_that_rises_as_the_price_falls_raises_the_gain_by_the_factor_of_the_law():
    # g = (lambda / D) [1 + e m / (1 - m)]; the third part of it at m = 6 %, e = 14 is 1.89.
    plain = probed(ladder(0.3, SELL, maintenance=0.06), SELL).opened.estimate
    rising = probed(ladder(0.3, SELL, MarginByPrice(0.06, 14.0), 0.06), SELL).opened.estimate
    assert rising / plain == pytest.approx(1.0 + 14.0 * 0.06 / 0.94, rel=0.02)


def test_several_probes_of_one_run_agree_and_leave_it_as_it_was():
    run = ladder(0.5, SELL)
    before, steps = run.hash(), run.recorder.steps.tobytes()
    first, again = (probed(run, SELL).opened for _ in range(2))
    assert first == again == open_loop_gain(run, Probe(QUOTE, branches=2))
    assert run.hash() == before and run.recorder.steps.tobytes() == steps


def test_on_a_book_without_feedback_the_price_moves_while_the_probe_sells_and_no_more():
    found = probed(ladder(0.0, SELL), SELL, seconds=5.0, horizon_seconds=20.0)
    assert found.paths["mark"][4] == found.paths["mark"][-1]
    steps = np.diff(np.concatenate([[0.0], found.paths["mark"][:5]]))
    assert steps == pytest.approx(np.full(5, steps[0]), rel=0.01)


def test_a_probe_with_the_outside_standing_still_does_not_know_what_is_to_come():
    """Two crashes that differ only after the moment of the probe give the same answer; on their paths they do not."""
    answers = {}
    for still in (True, False):
        for size in (-0.05, -0.2):
            scenario = load_scenario("flash-crash", ["population.traders=100", "steps=360", f"shocks.0.size={size}"])
            core = SpiralModel(setup=scenario, rng=1, collect_every=0).core
            core.run(298)
            before = core.hash()
            probe = Probe(2e7, horizon_seconds=60.0, branches=2, still=still)
            answers[still, size] = probe_state(core, probe).paths["forced"].tolist()
            assert core.hash() == before
    assert answers[True, -0.05] == answers[True, -0.2]
    assert answers[False, -0.05] != answers[False, -0.2]


def test_bad_parameters_are_told_together():
    run = ladder(0.0, SELL)
    with pytest.raises(InputError) as caught:
        probe_state(run, Probe(size=0.0, seconds=-1.0, side=3, branches=1))
    assert len(caught.value.problems) == 4
    with pytest.raises(InputError, match="exceed horizon_seconds"):
        open_loop_gain(run, Probe(QUOTE, seconds=10.0, horizon_seconds=5.0))
    run.run()
    with pytest.raises(InputError, match="at its end"):
        probe_state(run, Probe(QUOTE))


def test_the_stability_margin_along_a_crash_leaves_the_run_as_it_would_have_been():
    scenario = load_scenario("flash-crash", ["population.traders=100", "steps=420"])
    plain, watched = (SpiralModel(setup=scenario, rng=1, collect_every=0).core for _ in range(2))
    plain.run()
    found = stability_path(watched, Probe(6e6, horizon_seconds=20.0, branches=2), every_seconds=100.0)
    assert watched.hash() == plain.hash()
    assert watched.record().steps.tobytes() == plain.record().steps.tobytes()
    table = series(found)
    assert table[:, 0].tolist() == [100.0, 200.0, 300.0, 400.0] and np.isfinite(table).all()


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
