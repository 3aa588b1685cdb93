"""Lives: runs on their way to a rare outcome, with the outcomes so far, which can be forked and take turns in a worker.

A *life* is one run; what it has come to so far is its *score*. A fork takes other draws from there on, outside path
included where the outside world has noise of its own. All lives of one seed share one simulation, the worker.
"""

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.measures.forced_flow import FORCED_CAUSES

if TYPE_CHECKING:
    from spirals.scenarios.inputs.scenario import Scenario
    from spirals.simulation.simulation import Simulation

__all__ = ["SCORES", "Life", "Tally", "TailQuestion", "Worker"]

SCORES = {
    "bad_debt_gross": "bad debt so far [quote]",
    "drawdown_mark": "largest fall of the log mark so far [log points]",
    "run_up_mark": "largest rise of the log mark so far [log points]",
    "forced_notional": "sold and bought for forced causes so far [quote]",
    "margin_calls": "margin calls so far [count]",
    "fund_draw": "opening less lowest insurance fund so far [quote]",
}
GRID = 100          # scores count in hundredths of their level: ties go together, and few states are kept
GUIDE_UNITS = {"drawdown_mark": 1e-3, "run_up_mark": 1e-3, "margin_calls": 1.0}   # above, steps of a tenth
GUIDE_UNIT = 0.01   # of the level, for guides in quote
LARGE = 1 << 16     # [bytes] arrays above are kept without their empty rows


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

    def of_one_population(self) -> dict[str, Any]:
        """Return what decides a population: everything but their number."""
        return {key: value for key, value in dataclasses.asdict(self).items() if key != "replications"}


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
        if not question.guide:
            return 0.0
        unit = GUIDE_UNITS.get(question.guide, GUIDE_UNIT * question.level)
        return min(math.floor(10.0 * math.log1p(self.tally.values[question.guide] / unit)), 999) / 1000.0

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
