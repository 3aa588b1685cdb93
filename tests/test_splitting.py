"""Multilevel splitting: unbiased for any score, ties or not, and for anything that can be cloned and stepped."""

import dataclasses

import numpy as np
import pytest

from spirals.scenarios.feedback.splitting import ForkedParticles, adaptive_splitting, fixed_splitting, replicated
from spirals.scenarios.validation.cascade_law import borel_tail
from spirals.scenarios.validation.cascade_model import CascadeParticles, stream


@dataclasses.dataclass
class Walk:
    """A random walk from 1 that ends at 0; its draws belong to its branch."""

    place: float
    draws: np.random.Generator
    drift: float = 0.0
    normal: bool = False

    def step(self):
        move = self.draws.standard_normal() if self.normal else self.draws.choice((-1.0, 1.0))
        self.place += move
        return self.place > 0.0


def walks(count, seed, normal=False, keep=True):
    def source(branch):
        return np.random.Generator(np.random.Philox(key=[seed, branch]))

    return ForkedParticles(
        count, lambda row: Walk(1.0, source(1_000_000 + row), normal=normal),
        lambda walk, branch: dataclasses.replace(walk, draws=source(branch)), Walk.step, lambda walk: walk.place, keep)


def chooser(seed):
    return np.random.Generator(np.random.Philox(key=seed))


@pytest.mark.parametrize("way", ["fixed", "adaptive"])
def test_a_symmetric_walk_reaches_b_before_0_with_probability_1_over_b(way):
    """Gambler's ruin, P = 1/16; seeds 0 .. 39, tolerance four standard errors of the replicates, all scores tie."""
    def estimate(seed):
        if way == "fixed":
            return fixed_splitting(walks(60, seed, keep=False), [2, 4, 8, 16], chooser(seed))
        return adaptive_splitting(walks(60, seed), 16, chooser(seed))

    found = replicated(estimate, 40)
    assert found.standard_error < 0.15 / 16
    assert abs(found.mean - 1 / 16) < 4 * found.standard_error
    assert found.low < found.mean < found.high


def test_a_walk_without_ties_gives_the_same_by_both_ways():
    """Normal steps from 1 to 8 before 0: no closed form, so the two estimators and plain runs check each other."""
    fixed = replicated(lambda seed: fixed_splitting(walks(60, seed, True, False), [2, 4, 8], chooser(seed)), 30)
    adaptive = replicated(lambda seed: adaptive_splitting(walks(60, 100 + seed, True), 8, chooser(seed)), 30)
    plain = walks(3000, 7, True, False)
    plain.advance(np.arange(3000), 8.0)
    share = float((plain.scores() >= 8.0).mean())
    spread = np.sqrt(share * (1 - share) / 3000)
    assert abs(fixed.mean - adaptive.mean) < 4 * np.hypot(fixed.standard_error, adaptive.standard_error)
    assert abs(fixed.mean - share) < 4 * np.hypot(fixed.standard_error, spread)


def test_the_mean_of_small_populations_is_right_where_many_die_out():
    """Unbiased also where a population often ends with an estimate of 0: five particles, P(S >= 30) of n = .5."""
    exact = borel_tail(30, 0.5)

    def estimate(seed):
        return adaptive_splitting(CascadeParticles(5, 10.0, 0.05, stream(seed, "test"), 30), 30, chooser(seed))

    found = replicated(estimate, 3000)
    assert (found.estimates == 0.0).mean() > 0.02
    assert abs(found.mean - exact) < 4 * found.standard_error


def test_a_score_that_never_moves_gives_zero_and_a_sure_one_gives_one():
    still = ForkedParticles(5, lambda row: row, lambda thing, branch: thing, lambda thing: False, lambda thing: 0.0)
    assert adaptive_splitting(still, 1.0, chooser(0)) == 0.0
    sure = ForkedParticles(5, lambda row: row, lambda thing, branch: thing, lambda thing: False, lambda thing: 2.0)
    assert adaptive_splitting(sure, 1.0, chooser(0)) == 1.0
    assert fixed_splitting(sure, [0.5, 1.0], chooser(0)) == 1.0
