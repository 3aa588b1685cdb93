"""The noise of gains by probes: components of variance, and the command."""

import numpy as np
import pytest

from spirals.scenarios.feedback.probe_precision import main, precision


def test_noise_of_forks_and_of_states_are_told_apart():
    """400 states, four forks: standard errors of the components are .3 / sqrt(2400) = .006 and about .005."""
    rng = np.random.Generator(np.random.Philox(key=5))
    gains = 0.8 + 0.1 * rng.standard_normal((400, 1)) + 0.3 * rng.standard_normal((400, 4))
    found = precision(gains)
    assert found.forks == pytest.approx(0.3, abs=0.02) and found.states == pytest.approx(0.1, abs=0.04)
    assert found.mean == pytest.approx(0.8, abs=4.0 * found.error)
    assert found.error == pytest.approx(np.sqrt((0.1**2 + 0.3**2 / 4) / 400), rel=0.15)
    assert precision(gains - gains.mean(axis=1, keepdims=True)).states == 0.0


def test_the_command_prints_a_row_per_size_and_tells_faults(capsys):
    small = ["--override", "population.traders=60", "--override", "steps=400", "--at", "360", "--branches", "2"]
    assert main(["flash-crash", *small, "--runs", "2"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 6 and rows[1].split()[0] == "0.50"
    assert main(["flash-crash", *small, "--runs", "1"]) == 2
    assert main(["flash-crash", *small[:-1], "1", "--runs", "2"]) == 2
    assert "branches must be at least 2" in capsys.readouterr().err
