"""Effects of one lever over the cells of a study, paired by replication.

A *cell* is one combination of all design columns but the lever. Replications of a cell share their
seed over the levels of the lever, so differences are formed within a replication first.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from spirals.simulation.measures.intervals import Interval, mean_interval, variance_ratio

__all__ = [
    "CellEffect", "Layout", "OverallEffect", "cell_effects", "cells", "completed", "in_design_order", "level_effects",
    "overall_effect", "study_layout",
]

LEVER_NAMES = ("pi", "procyclicality")
FAILED = "failed"
MAX_LINES, MAX_PANELS = 7, 6


@dataclasses.dataclass(frozen=True)
class Layout:
    """Which design column plays which part in figures and tables.

    Attributes
    ----------
    lever : str or None
        Column on the x axis; None when the design varies nothing.
    line : str or None
        Column whose values are drawn as lines, the depth model where there is one; at most 7 values.
    panel : str or None
        Column of the small multiples; at most 6 values.
    design : tuple of str
        All design columns in the order of the table.
    levels : tuple
        Values of the lever in ascending order (in order of appearance for words).
    """

    lever: str | None
    line: str | None
    panel: str | None
    design: tuple[str, ...]
    levels: tuple[Any, ...]

    @property
    def cell_columns(self) -> tuple[str, ...]:
        """Columns that tell cells apart, the panel first, then the line, then all others."""
        first = tuple(name for name in (self.panel, self.line) if name)
        return first + tuple(name for name in self.design if name != self.lever and name not in first)


@dataclasses.dataclass(frozen=True)
class CellEffect:
    """Effect of the lever on one outcome in one cell.

    Attributes
    ----------
    cell : dict of str to object
        Value of every cell column.
    difference : Interval
        Highest less lowest level of the lever, paired by replication.
    variance_ratio : float
        Variance with independent runs over variance with paired runs of the difference.
    missing : int
        Replications in which an end of the lever is missing.
    """

    cell: Mapping[str, Any]
    difference: Interval
    variance_ratio: float
    missing: int


@dataclasses.dataclass(frozen=True)
class OverallEffect:
    """Effect on one outcome over all cells, each with the same weight.

    Attributes
    ----------
    difference : Interval
        Highest less lowest level: mean over cells within a replication, then over replications, so
        valid whether or not cells share seeds.
    positive, negative, undetermined : float
        Share of cells whose interval of the difference lies above zero, below zero, on both sides.
    n_cells : int
    """

    difference: Interval
    positive: float
    negative: float
    undetermined: float
    n_cells: int


def completed(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that did not fail."""
    return runs[runs["status"] != FAILED] if "status" in runs else runs


def in_design_order(runs: pd.DataFrame, design: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """Return the runs sorted by the levels of the design as it states them; unknown levels come last.

    The table of runs is sorted by run id, a digest, so its order of words would mean nothing.
    """
    keys = pd.DataFrame({
        name: runs[name].map({level: place for place, level in enumerate(levels)}).fillna(len(levels))
        for name, levels in design.items()
        if name in runs and all(isinstance(level, str | int | float) for level in levels)
    })
    if not len(keys.columns):
        return runs
    return runs.loc[keys.sort_values(list(map(str, keys)), kind="stable").index]


def study_layout(runs: pd.DataFrame, design: Sequence[str] | None = None, lever: str | None = None) -> Layout:
    """Find the lever, the lines and the panels of a study.

    Parameters
    ----------
    runs : DataFrame
        One row per run.
    design : sequence of str, optional
        Design columns; without it all columns with a dot in their name, since levers are paths.
    lever : str, optional
        Without it the column that ends in ``pi`` or ``procyclicality``, else the numeric column with
        most values, else the first one.
    """
    given = [name for name in map(str, runs) if "." in name] if design is None else [n for n in design if n in runs]
    varied = [name for name in given if runs[name].nunique(dropna=False) > 1]
    if lever not in varied:
        lever = _guess_lever(runs, varied)
    others = [name for name in varied if name != lever]
    others.sort(key=lambda name: name.split(".")[0] != "depth")
    line = next((name for name in others if runs[name].nunique() <= MAX_LINES), None)
    panel = next((name for name in others if name != line and runs[name].nunique() <= MAX_PANELS), None)
    levels = _levels(runs[lever]) if lever else ()
    return Layout(lever, line, panel, tuple(given), levels)


def cells(runs: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Yield every cell with its runs, in ascending order of numbers and order of appearance of words."""
    if not columns:
        yield {}, runs
        return
    first, *rest = columns
    for value in _levels(runs[first]):
        for cell, part in cells(runs[runs[first] == value], rest):
            yield {first: value, **cell}, part


def cell_effects(runs: pd.DataFrame, layout: Layout, outcome: str, level: float = 0.95) -> list[CellEffect]:
    """Return the effect of the lever on `outcome` in every cell; failed runs are left out."""
    found = []
    for cell, part in cells(completed(runs), layout.cell_columns):
        table = _by_replication(part, layout, outcome)
        low, high = table[:, 0], table[:, -1]
        found.append(
            CellEffect(
                cell=cell,
                difference=mean_interval(high - low, level),
                variance_ratio=variance_ratio(high, low),
                missing=int(np.count_nonzero(np.isnan(high - low))),
            )
        )
    return found


def overall_effect(runs: pd.DataFrame, layout: Layout, outcome: str, level: float = 0.95) -> OverallEffect:
    """Return the effect of the lever on `outcome` over all cells.

    A replication counts when it is complete in every cell, so that every cell has the same weight.
    """
    signs = [effect.difference.sign for effect in cell_effects(runs, layout, outcome, level)]
    n = len(signs)
    return OverallEffect(
        difference=level_effects(runs, layout, outcome, level)[-1],
        positive=signs.count(1) / n,
        negative=signs.count(-1) / n,
        undetermined=signs.count(0) / n,
        n_cells=n,
    )


def level_effects(runs: pd.DataFrame, layout: Layout, outcome: str, level: float = 0.95) -> list[Interval]:
    """Return every level of the lever less its lowest one, over all cells with equal weight.

    Returns
    -------
    differences : list of Interval, one per level
        The first is zero by construction. A replication counts at a level when every cell has that
        level and the lowest one.
    """
    done = completed(runs)
    replications = sorted(done[_pair_column(done)].unique())
    tables = [_by_replication(part, layout, outcome, replications) for _, part in cells(done, layout.cell_columns)]
    differences = [table - table[:, :1] for table in tables]
    mean = np.add.reduce(np.array(differences), axis=0) / len(differences)
    return [mean_interval(mean[:, column], level) for column in range(len(layout.levels))]


def _guess_lever(runs: pd.DataFrame, varied: Sequence[str]) -> str | None:
    named = [name for name in varied if name.split(".")[-1] in LEVER_NAMES]
    numeric = [name for name in varied if pd.api.types.is_numeric_dtype(runs[name])]
    if named:
        return named[0]
    if numeric:
        return max(numeric, key=lambda name: runs[name].nunique())
    return varied[0] if varied else None


def _levels(column: pd.Series) -> tuple[Any, ...]:
    values = list(column.dropna().unique())
    return tuple(sorted(values) if pd.api.types.is_numeric_dtype(column) else values)


def _pair_column(runs: pd.DataFrame) -> str:
    return "replication" if "replication" in runs else "seed"


def _by_replication(
    part: pd.DataFrame, layout: Layout, outcome: str, replications: Sequence[Any] | None = None
) -> np.ndarray:
    """Return values of shape (n_replications, n_levels); NaN where a run is missing."""
    pair = _pair_column(part)
    rows = sorted(part[pair].unique()) if replications is None else replications
    row_of = {value: row for row, value in enumerate(rows)}
    column_of = {value: column for column, value in enumerate(layout.levels)}
    table = np.full((len(rows), len(layout.levels)), math.nan)
    for replication, value, result in zip(part[pair], part[layout.lever], part[outcome], strict=True):
        table[row_of[replication], column_of[value]] = result
    return table
