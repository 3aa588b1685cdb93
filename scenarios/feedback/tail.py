"""Rare outcomes of a scenario by splitting: forks of runs that are on the way are followed up, others are not.

A *life* is one run. Its score is an outcome so far (bad debt so far, drawdown so far, ...); the event is that the score
reaches a level before the scenario ends. :func:`~spirals.scenarios.feedback.splitting.adaptive_splitting` starts lives
with the lowest scores again from states in which others had come further. A fork takes other draws from there on,
outside path included (where it has noise of its own), so what splitting can do is limited to what is still open after
the fork: where the tail comes from the opening population or from one jump it does not help, and :class:`Tail` says so.

While the score is still zero a *guide* (another outcome so far) may tell lives apart. The estimate stays unbiased
whatever the guide: the event is that of the score alone.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from spirals.scenarios.feedback.splitting import Replicated, replicated
from spirals.scenarios.feedback.tail_lives import SCORES, TailQuestion
from spirals.scenarios.feedback.tail_population import Population
from spirals.scenarios.runs.parts import Part, Parts, parts_here
from spirals.simulation.errors import InputError

if TYPE_CHECKING:
    from spirals.scenarios.inputs.loader import Inputs

__all__ = ["SCORES", "Tail", "TailQuestion", "tail_of", "tail_probability"]

POPULATION = "spirals.scenarios.feedback.tail_population:population_row"

ONE_JUMP = 0.8      # of the level in one look, at the median of the lives that reach it
DECIDED = 0.8       # rank correlation of two lives from the same opening


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
        [fraction] Largest rise between two looks as a part of the level, median over lives that reached it; where none
        did, as a part of their own score, over the highest quarter of the plain runs. NaN without any.
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
            return (f"the score never moved in {self.plain[1]} runs: nothing to split on; name a guide, or ask for "
                    "what can happen here")
        causes = []
        if self.jump >= ONE_JUMP:
            causes.append(f"the score comes in one jump ({self.jump:.0%} of it between two looks)")
        if self.opening >= DECIDED:
            causes.append(f"the opening population decides (rank correlation {self.opening:.2f} between two lives from "
                          "one opening)")
        why = " and ".join(causes)
        if self.estimate.mean == 0.0:
            return f"no life reached the level, no estimate: {why or 'more particles, or a guide'}"
        if math.isnan(self.speed_up):
            return "every population gave the same estimate: no error, no comparison"
        if self.speed_up <= 1.0:
            return f"splitting does not help here{f': {why}' if why else ''}"
        return f"splitting costs 1/{self.speed_up:.3g} of plain runs{f', although {why}' if why else ''}"


def tail_probability(inputs: "Inputs", question: TailQuestion, parts: Parts = parts_here) -> Tail:
    """Estimate how likely an outcome of a scenario reaches a level.

    Parameters
    ----------
    inputs : Inputs
        Of the scenario.
    question : TailQuestion
    parts : Parts
        Makes the populations.

    Raises
    ------
    InputError
        With every fault of the question.
    """
    problems = question.problems()
    if problems:
        raise InputError(problems)
    asked = question.of_one_population()
    rows = parts(POPULATION, [Part(inputs, question.seed, {"question": asked, "replication": replication})
                              for replication in range(question.replications)])
    found = [Population(**row["population"]) for row in rows]
    return tail_of(question, int(inputs.tree["steps"]), found)


def tail_of(question: TailQuestion, run_steps: int, found: Sequence[Population]) -> Tail:
    """Return the answer of all populations of a question, in their order, however they were run."""
    estimate = replicated(lambda replication: found[replication].estimate, len(found))
    reached, runs, moved = (sum(getattr(one, name) for one in found) for name in ("reached", "runs", "moved"))
    opening = _opening_share([pair for one in found for pair in one.openings])
    return Tail(question, estimate, sum(one.steps for one in found), run_steps, (reached, runs), moved / runs,
                _jump(found), opening, found[0].redrawn)


def _jump(found: Sequence[Population]) -> float:
    """Return the attribute `jump` of the answer."""
    jumps = [jump for one in found for jump in one.jumps]
    if jumps:
        return float(np.median(jumps))
    short = sorted(pair for one in found for pair in one.falling_short)
    highest = short[-max(1, len(short) // 4):]
    return float(np.median([rise / part for part, rise in highest])) if highest else math.nan


def _opening_share(pairs: list[tuple[float, float]]) -> float:
    """Return the rank correlation of two lives from one opening."""
    from scipy.stats import rankdata

    ranks = np.array([rankdata(column) for column in np.array(pairs).T])
    spread = ranks.std(axis=1)
    return float(np.corrcoef(ranks)[0, 1]) if (spread > 0.0).all() else math.nan
