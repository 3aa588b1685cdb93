"""Under which conditions the effect of pi has which sign, and how it depends on the speed of the crash."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from spirals.scenarios.analysis.policy_effects import FACTORS, PairedCell, PolicyRuns, group_interval, pi_effects
from spirals.scenarios.reports.numbers import Scale, display_scale
from spirals.simulation.measures.catalogue import unit_of
from spirals.simulation.measures.intervals import Interval, mean_interval

__all__ = ["Condition", "conditions", "crash_bins", "crash_points", "outcome_scale", "path_fits"]

BINS = 4
FEWEST_IN_BIN = 4


@dataclasses.dataclass(frozen=True)
class Condition:
    """Effect of pi on one outcome over the cells that share one property.

    Attributes
    ----------
    outcome : str
    factor, value : str, object
        The property; the factor is empty for all cells.
    mean : Interval
        Over the cells, replications as clusters.
    higher, lower, undetermined : int
        Cells by the sign of their own interval.
    """

    outcome: str
    factor: str
    value: Any
    mean: Interval
    higher: int
    lower: int
    undetermined: int


def conditions(found: PolicyRuns, outcomes: Sequence[str]) -> list[Condition]:
    """Return the effect for every outcome and every value of every factor that has several.

    Cells without a fitting path are left out. For the cadence all cells are counted in which every cadence was run.
    """
    listed = []
    for outcome in outcomes:
        cells = {cadence: [cell for cell in pi_effects(found, outcome, cadence) if cell.fits]
                 for cadence in found.levels["cadence"]}
        base = cells[found.base]
        listed.append(_condition(outcome, "", "", base))
        for factor in FACTORS[:-1]:
            values = [value for value in found.levels[factor] if any(cell.cell[factor] == value for cell in base)]
            for value in values if len(values) > 1 else ():
                listed.append(_condition(outcome, factor, value, [c for c in base if c.cell[factor] == value]))
        if len(cells) > 1:
            everywhere = set.intersection(*({_place(cell) for cell in one} for one in cells.values()))
            listed += [_condition(outcome, "cadence", cadence, [c for c in one if _place(c) in everywhere])
                       for cadence, one in cells.items()]
    return listed


def outcome_scale(found: PolicyRuns, name: str, values: Sequence[Interval]) -> Scale:
    """Return the scale of an outcome; money over open interest in bp (bad debt) or per cent."""
    if found.relative and unit_of(name) == "quote":
        return Scale(1e4, "bp of open interest") if "bad_debt" in name else Scale(100.0, "% of open interest")
    return display_scale(unit_of(name), [one.estimate for one in values])


def crash_points(found: PolicyRuns, outcome: str) -> list[tuple[float, float]]:
    """Return (half-life / duration, effect of pi) of every crash of an ensemble that is a fall, sorted by the ratio.

    The effect is averaged over depth models, in the normalisation and book with the most replications.
    """
    cells = [cell for cell in pi_effects(found, outcome) if cell.fits]
    known = found.runs[found.runs["crash_seconds"].notna() & (found.runs["crash_size"] < 0.0)]
    points: list[tuple[float, float]] = []
    for event, part in known.groupby("event", sort=False):
        seconds = dict(zip(part["replication"], part["crash_seconds"], strict=True))
        here = [cell for cell in cells if cell.cell["event"] == event]
        most = max((cell.difference.n for cell in here), default=0)
        kept = [cell for cell in here if cell.difference.n == most]
        for replication, duration in seconds.items():
            values = [cell.by_replication[replication] for cell in kept if replication in cell.by_replication]
            if values and duration > 0.0:
                points.append((found.half_life[str(event)] / duration, math.fsum(values) / len(values)))
    return sorted(points)


def crash_bins(points: Sequence[tuple[float, float]]) -> list[tuple[float, float, Interval]]:
    """Return (lowest ratio, highest ratio, mean effect) of up to four bins with the same number of crashes."""
    count = max(1, min(BINS, len(points) // FEWEST_IN_BIN))
    parts = np.array_split(np.arange(len(points)), count)
    return [(points[part[0]][0], points[part[-1]][0], mean_interval(np.array([points[k][1] for k in part])))
            for part in parts if len(part)]


def path_fits(found: PolicyRuns) -> list[dict[str, Any]]:
    """Return per event and depth how many paths reproduce the bars, and the largest residuals [bp]."""
    rows = []
    known = found.runs[found.runs["path_fits"].notna()]
    for event in found.levels["event"]:
        for depth in found.levels["depth"]:
            part = known[(known["event"] == event) & (known["depth"] == depth)].drop_duplicates("replication")
            if len(part):
                rows.append({
                    "event": event, "depth": depth, "paths": len(part), "fits": int(part["fits"].sum()),
                    "median_bp": float(part["path_median_residual_bp"].max()),
                    "max_bp": float(part["path_max_residual_bp"].max()),
                    "missed": int(part["path_missed_bars"].fillna(0).max()),
                })
    return rows


def _place(cell: PairedCell) -> tuple[Any, ...]:
    return tuple(cell.cell[name] for name in FACTORS[:-1])


def _condition(outcome: str, factor: str, value: Any, cells: Sequence[PairedCell]) -> Condition:
    signs = [cell.difference.sign for cell in cells]
    return Condition(outcome, factor, value, group_interval(cells), signs.count(1), signs.count(-1), signs.count(0))
