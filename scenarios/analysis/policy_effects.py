"""Effects of margin policies over one or several studies: pi, the static alternatives, and the cadence.

Studies with a column ``policy`` are laid on one another as one table of runs with the columns ``event`` (the scenario),
``depth``, ``normalisation``, ``book`` and ``cadence``. Every difference is formed within a replication, on the same
draws and the same exogenous path. Runs whose path does not reproduce the bars are left out where at least two
replications of an event and depth have one that does; where fewer do, the cell is marked: no path fits.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from spirals.scenarios.analysis.effects import FAILED
from spirals.scenarios.analysis.policy_traits import POLICY
from spirals.simulation.measures.catalogue import unit_of
from spirals.simulation.measures.intervals import Interval, mean_interval, student_quantile, variance_ratio

__all__ = [
    "FACTORS", "PairedCell", "PolicyRuns", "cadence_effects", "group_interval", "pi_effects", "policy_runs",
    "static_effects",
]

FACTORS = ("event", "depth", "normalisation", "book", "cadence")
LEVEL = 0.95
STATED = {"depth": ("depth", "type"), "book": ("population", "opening_book")}
FEWEST = 2


@dataclasses.dataclass(frozen=True)
class PolicyRuns:
    """Runs of one or several studies of policies.

    Attributes
    ----------
    runs : DataFrame
        Completed runs with the columns of :data:`FACTORS`, ``policy``, ``pi`` (NaN for a static policy),
        ``replication``, ``fits`` and the outcomes.
    base : str
        Cadence that the others are held against: the first one of the design.
    levels : dict of str to list
        Values of every factor in the order of the designs.
    statics : tuple of str
        Labels of the policies that do not respond.
    half_life : dict of str to float
        [s] Of the volatility that the policy reads, by event.
    relative : bool
        Whether outcomes in quote are divided by the stated open interest of the event, so that events can be averaged.
    """

    runs: pd.DataFrame
    base: str
    levels: dict[str, list[Any]]
    statics: tuple[str, ...]
    half_life: dict[str, float]
    relative: bool = False

    @property
    def pis(self) -> list[float]:
        """Values of pi in ascending order."""
        return sorted(self.runs["pi"].dropna().unique())


@dataclasses.dataclass(frozen=True)
class PairedCell:
    """A difference between two policies in one cell.

    Attributes
    ----------
    cell : dict of str to object
        Values of the factors, and what else tells the cell apart.
    difference : Interval
        Mean over replications, paired.
    variance_ratio : float
        Variance with independent runs over variance with paired ones.
    by_replication : dict of int to float
    fits : bool
        Whether an exogenous path reproduces the bars there; where not, all runs are counted.
    """

    cell: Mapping[str, Any]
    difference: Interval
    variance_ratio: float
    by_replication: Mapping[int, float]
    fits: bool


def policy_runs(studies: Sequence[tuple[Mapping[str, Any], pd.DataFrame]]) -> PolicyRuns | None:
    """Lay studies on one another.

    Parameters
    ----------
    studies : sequence of (manifest, runs)
        Those without policies that differ in pi are left out; None when no study is left.
    """
    parts: list[pd.DataFrame] = []
    levels: dict[str, list[Any]] = {name: [] for name in FACTORS}
    half_life: dict[str, float] = {}
    statics: dict[str, None] = {}
    for manifest, runs in studies:
        traits = manifest.get("policies") or {}
        if len({one.get("pi") for one in traits.values()} - {None}) < 2 or POLICY not in runs or not len(runs):
            continue
        part = _factors(manifest, runs, traits)
        if not len(part):
            continue
        parts.append(part)
        half_life[part["event"].iloc[0]] = float(next(iter(traits.values())).get("half_life_seconds") or math.nan)
        statics |= dict.fromkeys(name for name, one in traits.items() if one.get("pi") is None)
        for name in FACTORS:
            order = (manifest.get("design") or {}).get(name) or _appearance(part, name, traits)
            levels[name] += [value for value in order if value not in levels[name] and value in set(part[name])]
    if not parts:
        return None
    relative = all(part["open_interest_stated"].iloc[0] > 0.0 for part in parts)
    runs = pd.concat([_to_open_interest(part) if relative else part for part in parts], ignore_index=True)
    return PolicyRuns(runs, str(levels["cadence"][0]), levels, tuple(statics), half_life, relative)


def pi_effects(
    found: PolicyRuns, outcome: str, cadence: str | None = None, ends: tuple[float, float] | None = None
) -> list[PairedCell]:
    """Return the effect of pi from its lowest to its highest value in every cell of one cadence.

    A cadence that was not run at the lowest pi is held against the base cadence there: a rate that does not respond is
    the same however often it is set.

    Parameters
    ----------
    cadence : str, optional
        The base one by default.
    ends : tuple of float, optional
        Two values of pi instead of the extremes.
    """
    low, high = ends or (found.pis[0], found.pis[-1])
    cadence = found.base if cadence is None else cadence
    cells = []
    for cell, part in _parts(found, ("event", "depth", "normalisation", "book")):
        at = part[part["pi"] == low]
        below = at[at["cadence"] == cadence]
        below = below if len(below) else at[at["cadence"] == found.base]
        above = part[(part["pi"] == high) & (part["cadence"] == cadence)]
        if len(below) and len(above):
            cells.append(_paired({**cell, "cadence": cadence}, above, below, outcome))
    return cells


def static_effects(found: PolicyRuns, outcome: str, pi: float) -> list[PairedCell]:
    """Return the responsive policy less each static one, in every cell of the base cadence."""
    cells = []
    base = found.runs[found.runs["cadence"] == found.base]
    for cell, part in _parts(found, ("event", "depth", "normalisation", "book"), base):
        responsive = part[part["pi"] == pi]
        same = (base["event"] == cell["event"]) & (base["depth"] == cell["depth"]) & (base["book"] == cell["book"])
        for name in found.statics:
            static = base[same & (base[POLICY] == name)]
            if len(responsive) and len(static):
                cells.append(_paired({**cell, "static": name}, responsive, static, outcome))
    return cells


def cadence_effects(found: PolicyRuns, outcome: str, cadence: str) -> list[PairedCell]:
    """Return a cadence less the base one, for every responsive policy and cell."""
    cells = []
    for cell, part in _parts(found, ("event", "depth", "normalisation", "book")):
        for pi in found.pis:
            here = part[part["pi"] == pi]
            other, base = here[here["cadence"] == cadence], here[here["cadence"] == found.base]
            if len(other) and len(base):
                cells.append(_paired({**cell, "pi": pi}, other, base, outcome))
    return cells


def group_interval(cells: Sequence[PairedCell]) -> Interval:
    """Return the mean of the differences over cells with equal weight, replications as clusters.

    Cells share their seeds, so the error is that of the sum of deviations of a replication over all cells
    (with the same replications in every cell: the Student interval of the mean over cells); degrees of
    freedom from the cell with the fewest replications.
    """
    kept = [cell for cell in cells if cell.difference.n]
    if not kept:
        return Interval(math.nan, math.nan, math.nan, math.nan, 0)
    estimate = math.fsum(cell.difference.estimate for cell in kept) / len(kept)
    fewest = min(cell.difference.n for cell in kept)
    if fewest < FEWEST:
        return Interval(estimate, math.nan, math.nan, math.nan, fewest)
    deviation: dict[int, float] = {}
    for cell in kept:
        n = cell.difference.n
        for replication, value in cell.by_replication.items():
            share = (value - cell.difference.estimate) / (n * len(kept)) * math.sqrt(n / (n - 1))
            deviation[replication] = deviation.get(replication, 0.0) + share
    error = math.sqrt(math.fsum(value * value for value in deviation.values()))
    reach = student_quantile(LEVEL, fewest - 1) * error
    return Interval(estimate, estimate - reach, estimate + reach, error, fewest)


def _factors(manifest: Mapping[str, Any], runs: pd.DataFrame, traits: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return the completed runs of one study with a column for every factor."""
    part = runs[runs["status"] != FAILED] if "status" in runs else runs
    inputs = (manifest.get("inputs") or {}).get("scenario") or {}
    label = part[POLICY].astype(str)
    pi = [math.nan if (value := traits.get(name, {}).get("pi")) is None else float(value) for name in label]
    extra: dict[str, Any] = {
        "event": str(manifest.get("scenario") or manifest.get("name") or "event"),
        "pi": pi,
        "normalisation": [traits.get(name, {}).get("normalisation") or "" for name in label],
        "open_interest_stated": float((inputs.get("population") or {}).get("open_interest") or math.nan),
        "fits": part["path_fits"].astype(bool) if "path_fits" in part else True,
    }
    for name in ("depth", "book", "cadence"):
        if name not in part:
            where = STATED.get(name, ())
            extra[name] = str((inputs.get(where[0]) or {}).get(where[1])) if where else "as stated"
    return part.assign(**extra)


def _to_open_interest(part: pd.DataFrame) -> pd.DataFrame:
    money = [str(name) for name in part if unit_of(str(name)) == "quote"]
    return part.assign(**{name: part[name] / part["open_interest_stated"] for name in money})


def _appearance(part: pd.DataFrame, name: str, traits: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    if name == "normalisation":
        return list(dict.fromkeys(one["normalisation"] for one in traits.values() if one.get("normalisation")))
    return list(part[name].unique())


def _parts(
    found: PolicyRuns, factors: Sequence[str], runs: pd.DataFrame | None = None
) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Yield the responsive runs of every combination of factors that was run, in the order of the design."""
    runs = found.runs if runs is None else runs
    runs = runs[runs["pi"].notna()]
    groups = dict(iter(runs.groupby(list(factors), sort=False)))
    place = {name: {value: k for k, value in enumerate(found.levels[name])} for name in factors}
    for values in sorted(groups, key=lambda key: [place[name].get(value, len(place[name]))
                                                  for name, value in zip(factors, key, strict=True)]):
        yield dict(zip(factors, values, strict=True)), groups[values]


def _paired(cell: Mapping[str, Any], first: pd.DataFrame, second: pd.DataFrame, outcome: str) -> PairedCell:
    """Return `first` less `second` by replication.

    Where the design varies more than the factors, the runs of one replication are averaged: they share their draws.
    """
    one, two = (runs.groupby("replication").agg({outcome: "mean", "fits": "all"}) for runs in (first, second))
    both = one.join(two.add_suffix("_second"), how="inner")
    good = both[both["fits"] & both["fits_second"]]
    fits = len(good) >= FEWEST or len(good) == len(both)
    kept = (good if fits else both).sort_index()
    high, low = (kept[name].to_numpy(np.float64) for name in (outcome, f"{outcome}_second"))
    difference = high - low
    values = {int(r): float(d) for r, d in zip(kept.index, difference, strict=True) if not math.isnan(d)}
    return PairedCell(cell, mean_interval(difference, LEVEL), variance_ratio(high, low), values, fits)
