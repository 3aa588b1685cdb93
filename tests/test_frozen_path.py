"""A frozen exogenous path: the file gives back the path bit for bit, and a bad file tells every fault."""

import dataclasses

import numpy as np
import pytest

from spirals.scenarios import load_scenario, run
from spirals.simulation.errors import InputError
from spirals.simulation.market.frozen_path import FrozenPath, GivenPath, path_text


def written(folder, text, name="path.csv"):
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def wandering(n, seed=0):
    return 7000.0 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0.0, 1e-4, n)))


def test_a_path_file_gives_the_path_back_to_the_last_bit(tmp_path):
    price = wandering(201)
    file = written(tmp_path, path_text({"price": price}, 0.5, 36900.0))
    path = FrozenPath(file).path(200, 0.5, 1, seed=9)
    assert np.array_equal(path.price[:, 0], price)
    assert path.opening_seconds == 36900.0
    assert FrozenPath(file).available_steps(0.5) == 200
    assert np.array_equal(FrozenPath(file).path(50, 0.5, 1, seed=9).price, path.price[:51])


def test_each_seed_takes_its_own_column(tmp_path):
    first, second = wandering(11, 1), wandering(11, 2)
    file = written(tmp_path, path_text({"seed_4": first, "seed_77": second}, 1.0, 0.0))
    assert np.array_equal(FrozenPath(file).path(10, 1.0, 1, seed=77).price[:, 0], second)
    with pytest.raises(InputError, match="seed must be one of 4, 77"):
        FrozenPath(file).path(10, 1.0, 1, seed=5)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("time,price\n0,1\n1,1\n", "columns must be seconds"),
        ("seconds\n0\n1\n", "columns must be seconds"),
        ("seconds,price\n0,1\n", "at least 2 rows"),
        ("seconds,price\n0,1\n1,-3\n2,nan\n", "line 4"),
        ("seconds,price\n0,1\n1,1\n3,1\n", "must rise evenly"),
        ("seconds,price\n0,1\n0,1\n", "must rise evenly"),
        ("", "was empty"),
    ],
)
def test_a_bad_path_file_is_refused_with_its_fault(tmp_path, text, fault):
    with pytest.raises(InputError, match=fault):
        FrozenPath(written(tmp_path, text))


def test_a_run_that_does_not_fit_the_file_is_refused(tmp_path):
    file = written(tmp_path, path_text({"price": wandering(11)}, 1.0, 0.0))
    for steps, seconds, instruments, fault in (
        (11, 1.0, 1, "steps"), (10, 2.0, 1, "step_seconds"), (10, 1.0, 2, "2 instruments")
    ):
        with pytest.raises(InputError, match=fault):
            FrozenPath(file).path(steps, seconds, instruments, seed=0)


def test_replaying_the_recorded_exogenous_prices_is_the_run_itself(tmp_path):
    scenario = load_scenario("flash-crash", ["population.traders=100", "steps=120"])
    own = run(scenario, 3)
    recorded = own.record.steps["exogenous"]
    file = written(tmp_path, path_text({"price": recorded[:, 0]}, scenario.step_seconds, scenario.opening_seconds))
    for world in (FrozenPath(file), GivenPath(recorded, scenario.opening_seconds)):
        again = run(dataclasses.replace(scenario, outside_world=world, shocks=tuple(
            shock for shock in scenario.shocks if type(shock).__name__ not in ("PriceJump", "VolatilityShock"))), 3)
        assert np.array_equal(again.record.steps, own.record.steps)
