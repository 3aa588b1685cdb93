"""One population of lives: its estimate, and what is counted beside it. Populations share nothing."""

import dataclasses
import gc
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spirals.scenarios.feedback.splitting import ForkedParticles, adaptive_splitting
from spirals.scenarios.feedback.tail_lives import Life, TailQuestion, Worker
from spirals.simulation.randomness import generator

if TYPE_CHECKING:
    from spirals.scenarios.inputs.scenario import Scenario

__all__ = ["Population", "population", "population_row"]

TWICE = 30          # openings that are lived twice to see how much they decide


@dataclasses.dataclass
class Population:
    """What one population found.

    Attributes
    ----------
    estimate : float
        Of the probability; NaN until it is known.
    steps : int
        Simulated in all.
    runs, reached, moved : int
        First lives, which are plain runs; those that reached the level; those whose score or guide was ever above 0.
    jumps : list of float
        Of the lives that reached the level: largest rise between two looks, as a part of the level.
    falling_short : list of (float, float)
        Score and largest rise, parts of the level, of the plain runs that moved and did not reach it.
    openings : list of (float, float)
        Final rank values of two lives from one opening, in the first population.
    redrawn : bool
        Whether forks drew their outside path anew.
    """

    estimate: float = float("nan")
    steps: int = 0
    runs: int = 0
    reached: int = 0
    moved: int = 0
    jumps: list[float] = dataclasses.field(default_factory=list)
    falling_short: list[tuple[float, float]] = dataclasses.field(default_factory=list)
    openings: list[tuple[float, float]] = dataclasses.field(default_factory=list)
    redrawn: bool = True


def population(scenario: "Scenario", question: TailQuestion, replication: int) -> Population:
    """Return what a population finds; its seeds are its own."""
    found = _lived(scenario, question, replication)
    gc.collect()   # lives and workers know each other; their arrays would stay until the collector comes round
    return found


def population_row(task: dict[str, Any]) -> dict[str, Any]:
    """Return the same as plain data.

    Parameters
    ----------
    task : dict
        ``inputs`` (resolved), ``question`` (:meth:`TailQuestion.of_one_population`), ``replication``.

    Returns
    -------
    dict
        ``population``: the fields of :class:`Population`.
    """
    from spirals.scenarios.inputs.loader import Inputs, build_scenario

    scenario = build_scenario(Inputs(task["inputs"]))
    return {"population": dataclasses.asdict(population(scenario, TailQuestion(**task["question"]),
                                                        task["replication"]))}


def _lived(scenario: "Scenario", question: TailQuestion, replication: int) -> Population:
    from spirals.scenarios.inputs.design import replication_seed

    first, found = replication * question.particles, Population()
    workers = [Worker(scenario, replication_seed(question.seed, first + row), question)
               for row in range(question.particles)]
    particles = ForkedParticles(question.particles, lambda row: Life(workers[row]), Life.fork, Life.step,
                                lambda life: life.score)
    counted = _Counting(particles, found)
    openings = [life.fork(0) for life in particles.objects[:TWICE]] if replication == 0 else []
    found.estimate = adaptive_splitting(counted, 2.0, generator(question.seed, "tail.choose", replication))
    found.jumps += [life.jump for life in particles.objects if life.part >= 1.0]
    found.steps += sum(worker.steps for worker in workers)
    found.redrawn = workers[0].redraws
    for life, score in zip(openings, counted.plain, strict=False):   # lived once more, not counted as cost
        again = life.fork(1 << 40)
        while again.step():
            pass
        found.openings.append((score, _rank_value(again)))
    return found


class _Counting:
    """Particles whose first lives, whole runs, are looked at before the first selection."""

    def __init__(self, particles: ForkedParticles, found: Population) -> None:
        self.particles, self.found = particles, found
        self.plain: list[float] = []

    def __len__(self) -> int:
        return len(self.particles)

    def advance(self, rows: NDArray[np.int64], level: float) -> None:
        self.particles.advance(rows, level)
        if not self.plain:
            lives = self.particles.objects
            self.plain = [_rank_value(life) for life in lives]
            self.found.runs += len(lives)
            self.found.reached += sum(life.part >= 1.0 for life in lives)
            self.found.moved += sum(life.score > 0.0 for life in lives)
            self.found.falling_short += [(life.part, life.jump) for life in lives if 0.0 < life.part < 1.0]

    def scores(self) -> NDArray[np.float64]:
        return self.particles.scores()

    def copy(self, sources: NDArray[np.int64], targets: NDArray[np.int64], level: float) -> None:
        self.particles.copy(sources, targets, level)


def _rank_value(life: Life) -> float:
    """Return what orders whole runs; beyond the level all are equal, as splitting does not follow them there."""
    return 1.0 + min(life.part, 1.0) if life.part > 0.0 else life.score
