"""Once a crash has begun: do the scores of that moment rank runs by what feedback later adds?

A crash that comes out of nowhere cannot be announced. What can be asked of a state is how much it will make of a move
that is already under way. Every run is looked at once, in the first step in which the outside price is a stated
distance from its opening; its scores are compared by rank (Spearman 1904) with outcomes of the whole run, among them
what it has beyond its twin T1.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spirals.scenarios.feedback.early_warning_scores import SCORE_NAMES, Looking, opened, scores_of
from spirals.simulation.errors import InputError
from spirals.simulation.measures.intervals import Interval, bootstrap_interval

if TYPE_CHECKING:
    from spirals.scenarios.inputs.scenario import Scenario
    from spirals.simulation.simulation import Simulation

__all__ = ["LATER", "Beginnings", "beginnings", "rank_correlation", "rank_table"]

LATER = ("forced_notional", "excess_forced_notional", "excess_drawdown", "bad_debt_gross")


@dataclasses.dataclass(frozen=True)
class Beginnings:
    """One look per run, when its crash begins; runs in which none does are left out.

    Attributes
    ----------
    seconds : ndarray of shape (n,)
        [s] Moment of the look.
    scores, outcomes : mapping of str to ndarray of shape (n,)
        Scores of that moment; outcomes of the whole run, :data:`LATER`.
    """

    seconds: NDArray[np.float64]
    scores: Mapping[str, NDArray[np.float64]]
    outcomes: Mapping[str, NDArray[np.float64]]


def beginnings(
    scenario: "Scenario", seeds: Sequence[int], looking: Looking, told: Callable[[int], Any] = lambda done: None
) -> Beginnings:
    """Run a scenario for every seed, with its twin, and look at it when its crash begins.

    Parameters
    ----------
    scenario : Scenario
    seeds : sequence of int
    looking : Looking
    told : callable
        Called with 1 after each seed.

    Raises
    ------
    InputError
        With every fault of `looking`.
    """
    from spirals.scenarios.runs.one_run import run_scenario
    from spirals.simulation.copying import fork

    problems = looking.problems()
    if problems:
        raise InputError(problems)
    seconds, scores, outcomes = [], [], []
    for seed in seeds:
        core = opened(scenario, seed)
        if _run_to_beginning(core, looking.begins):
            seconds.append(core.step_index * core.step_seconds)
            scores.append(scores_of(core, fork(core), looking))
            found = run_scenario(scenario, seed, twins=("T1",)).outcomes
            outcomes.append([found[name] for name in LATER])
        told(1)
    table, later = np.array(scores).reshape(-1, len(SCORE_NAMES)), np.array(outcomes).reshape(-1, len(LATER))
    return Beginnings(np.array(seconds), {name: table[:, k] for k, name in enumerate(SCORE_NAMES)},
                      {name: later[:, k] for k, name in enumerate(LATER)})


def _run_to_beginning(core: "Simulation", distance: float) -> bool:
    """Run until the outside price is that far from its opening; return whether it got there before the last step."""
    opening = float(core.market.record["exogenous"][0])
    while core.step_index < core.n_steps - 1:
        core.run(1)
        if abs(math.log(float(core.market.record["exogenous"][0]) / opening)) >= distance:
            return True
    return False


def rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64], seed: int = 0) -> Interval:
    """Return Spearman's rank correlation of paired values with its percentile interval over runs; ties share ranks.

    NaN where one of the two does not vary.
    """
    from scipy.stats import rankdata

    def correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        x, y = rankdata(a), rankdata(b)
        return float(np.corrcoef(x, y)[0, 1]) if np.ptp(x) > 0.0 and np.ptp(y) > 0.0 else math.nan

    return bootstrap_interval((first, second), correlation, seed)


def rank_table(found: Beginnings) -> str:
    """Return the rank correlations as a table, scores down, outcomes across."""
    lines = [f"{'score':12s}" + "".join(f" {name:>24s}" for name in LATER)]
    for name, values in found.scores.items():
        cells = [rank_correlation(values, found.outcomes[later]) for later in LATER]
        lines.append(f"{name:12s}" + "".join(
            f" {f'{one.estimate:+.2f} [{one.low:+.2f}, {one.high:+.2f}]':>24s}" for one in cells))
    return "\n".join(lines)
