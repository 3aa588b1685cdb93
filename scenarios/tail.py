"""Rare outcomes of a scenario by splitting: forks of the simulation that are on the way are followed up, others are not.

A *life* is one run. Its score is an outcome so far (bad debt so far, drawdown so far, ...); the event is that the score
reaches a level before the scenario ends. :func:`~spirals.scenarios.splitting.adaptive_splitting` starts lives with the
lowest scores again from states in which others had come further. A fork takes other draws from there on, outside path
included (where it has noise of its own), so what splitting can do is limited to what is still open after the fork: where
the tail comes from the opening population or from one jump it does not help, and :class:`Tail` says so.

While the score is still zero a *guide* (another outcome so far) may tell lives apart. The estimate stays unbiased
whatever the guide: the event is that of the score alone.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spirals.scenarios.splitting import ForkedParticles, Replicated, adaptive_splitting, replicated
from spirals.simulation.errors import InputError
from spirals.simulation.measures.forced_flow import FORCED_CAUSES
from spirals.simulation.randomness import generator

if TYPE_CHECKING:
    from spirals.scenarios.scenario import Scenario
    from spirals.simulation.simulation import Simulation

__all__ = ["SCORES", "Life", "Tail", "TailQuestion", "tail_probability"]

SCORES = {
    "bad_debt_gross": "bad debt so far [quote]",
    "drawdown_mark": "largest fall of the log mark so far [log points]",
    "run_up_mark": "largest rise of the log mark so far [log points]",
    "forced_notional": "sold and bought for forced causes so far [quote]",
    "margin_calls": "margin calls so far [count]",
    "fund_draw": "opening less lowest insurance fund so far [quote]",
}
GRID = 100          # scores count in hundredths of their level: ties go together, and few states are kept
LARGE = 1 << 16     # [bytes] arrays above are kept without their empty rows
ONE_JUMP = 0.8      # of the level in one look, at the median of the lives that reach it
DECIDED = 0.8       # rank correlation of two lives from the same opening
TWICE = 30          # openings that are lived twice to see how much they decide


@dataclasses.dataclass(frozen=True)
class TailQuestion:
    """What is asked, and how much effort goes into it.

    Attributes
    ----------
    score : str
        Name of :data:`SCORES`.
    level : float
        In its unit, above 0.
    guide : str
        Another name of :data:`SCORES`, which ranks lives whose score is still zero; "": none.
    particles : int
        Lives of one population, at least 2.
    replications : int
        Independent populations, at least 2: the interval comes from them.
    every_seconds : float
        [s] Between two looks at the score.
    seed : int
    """

    score: str
    level: float
    guide: str = ""
    particles: int = 100
    replications: int = 10
    every_seconds: float = 10.0
    seed: int = 0

    def problems(self) -> list[str]:
        """Return every fault."""
        names = ", ".join(SCORES)
        found = [f"score must be one of {names}, was {self.score!r}"] if self.score not in SCORES else []
        if self.guide and self.guide not in SCORES:
            found.append(f"guide must be one of {names}, was {self.guide!r}")
        if self.guide and self.guide == self.score:
            found.append(f"guide must be another outcome than the score, was {self.guide!r}")
        if not (self.level > 0.0 and math.isfinite(self.level)):
            found.append(f"level must be above 0, was {self.level!r}")
        found += [f"{name} must be at least 2, was {getattr(self, name)!r}" for name in ("particles", "replications")
                  if getattr(self, name) < 2]
        if not self.every_seconds > 0.0:
            found.append(f"every_seconds must be above 0, was {self.every_seconds!r}")
        return found


@dataclasses.dataclass(frozen=True)
class Tail:
    """A tail probability with its cost beside that of plain runs.

    Attributes
    ----------
    question : TailQuestion
    estimate : Replicated
        Mean over populations and its Student interval of 95 %.
    steps : int
        Simulated in all.
    run_steps : int
        Of one run.
    plain : tuple of int
        Whole runs among them (the first lives of every population) that reached the level, and their number.
    moved : float
        [fraction] of those runs whose score or guide was ever above 0.
    jump : float
        [fraction of the level] Median over lives that reached it of the largest rise between two looks; NaN without.
    opening : float
        Rank correlation of final scores of two lives from the same opening, other draws; NaN where nothing varied.
    redrawn : bool
        Whether a fork drew its outside path anew; False: the tail is conditional on each seed's path.
    """

    question: TailQuestion
    estimate: Replicated
    steps: int
    run_steps: int
    plain: tuple[int, int]
    moved: float
    jump: float
    opening: float
    redrawn: bool

    @property
    def plain_runs(self) -> float:
        """Plain runs that would give the same standard error; NaN without an estimate."""
        p, error = self.estimate.mean, self.estimate.standard_error
        return p * (1.0 - p) / error**2 if error > 0.0 else math.nan

    @property
    def speed_up(self) -> float:
        """Steps of plain sampling over steps of splitting at the same standard error."""
        return self.plain_runs * self.run_steps / self.steps

    @property
    def verdict(self) -> str:
        """Whether splitting helped, and if not, why."""
        if self.moved == 0.0:
            return f"the score never moved in {self.plain[1]} runs: nothing to split on; lower the level or name a guide"
        if self.estimate.mean == 0.0:
            return "no life reached the level: no estimate; more particles, or a guide"
        causes = []
        if self.jump >= ONE_JUMP:
            causes.append(f"lives reach the level in one jump ({self.jump:.0%} of it between two looks)")
        if self.opening >= DECIDED:
            causes.append(f"the opening population decides (rank correlation {self.opening:.2f} between two lives from "
                          "one opening)")
        why = " and ".join(causes)
        if math.isnan(self.speed_up):
            return "every population gave the same estimate: no error, no comparison"
        if self.speed_up <= 1.0:
            return f"splitting does not help here{f': {why}' if why else ''}"
        return f"splitting costs 1/{self.speed_up:.3g} of plain runs{f', although {why}' if why else ''}"


class Tally:
    """Outcomes so far of one life; equal at the end to those of the whole record."""

    def __init__(self, core: "Simulation") -> None:
        row = core.recorder.steps[0, 0]
        self.high = self.low = math.log(row["mark"])
        self.fund = float(core.recorder.totals[0]["fund"])
        self.values = dict.fromkeys(SCORES, 0.0)

    def copy(self) -> "Tally":
        """Return an independent copy."""
        found = object.__new__(Tally)
        found.high, found.low, found.fund, found.values = self.high, self.low, self.fund, dict(self.values)
        return found

    def add(self, core: "Simulation", before: int) -> None:
        """Count the steps after `before` up to the present one."""
        rows, totals = (table[before + 1: core.step_index + 1] for table in (core.recorder.steps, core.recorder.totals))
        mark, values = np.log(rows["mark"][:, 0]), self.values
        highest = np.maximum.accumulate(np.concatenate([[self.high], mark]))
        lowest = np.minimum.accumulate(np.concatenate([[self.low], mark]))
        values["drawdown_mark"] = max(values["drawdown_mark"], float((highest[1:] - mark).max()))
        values["run_up_mark"] = max(values["run_up_mark"], float((mark - lowest[1:]).max()))
        self.high, self.low = float(highest[-1]), float(lowest[-1])
        values["bad_debt_gross"] += float(totals["bad_debt"].sum())
        causes = list(FORCED_CAUSES)
        values["forced_notional"] += float((rows["sold_notional"] + rows["bought_notional"])[:, :, causes].sum())
        values["margin_calls"] += float(totals["calls"].sum())
        values["fund_draw"] = max(values["fund_draw"], self.fund - float(totals["fund"].min()))


class Worker:
    """The simulation of one seed, its opening, and the life that it holds at present."""

    def __init__(self, scenario: "Scenario", seed: int, question: TailQuestion) -> None:
        from spirals.agents.model import SpiralModel

        self.core = SpiralModel(setup=scenario, rng=seed, collect_every=0).core
        self.question = question
        self.gap = max(1, round(question.every_seconds / self.core.step_seconds))
        world = scenario.outside_world
        self.redraws = world.forked_path(1, self.core.step_seconds, len(self.core.instruments), seed, ()) is not None
        self.holds: Life | None = None
        self.steps = 0


class Life:
    """One run on its way; forks share their worker and take turns in it.

    Parameters
    ----------
    worker : Worker
    """

    def __init__(self, worker: Worker) -> None:
        self.worker, self.tally, self.branch = worker, Tally(worker.core), 0
        self.state: dict[str, Any] | None = None
        self.jump = 0.0
        worker.holds = self

    def fork(self, branch: int) -> "Life":
        """Return a life that goes on from the present state with the draws of `branch`."""
        found = object.__new__(Life)
        found.worker, found.tally, found.branch, found.jump = self.worker, self.tally.copy(), branch, self.jump
        found.state = self._kept()
        return found

    def step(self) -> bool:
        """Carry on to the next look; return whether the run goes on after it."""
        core = self._loaded()
        before, had = core.step_index, self.part
        core.run(self.worker.gap)
        self.worker.steps += core.step_index - before
        self.tally.add(core, before)
        self.jump = max(self.jump, self.part - had)
        return core.step_index < core.n_steps

    @property
    def part(self) -> float:
        """The score as a part of its level."""
        return self.tally.values[self.worker.question.score] / self.worker.question.level

    @property
    def score(self) -> float:
        """What splitting ranks: 1 and up once the score moves, the guide below that; 2 is the level."""
        question = self.worker.question
        if self.part > 0.0:
            return 1.0 + (math.floor(self.part * GRID) / GRID if self.part < 1.0 else 1.0)
        guide = self.tally.values[question.guide] if question.guide else 0.0
        return math.floor(guide / (1.0 + guide) * GRID) / GRID

    def _loaded(self) -> "Simulation":
        worker = self.worker
        if worker.holds is not self:
            if worker.holds is not None and worker.core.step_index < worker.core.n_steps:
                worker.holds.state = worker.holds._kept()
            assert self.state is not None
            core = worker.core
            core.restore({name: _unpacked(array) for name, array in self.state.items()})
            core.recorder.forget(core.step_index)
            core.rebranch(self.branch, outside=worker.redraws)
            worker.holds, self.state = self, None
        return worker.core

    def _kept(self) -> dict[str, Any]:
        if self.state is not None:
            return self.state
        return {name: _packed(array) for name, array in self.worker.core.arrays().items()}


def tail_probability(
    scenario: "Scenario", question: TailQuestion, told: Callable[[int], Any] = lambda done: None
) -> Tail:
    """Estimate how likely an outcome of a scenario reaches a level.

    Parameters
    ----------
    scenario : Scenario
    question : TailQuestion
    told : callable
        Called with 1 after each population.

    Raises
    ------
    InputError
        With every fault of the question.
    """
    problems = question.problems()
    if problems:
        raise InputError(problems)
    seen = _Seen()

    def estimate(replication: int) -> float:
        found = _population(scenario, question, replication, seen)
        told(1)
        return found

    found = replicated(estimate, question.replications)
    opening = _opening_share(seen.openings)
    return Tail(question, found, seen.steps, scenario.steps, (seen.reached, seen.runs), seen.moved / seen.runs,
                float(np.median(seen.jumps)) if seen.jumps else math.nan, opening, seen.redrawn)


class _Seen:
    """What is counted beside the estimate."""

    def __init__(self) -> None:
        self.steps = self.reached = self.runs = self.moved = 0
        self.jumps: list[float] = []
        self.openings: list[tuple[float, float]] = []
        self.redrawn = True


def _population(scenario: "Scenario", question: TailQuestion, replication: int, seen: _Seen) -> float:
    """Return the estimate of one population; its seeds are its own."""
    from spirals.scenarios.design import replication_seed

    first = replication * question.particles
    workers = [Worker(scenario, replication_seed(question.seed, first + row), question)
               for row in range(question.particles)]
    particles = ForkedParticles(question.particles, lambda row: Life(workers[row]), Life.fork, Life.step,
                                lambda life: life.score)
    counted = _Counting(particles, seen)
    openings = [life.fork(0) for life in particles.objects[:TWICE]] if replication == 0 else []
    estimate = adaptive_splitting(counted, 2.0, generator(question.seed, "tail.choose", replication))
    seen.jumps += [life.jump for life in particles.objects if life.part >= 1.0]
    seen.steps += sum(worker.steps for worker in workers)
    seen.redrawn = workers[0].redraws
    for life, score in zip(openings, counted.plain, strict=False):   # lived once more, not counted as cost
        again = life.fork(1 << 40)
        while again.step():
            pass
        seen.openings.append((score, _rank_value(again)))
    return estimate


class _Counting:
    """Particles whose first lives, whole runs, are looked at before the first selection."""

    def __init__(self, particles: ForkedParticles, seen: _Seen) -> None:
        self.particles, self.seen = particles, seen
        self.plain: list[float] = []

    def __len__(self) -> int:
        return len(self.particles)

    def advance(self, rows: NDArray[np.int64], level: float) -> None:
        self.particles.advance(rows, level)
        if not self.plain:
            lives = self.particles.objects
            self.plain = [_rank_value(life) for life in lives]
            self.seen.runs += len(lives)
            self.seen.reached += sum(life.part >= 1.0 for life in lives)
            self.seen.moved += sum(life.score > 0.0 for life in lives)

    def scores(self) -> NDArray[np.float64]:
        return self.particles.scores()

    def copy(self, sources: NDArray[np.int64], targets: NDArray[np.int64], level: float) -> None:
        self.particles.copy(sources, targets, level)


def _rank_value(life: Life) -> float:
    """Return what orders whole runs; beyond the level all are equal, as splitting does not follow them there."""
    guide = life.worker.question.guide
    return 1.0 + min(life.part, 1.0) if life.part > 0.0 else life.tally.values[guide] / (
        1.0 + life.tally.values[guide]) if guide else 0.0


def _opening_share(pairs: list[tuple[float, float]]) -> float:
    """Return the rank correlation of two lives from one opening."""
    from scipy.stats import rankdata

    ranks = np.array([rankdata(column) for column in np.array(pairs).T])
    spread = ranks.std(axis=1)
    return float(np.corrcoef(ranks)[0, 1]) if (spread > 0.0).all() else math.nan


def _packed(array: NDArray[Any]) -> Any:
    """Return a copy; of large arrays only the rows that are not empty."""
    if array.nbytes <= LARGE:
        return array.copy()
    words = array.view(np.uint8).reshape(len(array), -1).view(np.uint64)
    rows = np.flatnonzero(words.any(axis=1))
    return array.shape, array.dtype, rows, array[rows]


def _unpacked(kept: Any) -> NDArray[Any]:
    if isinstance(kept, np.ndarray):
        return kept
    shape, dtype, rows, values = kept
    found = np.zeros(shape, dtype)
    found[rows] = values
    return found
