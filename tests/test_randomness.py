"""Random numbers: known answers of the generator, exact quantiles, and draws that depend on nobody else."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from spirals.simulation import randomness
from spirals.simulation.randomness import (
    exponential,
    generator,
    hash_key,
    normal_quantile,
    philox,
    poisson_quantile,
    stream_key,
    uniform,
    uniforms,
)

# Known-answer vectors of the Random123 library for Philox-4x32-10: counter, key, output.
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]
LAST = (2**52 - 0.5) * 2.0**-52   # the largest uniform


@numba.njit
def draw(key, n_steps, n_actors):
    """All first uniforms of steps x actors."""
    values = np.empty((n_steps, n_actors))
    for step in range(n_steps):
        for actor in range(n_actors):
            values[step, actor] = uniforms(key, step, actor, 0)[0]
    return values


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_gives_the_published_answers(counter, key, expected):
    step_low, actor, block, step_high = (int(word, 16) for word in counter.split())
    low, high = (int(word, 16) for word in key.split())
    words = philox(np.uint64(high << 32 | low), np.uint64(step_high << 32 | step_low), actor, block)
    assert " ".join(f"{int(word):08x}" for word in words) == expected


def test_compiled_and_plain_python_draw_the_same():
    """NUMBA_DISABLE_JIT runs the same code in the interpreter: an independent check of integer widths."""
    program = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "from spirals.simulation.randomness import *\n"
        "key = stream_key(7, 'x', 3)\n"
        "for i in range(50):\n"
        "    u, v = uniforms(key, 2**33 + i, i, 1)\n"
        "    print(repr(float(u)), repr(float(v)), int(hash_key(key, i, i)), float(normal_quantile(u)).hex(),\n"
        "          int(poisson_quantile(3.5, u)), int(poisson_quantile(900.0, u)), float(exponential(u)).hex())\n"
    )
    outputs = []
    for disabled in ("0", "1"):
        environment = os.environ | {"NUMBA_DISABLE_JIT": disabled}
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
        outputs.append(done.stdout)
    assert outputs[0] and outputs[0] == outputs[1]


def test_uniforms_are_uniform_and_uncorrelated_between_actors_steps_and_blocks():
    values = draw(stream_key(1, "test"), 200, 1000)
    n = values.size
    assert abs(values.mean() - 0.5) < 4 * np.sqrt(1 / 12 / n)
    assert abs(values.var() - 1 / 12) < 4 * np.sqrt(1 / 180 / n)
    assert stats.kstest(values.ravel(), "uniform").pvalue > 1e-3
    for left, right in ((values[:, 1:], values[:, :-1]), (values[1:], values[:-1])):
        assert abs(np.corrcoef(left.ravel(), right.ravel())[0, 1]) < 4 / np.sqrt(left.size)
    key = stream_key(1, "test")
    pairs = np.array([[*uniforms(key, step, 5, block)] for step in range(300) for block in range(3)])
    assert abs(np.corrcoef(pairs.T)[0, 1]) < 4 / np.sqrt(len(pairs))
    assert len(np.unique(pairs)) == pairs.size


def test_the_draws_of_one_actor_do_not_depend_on_how_many_others_draw():
    key = stream_key(3, "orders")
    np.testing.assert_array_equal(draw(key, 5, 10), draw(key, 5, 1000)[:, :10])
    np.testing.assert_array_equal(draw(key, 5, 10)[3], draw(key, 50, 10)[3])


def test_seeds_purposes_and_branches_have_streams_of_their_own():
    keys = {int(stream_key(seed, purpose, branch))
            for seed in (0, 1, 2, 10**20) for purpose in ("a", "b", "1|a") for branch in (0, 1)}
    assert len(keys) == 24
    zero, one = draw(stream_key(0, "a"), 50, 100), draw(stream_key(1, "a"), 50, 100)
    assert abs(np.corrcoef(zero.ravel(), one.ravel())[0, 1]) < 4 / np.sqrt(zero.size)


def test_uniforms_never_reach_zero_or_one(monkeypatch):
    for word in (0, 2**32 - 1):
        monkeypatch.setattr(randomness, "philox", lambda *_, word=word: (np.uint64(word),) * 4)
        plain = getattr(uniforms, "py_func", uniforms)
        for u in plain(np.uint64(0), 0, 0, 0):
            assert 0.0 < u < 1.0
            assert np.isfinite(normal_quantile(u)) and np.isfinite(exponential(u))


def test_uniform_is_the_first_of_the_two():
    key = stream_key(5, "u")
    assert uniform(key, 4, 3, 2) == uniforms(key, 4, 3, 2)[0]


@given(st.floats(min_value=2.0**-53, max_value=LAST))
def test_the_normal_quantile_is_exact_to_rounding(u):
    expected = special.ndtri(u)
    assert normal_quantile(u) == pytest.approx(expected, rel=3e-15, abs=1e-16)


@pytest.mark.parametrize("u", [2.0**-53, 1e-10, 1e-4, 0.0749, 0.0751, 0.3, 0.5, 0.9, 0.99999, LAST])
def test_the_normal_quantile_is_right_in_every_branch_of_the_algorithm(u):
    assert normal_quantile(u) == pytest.approx(special.ndtri(u), rel=3e-15, abs=1e-16)


@given(st.floats(min_value=1e-3, max_value=500.0), st.floats(min_value=1e-9, max_value=1 - 1e-9))
def test_the_poisson_quantile_is_exact(mean, u):
    k = poisson_quantile(mean, u)
    slack = 1e-12   # rounding of the sum of up to a thousand terms
    assert stats.poisson.cdf(k, mean) >= u - slack
    assert k == 0 or stats.poisson.cdf(k - 1, mean) < u + slack


@pytest.mark.parametrize("mean", [0.0, -1.0])
def test_no_arrivals_without_a_rate(mean):
    assert poisson_quantile(mean, 0.999) == 0


@pytest.mark.parametrize("mean", [1e-9, 0.1, 1.0, 30.0, 499.0])
def test_the_largest_uniform_gives_a_plausible_count(mean):
    """The sum of the terms stops below one by rounding; the count must not run away with it."""
    assert stats.poisson.sf(poisson_quantile(mean, LAST) - 2, mean) > 1e-18


@given(st.floats(min_value=500.001, max_value=1e7), st.floats(min_value=1e-6, max_value=1 - 1e-6))
def test_large_poisson_counts_are_off_by_at_most_one(mean, u):
    assert abs(poisson_quantile(mean, u) - stats.poisson.ppf(u, mean)) <= 1


def test_exponential_variates_invert_the_distribution():
    for u in (1e-15, 0.25, 0.5, 0.999):
        assert stats.expon.cdf(exponential(u)) == pytest.approx(u, rel=1e-12)


def test_tie_breakers_are_32_bit_and_do_not_favour_anybody():
    key = stream_key(9, "ties")
    ties = np.array([[hash_key(key, step, actor) for actor in range(40)] for step in range(500)])
    assert ties.min() >= 0 and ties.max() < 2**32
    assert len(np.unique(ties)) > ties.size - 3
    first = np.bincount(ties.argmin(axis=1), minlength=40)
    assert stats.chisquare(first).pvalue > 1e-3


def test_python_side_generators_are_keyed_by_purpose_and_step():
    assert generator(0, "a", 3).random() == generator(0, "a", 3).random()
    draws = {generator(seed, purpose, step, branch).random()
             for seed in (0, 1) for purpose in "ab" for step in (0, 1, 2**40) for branch in (0, 1)}
    assert len(draws) == 24
