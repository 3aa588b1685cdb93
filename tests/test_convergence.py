"""What may not matter: the step, the round bound, the units. The full form, with ten times the accounts, is
``python -m spirals.scenarios.experiments.convergence --full``."""

import dataclasses

import pytest

from spirals.scenarios.experiments.convergence import TOLERANCES, Comparison, changes, compare, outcomes_of
from spirals.simulation.engine import Engine

SHORT = ["steps=600"]     # the crash of flash-crash lies between 300 and 480 s
SEEDS = range(1, 13)


@pytest.fixture(scope="module")
def base():
    return outcomes_of("flash-crash", SHORT, SEEDS)


def changed(change, seeds=SEEDS):
    return outcomes_of("flash-crash", [*SHORT, *changes("flash-crash", SHORT)[change]], seeds)


def test_a_quarter_of_the_step_changes_no_main_outcome_beyond_its_tolerance(base):
    # Seeds 1 to 12, paired: too few to be certain that everything is within its tolerance. With 36 (`--seeds 36`)
    # shares and times are; drawdown and excess drawdown fall by .34 (.10) and .38 (.10) log-% against .50 and .55.
    # With rounds at once the excess drawdown fell by .8 log-%, from 4.0 to 3.2.
    rows = {row.tolerance.outcome: row for row in compare("step", base, changed("step 0.25 s"))}
    assert all(row.verdict != "beyond" for row in rows.values())
    for name, most in (("drawdown_mark", 0.006), ("excess_drawdown", 0.006), ("liquidated_to_opening_oi", 0.04)):
        assert abs(rows[name].changed - rows[name].base) < most   # three standard errors of twelve seeds


def test_twice_the_round_bound_changes_nothing_when_rounds_have_a_pace(base):
    assert changed("round bound x 2", range(1, 3)) == [pytest.approx(row, nan_ok=True, abs=0.0) for row in base[:2]]


@pytest.mark.parametrize(("change", "tolerance"), [("price x 10", 1e-5), ("lots / 10", 5e-4)])
def test_units_of_price_and_size_do_not_matter(base, change, tolerance):
    # Price x 10 moves only the rounding of binary fractions; lots / 10 what rounding to whole lots does, at most
    # half a lot of 10 USD per order, to a path that small differences can move.
    rows = compare(change, base[:2], changed(change, range(1, 3)))
    assert all(abs(row.changed - row.base) < tolerance for row in rows[:2])


def test_rounds_keep_their_pace_whatever_the_step():
    engine = Engine(round_seconds=1.0)
    assert [engine.rounds_per_step(seconds) for seconds in (0.25, 1.0, 5.0, 60.0)] == [1, 1, 5, 8]
    assert [engine.period_steps(seconds) for seconds in (0.25, 0.5, 1.0, 5.0)] == [4, 2, 1, 1]
    assert Engine().rounds_per_step(0.25) == Engine().max_rounds


def test_a_verdict_needs_certainty_either_way():
    row = Comparison("step", TOLERANCES[0], base=0.1, changed=0.101, error=0.0005, seeds=6)
    assert row.verdict == "within"
    assert dataclasses.replace(row, error=0.01).verdict == "open"
    assert dataclasses.replace(row, changed=0.12).verdict == "beyond"
