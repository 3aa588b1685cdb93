"""What a crash can tell: deconvolutions over depth model x index feedback, and the set of amplification they allow.

Each cell of the grid finds its own exogenous path, freezes it, and runs the scenario and its twin T1 on it. The same
bars replayed as the outside price stand beside it: the difference is what a replay counts twice.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spirals.scenarios.calibration.deconvolution import MATCHED, PRICES, Deconvolution, deconvolve
from spirals.scenarios.inputs.loader import load_scenario

if TYPE_CHECKING:
    from spirals.scenarios.inputs.scenario import Scenario

__all__ = ["DEPTHS", "INDEX_FEEDBACKS", "Cell", "Moment", "amplification_set", "solve_grid"]

DEPTHS = ("LinearDepth", "PowerDepth", "SquareRootDepth")
INDEX_FEEDBACKS = (0.0, 0.4)
KEPT = (
    "drawdown_mark", "drawdown_mid", "drawdown_last", "drawdown_exogenous", "twin_drawdown_mark", "excess_drawdown",
    "amplification", "forced_notional", "excess_forced_notional", "liquidated_to_opening_oi", "oi_change",
    "bad_debt_gross", "depth_bid_left_1pct",
)
RANGE_BAND = 0.1     # relative: a mean bar range within it counts as matched
ROUNDING = 0.0005    # targets are printed with three digits


@dataclasses.dataclass(frozen=True)
class Moment:
    """One figure of the event beside its simulation.

    Attributes
    ----------
    name : str
    low, high : float
        Observed, with its band.
    simulated : float
    fitted : bool
        Whether the search was told to reproduce it: then matching it is no evidence.
    """

    name: str
    low: float
    high: float
    simulated: float
    fitted: bool

    @property
    def matched(self) -> bool:
        return self.low <= self.simulated <= self.high


@dataclasses.dataclass(frozen=True)
class Cell:
    """One deconvolution with what follows from it.

    Attributes
    ----------
    found : Deconvolution
    outcomes : dict of str to float
        On the frozen path, against twin T1 on the same path.
    replay : dict of str to float
        The same with the bars themselves as the outside price.
    moments : tuple of Moment
    """

    found: Deconvolution
    outcomes: dict[str, float]
    replay: dict[str, float]
    moments: tuple[Moment, ...]

    @property
    def label(self) -> str:
        return f"{self.found.depth}-{self.found.index_feedback:g}"


def solve_grid(
    scenario: str,
    overrides: Sequence[str] = (),
    *,
    depths: Sequence[str] = DEPTHS,
    index_feedbacks: Sequence[float] = INDEX_FEEDBACKS,
    seeds: Sequence[int] = (0,),
    workers: int = 1,
    **options: Any,
) -> list[Cell]:
    """Deconvolve a scenario in every cell of the grid; `options` go to :func:`~.deconvolution.deconvolve`.

    Parameters
    ----------
    scenario : str
        Name of the catalogue, or a TOML file; its bars are the target.
    overrides : sequence of "PATH=VALUE"
    depths : sequence of str
        Classes of depth; parameters that a class shares with the scenario's own keep the scenario's values.
    index_feedbacks : sequence of float
        kappa of the price feed.
    seeds : sequence of int
    workers : int
        Processes; the results are the same for any number.
    """
    tasks = [
        {"scenario": scenario, "seed": seed, "options": options,
         "overrides": [*overrides, f"depth.type={depth}", f"price_feed.index_feedback={kappa!r}"]}
        for depth in depths for kappa in index_feedbacks for seed in seeds
    ]
    if workers <= 1 or len(tasks) == 1:
        return [solve_cell(task) for task in tasks]
    from spirals.scenarios.results.workers import process_pool

    with process_pool(min(workers, len(tasks))) as pool:
        return list(pool.map(solve_cell, tasks))


def solve_cell(task: dict[str, Any]) -> Cell:
    """Deconvolve one cell and measure it: scenario and twin T1 on the frozen path, and on the replayed bars."""
    from spirals.scenarios.runs.one_run import run_scenario

    scenario = load_scenario(task["scenario"], task["overrides"])
    found = deconvolve(scenario, seed=task["seed"], **task["options"])
    frozen = dataclasses.replace(scenario, outside_world=found.world)
    measured = run_scenario(frozen, found.seed, twins=["T1"]).outcomes
    replayed = run_scenario(scenario, found.seed, twins=["T1"]).outcomes
    return Cell(found, {name: measured[name] for name in KEPT}, {name: replayed[name] for name in KEPT},
                moments(scenario, found, measured))


def moments(scenario: "Scenario", found: Deconvolution, outcomes: dict[str, float]) -> tuple[Moment, ...]:
    """Return what can be held against the event.

    Fall and mean range of the bars for each simulated price (a fall within the tolerance of the search, a range
    within a tenth), and the scenario's own targets that name an outcome, other than falls of the bars themselves.
    """
    rows = []
    target = found.target.price
    fall, width = _fall(target), _range(target)
    for name in PRICES:
        simulated = _simulated(found, name)
        fitted = name == found.price
        rows.append(Moment(f"fall of the bars, {name} [log]", fall - found.tolerance, fall + found.tolerance,
                           _fall(simulated), fitted))
        rows.append(Moment(f"mean range of a bar, {name} [log]", width * (1 - RANGE_BAND), width * (1 + RANGE_BAND),
                           _range(simulated), fitted))
    for aim in scenario.targets:
        outcome = str(aim.get("outcome", ""))
        if outcome in outcomes and not outcome.startswith("drawdown_"):
            low, high = float(str(aim["low"])), float(str(aim["high"]))
            rows.append(Moment(f"{outcome}: {aim['quantity']}", low - ROUNDING, high + ROUNDING, outcomes[outcome],
                               False))
    return tuple(rows)


def amplification_set(cells: Sequence[Cell]) -> dict[str, dict[str, float | int]]:
    """Return lowest and highest excess drawdown and amplification, over all cells and over those that fit."""
    found: dict[str, dict[str, float | int]] = {}
    for label, kept in (("all", cells), ("fitting", [cell for cell in cells if cell.found.converged])):
        row: dict[str, float | int] = {"cells": len(kept)}
        for name in ("excess_drawdown", "amplification"):
            values = [cell.outcomes[name] for cell in kept if math.isfinite(cell.outcomes[name])]
            row[f"{name}_low"] = min(values, default=math.nan)
            row[f"{name}_high"] = max(values, default=math.nan)
        found[label] = row
    return found


def as_record(cell: Cell) -> dict[str, Any]:
    """Return a cell as plain data: settings, verdict, residuals per bar [bp], outcomes, moments."""
    found = cell.found
    return {
        "depth": found.depth, "index_feedback": found.index_feedback, "seed": found.seed, "price": found.price,
        "fits": found.converged, "reason": found.reason, "bars": len(found.verdicts), "missed": found.missed,
        "unreachable": found.verdicts.count("unreachable"), "verdicts": list(found.verdicts),
        "max_residual_bp": found.max_residual_bp, "median_residual_bp": found.median_residual_bp,
        "residual_bp": {name: [[value * 1e4 for value in row] for row in found.residuals[name].tolist()]
                        for name in PRICES},
        "residual_columns": list(MATCHED), "trials": found.iterations, "outcomes": cell.outcomes,
        "replay": cell.replay,
        "moments": [{**dataclasses.asdict(moment), "matched": moment.matched} for moment in cell.moments],
    }


def _simulated(found: Deconvolution, name: str) -> NDArray[np.float64]:
    """Return the simulated bars of one price from its residuals, with the target's opens, which nothing here reads."""
    bars = found.target.price.copy()
    ratios = [[math.exp(-value) for value in row] for row in found.residuals[name].tolist()]
    bars[:, 1:] *= np.array(ratios)
    return bars


def _fall(bars: NDArray[np.float64]) -> float:
    """Return the largest log fall from the high of a bar to the low of a later one."""
    peaks = np.maximum.accumulate(bars[:-1, 1])
    return max((math.log(peak / low) for peak, low in zip(peaks.tolist(), bars[1:, 2].tolist(), strict=True)),
               default=0.0)


def _range(bars: NDArray[np.float64]) -> float:
    return math.fsum(math.log(high / low) for high, low in bars[:, 1:3].tolist()) / len(bars)
