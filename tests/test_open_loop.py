"""Open loops: cut edges read the twin's tape, and what cannot act has exactly nothing to say."""

import dataclasses
import math

import pytest

from spirals.agents.model import SpiralModel
from spirals.scenarios import load_scenario
from spirals.scenarios.runs.attribution import attribute_run, check_channels, usable_channels
from spirals.simulation.engine import TWINS
from spirals.simulation.errors import InputError
from spirals.simulation.measures.outcomes import outcomes
from spirals.simulation.open_loop import CHANNELS, OpenLoop, Taping

STEPS = 700   # past the scripted fall of 300-480 s


@pytest.fixture(scope="module")
def crash():
    return load_scenario("flash-crash", overrides=["population.traders=200", f"steps={STEPS}"])


def run(scenario, loop=None, twin=""):
    if twin:
        scenario = dataclasses.replace(scenario, engine=dataclasses.replace(scenario.engine, **TWINS[twin][1]))
    model = SpiralModel(setup=scenario, rng=1, collect_every=0, loop=loop)
    model.run()
    return model.core


@pytest.fixture(scope="module")
def tape(crash):
    loop = Taping()
    run(crash, loop, "T1")
    return loop.tape


def test_with_nothing_cut_the_open_loop_is_the_run_itself(crash, tape):
    assert run(crash, OpenLoop(tape, ())).hash() == run(crash).hash()


def test_a_tape_changes_nothing_of_the_run_that_writes_it(crash):
    assert run(crash, Taping(), "T1").hash() == run(crash, None, "T1").hash()


@pytest.mark.parametrize("cut", [("mark",), ("margin",), ("depth",), ("index",), ("funding",), tuple(CHANNELS)])
def test_the_twin_reads_its_own_tape_as_if_nothing_were_cut(crash, tape, cut):
    # Cut edges show the twin what it would have seen anyway, so its state is the same to the last bit.
    mine, plain = run(crash, OpenLoop(tape, cut), "T1"), run(crash, None, "T1")
    assert mine.accounts.tobytes() == plain.accounts.tobytes()
    assert mine.recorder.steps.tobytes() == plain.recorder.steps.tobytes()


@pytest.mark.parametrize("cut", ["mark", "margin", "depth", "index"])
def test_every_cut_changes_a_crash(crash, tape, cut):
    assert run(crash, OpenLoop(tape, (cut,))).hash() != run(crash).hash()


def test_shares_add_up_to_the_run_and_the_shock_to_the_twin(crash):
    found = attribute_run(crash, seed=1)
    assert found.runs == 17 and found.channels == ("mark", "margin", "depth", "index")
    measured, alone = outcomes(run(crash).record()), outcomes(run(crash, None, "T1").record())
    for name, levels in found.levels().items():
        assert levels["shock"] == alone[name]
        assert math.fsum(levels.values()) == pytest.approx(measured[name], rel=1e-12, abs=1e-9)


def test_channels_that_cannot_act_have_exactly_zero(crash):
    # The policy's volatility is the index's, which the venue cannot move: margin and depth have nothing to pass on.
    changed = load_scenario("flash-crash", overrides=[
        "population.traders=200", f"steps={STEPS}", "volatility.source=index", "price_feed.index_feedback=0"])
    lacking = usable_channels(changed)
    assert lacking["margin"] and lacking["depth"] and lacking["index"] and not lacking["mark"]
    loop = Taping()
    run(changed, loop, "T1")
    plain = run(changed, OpenLoop(loop.tape, ("mark",))).hash()
    assert run(changed, OpenLoop(loop.tape, ("mark", "margin", "depth", "index", "funding"))).hash() == plain


def test_naming_the_channels_in_another_order_changes_nothing(crash):
    short = dataclasses.replace(crash, steps=450)
    one, other = (attribute_run(short, seed=2, channels=names) for names in (("mark", "index"), ("index", "mark")))
    for name, found in one.found.items():
        assert found.shapley["mark"] == other.found[name].shapley["mark"]
        assert found.total == other.found[name].total


def test_bad_questions_are_told_together(crash):
    with pytest.raises(InputError) as caught:
        attribute_run(crash, channels=("mark", "mark", "weather", "hedge"))
    text = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 3
    assert "'weather'" in text and "named twice" in text and "nobody holds hedges" in text
    assert not check_channels(crash, ("mark", "margin"))
    with pytest.raises(ValueError, match="among"):
        OpenLoop(None, ("weather",))
