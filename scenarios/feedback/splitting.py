"""Multilevel splitting: probabilities of rare events from particles that are copied on their way up.

The engine knows nothing of what a particle is. It needs a population (:class:`Particles`) that can be carried on until
a score reaches a level, and in which one particle can take the state of another as it was when *that* one's
score first reached a level, with random numbers of its own from there on. :class:`ForkedParticles` makes a
population of any object that can be cloned, stepped and scored, such as a simulation and its forks.

Two estimators, both unbiased whatever the score [Cerou and Guyader 2007; Brehier et al. 2016, for ties]:

- :func:`fixed_splitting`: levels stated beforehand; the product of the shares that reach each next level.
- :func:`adaptive_splitting`: in each round the particles with the lowest scores go, *all* that tie with the last of
  them, and start again from the others at the level just passed; the product of the shares that stayed.

An estimate of one population has no interval of its own: :func:`replicated` gives one from independent runs.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["ForkedParticles", "Particles", "Replicated", "adaptive_splitting", "fixed_splitting", "replicated"]

Scores = NDArray[np.float64]
Rows = NDArray[np.int64]


class Particles(Protocol):
    """A population; the best score of a particle so far never falls."""

    def __len__(self) -> int:
        """Return the number of particles."""

    def advance(self, rows: Rows, level: float) -> None:
        """Carry on the particles `rows` until their score is at least `level` or their life ends."""

    def scores(self) -> Scores:
        """Return the best score of every particle so far."""

    def copy(self, sources: Rows, targets: Rows, level: float) -> None:
        """Give each target the state of its source as it was when its score first was at least `level`.

        From there on a target draws random numbers of its own. Sources are not among the targets.
        """


def fixed_splitting(particles: Particles, levels: Sequence[float], choose: np.random.Generator) -> float:
    """Return the probability that the score reaches the last of `levels`.

    Parameters
    ----------
    particles : Particles
        Fresh; used up.
    levels : sequence of float
        Increasing.
    choose : numpy Generator
        Picks the sources of copies; independent of the particles' own random numbers.
    """
    everybody = np.arange(len(particles))
    estimate = 1.0
    for place, level in enumerate(levels):
        particles.advance(everybody, level)
        reached = particles.scores() >= level
        estimate *= float(reached.mean())
        if estimate == 0.0 or place == len(levels) - 1:
            break
        _start_again(particles, reached, level, choose)
    return estimate


def adaptive_splitting(
    particles: Particles, target: float, choose: np.random.Generator, share: float = 0.1
) -> float:
    """Return the probability that the score reaches `target`, by levels that the particles find themselves.

    Parameters
    ----------
    particles : Particles
        Fresh; used up.
    target : float
    choose : numpy Generator
        Picks the sources of copies.
    share : float
        Share of particles that goes per round, in (0, 1); ties go with them.
    """
    count = len(particles)
    fewest = max(1, int(share * count))
    estimate = 1.0
    particles.advance(np.arange(count), target)
    while True:
        scores = particles.scores()
        lowest = float(np.partition(scores, fewest - 1)[fewest - 1])
        if lowest >= target:
            return estimate * float((scores >= target).mean())
        stays = scores > lowest
        estimate *= float(stays.mean())
        if estimate == 0.0:
            return 0.0
        _start_again(particles, stays, math.nextafter(lowest, math.inf), choose)
        particles.advance(np.flatnonzero(~stays), target)


def _start_again(particles: Particles, stays: NDArray[np.bool_], level: float, choose: np.random.Generator) -> None:
    """Let those that go start from those that stay, each source as often as the others to within one."""
    sources, targets = np.flatnonzero(stays), np.flatnonzero(~stays)
    whole, rest = divmod(len(targets), len(sources))
    picked = np.concatenate([np.tile(sources, whole), choose.choice(sources, rest, replace=False)])
    if len(targets):
        particles.copy(picked, targets, level)


@dataclasses.dataclass(frozen=True)
class Replicated:
    """Mean of independent estimates, with a Student interval of 95 %.

    Attributes
    ----------
    mean, standard_error, low, high : float
    estimates : ndarray of shape (n,)
    """

    mean: float
    standard_error: float
    low: float
    high: float
    estimates: Scores


def replicated(estimate: Callable[[int], float], runs: int) -> Replicated:
    """Return the mean of ``estimate(0) ... estimate(runs - 1)``, at least two, with its interval."""
    from scipy import stats

    values = np.array([estimate(run) for run in range(runs)])
    error = float(values.std(ddof=1) / math.sqrt(runs))
    half = float(stats.t.ppf(0.975, runs - 1)) * error
    mean = float(values.mean())
    return Replicated(mean, error, mean - half, mean + half, values)


class ForkedParticles:
    """Particles made of any objects: a way to make one, to clone it, to step it and to score it.

    Parameters
    ----------
    count : int
    make : callable
        ``make(row)`` returns a fresh object.
    clone : callable
        ``clone(object, branch)`` returns a copy whose future draws belong to `branch`, a number never used before.
    step : callable
        ``step(object)`` carries it on and returns whether its life goes on.
    score : callable
        ``score(object)`` of its present state; the engine keeps the largest.
    keep : bool
        Keep a clone at every new best score: needed by :func:`adaptive_splitting`, which goes back to them. Without it
        a copy is taken of the present state, which is right for :func:`fixed_splitting`.
    """

    def __init__(
        self, count: int, make: Callable[[int], Any], clone: Callable[[Any, int], Any],
        step: Callable[[Any], bool], score: Callable[[Any], float], keep: bool = True,
    ) -> None:
        self.clone, self.step, self.score, self.keep = clone, step, score, keep
        self.objects = [make(row) for row in range(count)]
        self.alive = [True] * count
        self.records: list[list[tuple[float, Any, bool]]] = [[] for _ in range(count)]
        self.best = np.full(count, -np.inf)
        self.branches = 0
        for row in range(count):
            self._note(row)

    def __len__(self) -> int:
        return len(self.objects)

    def scores(self) -> Scores:
        return self.best.copy()

    def advance(self, rows: Rows, level: float) -> None:
        for row in rows:
            while self.alive[row] and self.best[row] < level:
                self.alive[row] = bool(self.step(self.objects[row]))
                self._note(row)

    def copy(self, sources: Rows, targets: Rows, level: float) -> None:
        for source, target in zip(sources, targets, strict=True):
            if self.keep:   # levels only rise: what lies below this record is never asked for again
                self.records[source] = [record for record in self.records[source] if record[0] >= level]
                first = self.records[source][0]
                self.best[target], past, self.alive[target] = first
                self.records[target] = [first]
            else:
                self.best[target], past, self.alive[target] = (
                    self.best[source], self.objects[source], self.alive[source])
            self.objects[target] = self._fork(past)

    def _note(self, row: int) -> None:
        """Remember a new best score, and the state in which it was reached."""
        score = self.score(self.objects[row])
        if score > self.best[row]:
            self.best[row] = score
            if self.keep:
                self.records[row].append((score, self._fork(self.objects[row]), self.alive[row]))

    def _fork(self, thing: Any) -> Any:
        self.branches += 1
        return self.clone(thing, self.branches)
