"""Longer tables of a study's report: profit by class, all cells, runs that stopped early or failed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from spirals.scenarios.analysis.effects import FAILED, Layout, cells, completed
from spirals.scenarios.reports.figures import to_svg
from spirals.scenarios.reports.figures_study import pnl_figure, value_text
from spirals.scenarios.reports.html import details, figure, note, paragraph, table
from spirals.scenarios.reports.numbers import Scale, display_scale, interval_column, plain_name, short_name
from spirals.simulation.measures.amplification import ratio_of_means
from spirals.simulation.measures.catalogue import MEASURES, unit_of
from spirals.simulation.measures.intervals import Interval, mean_interval, paired_difference
from spirals.simulation.measures.losses import CLASSES

__all__ = [
    "LEVEL", "amplification", "cells_section", "classes_section", "lever_name", "replications", "stops_section",
]

LEVEL = 0.95
NONE = np.empty(0)
CELL_TABLE = ("drawdown_mark", "excess_drawdown", "forced_notional", "bad_debt_gross", "margin_locked")


def lever_name(layout: Layout) -> str:
    """Return the short name of the lever."""
    return short_name(layout.lever) if layout.lever else "the lever"


def replications(runs: pd.DataFrame) -> int:
    """Return the number of different replications."""
    return int(runs[_pair(runs)].nunique()) if len(runs) else 0


def classes_section(done: pd.DataFrame, layout: Layout) -> str:
    """Return profit by class at both ends of the lever, the paired difference, and the excess over the twin."""
    names = [name for name in CLASSES if f"pnl_{name}" in done and done[f"pnl_{name}"].abs().max() > 0.0]
    if not names:
        return paragraph("No class of participant gained or lost anything.")
    ends = (layout.levels[0], layout.levels[-1])
    means = [_mean_by_replication(done[done[layout.lever] == value]) for value in ends]
    profit = [_intervals(group, [f"pnl_{name}" for name in names]) for group in means]
    lever = lever_name(layout)
    drawn = figure(
        to_svg(pnl_figure({value_text(value): dict(zip(names, found, strict=True))
                           for value, found in zip(ends, profit, strict=True)}, lever)),
        "Profit and loss by class.",
        "Mean over cells at both ends of the lever, with 95 % intervals over replications. Classes sum to zero; "
        "traders are split by the side of their opening position.",
        "Profit and loss by class of participant",
    )
    low, high = means
    both = low.index.intersection(high.index)
    effect = [
        paired_difference(high.loc[both, f"pnl_{name}"].to_numpy(), low.loc[both, f"pnl_{name}"].to_numpy(), LEVEL)
        for name in names
    ]
    excess = [_intervals(group, [f"excess_pnl_{name}" for name in names]) for group in means]
    scale = display_scale("quote", [one.estimate for found in profit for one in found])
    columns = [interval_column(found, scale, symmetric=True) for found in (*profit, effect, *excess)]
    first, last = (f"{lever} = {value_text(value)}" for value in ends)
    headers = ("Class", f"Profit\n{first}", f"Profit\n{last}", f"Effect of {lever}\nlast less first",
               f"Less twin T1\n{first}", f"Less twin T1\n{last}")
    rows = list(zip([name.replace("_", ", ") for name in names], *columns, strict=True))
    return drawn + table(headers, rows, numeric=range(1, 6), caption=f"In {scale.unit}: mean over cells ± half-width "
                         "of the 95 % interval over replications.")


def cells_section(done: pd.DataFrame, layout: Layout) -> str:
    """Return the table of every cell and level, with the amplification as ratio of means."""
    design = (*layout.cell_columns, *((layout.lever,) if layout.lever else ()))
    varied = [name for name in design if done[name].nunique(dropna=False) > 1] or list(design)
    outcomes = [name for name in CELL_TABLE if name in done]
    scales = {name: display_scale(unit_of(name), done[name]) for name in outcomes}
    found = [(cell, part) for cell, part in cells(done, design) if len(part)]
    columns: list[Sequence[object]] = [[value_text(cell[name]) for cell, _ in found] for name in varied]
    columns.append([len(part) for _, part in found])
    for name in outcomes:
        columns.append(interval_column([mean_interval(part[name].to_numpy(), LEVEL) for _, part in found], scales[name],
                                       signed=False, symmetric=True))
    columns.append(interval_column([amplification(part) for _, part in found], Scale(1.0, ""), signed=False))
    headers = (*(short_name(name) for name in varied), "n",
               *(f"{plain_name(name)}\n{scales[name].unit}" for name in outcomes), "Amplification\nratio of means")
    caption = ("Mean ± half-width of the 95 % interval. Amplification: mean drawdown over that of twin T1 with Fieller "
               "interval, n/a when the twin's is below 1 %.")
    numeric = range(len(varied), len(headers))
    meaning = table(("Outcome", "Meaning"), [(name, MEASURES[name]) for name in done if name in MEASURES])
    return (table(headers, list(zip(*columns, strict=True)), numeric=numeric, caption=caption)
            + details("Meaning of every outcome in runs.parquet", meaning))


def stops_section(runs: pd.DataFrame, layout: Layout) -> str:
    """Return stop reasons with their counts, and the failed runs with the first line of their error."""
    parts = []
    if "stop_reason" in runs:
        counts = completed(runs)["stop_reason"].fillna("").value_counts()
        rows = [(name or "(none)", count) for name, count in counts.items()]
        parts.append(table(("Stop reason", "Runs"), rows, numeric=(1,)))
    failed = runs[runs["status"] == FAILED] if "status" in runs else runs[:0]
    if not len(failed):
        return "".join(parts) + paragraph("No run failed.")
    names = [name for name in (*layout.design, "replication", "seed", "error") if name in failed]
    parts.append(note(f"{len(failed)} of {len(runs)} runs failed and are left out of all figures and tables.",
                      warning=True))
    parts.append(table([short_name(name) for name in names],
                       [[_first_line(row[name]) for name in names] for _, row in failed.iterrows()]))
    return "".join(parts)


def amplification(part: pd.DataFrame) -> Interval:
    """Return mean drawdown over that of twin T1 with its Fieller interval; NaN where the twin was not run."""
    if not {"drawdown_mark", "twin_drawdown_mark"} <= set(part):
        return mean_interval(NONE, LEVEL)
    return ratio_of_means(part["drawdown_mark"].to_numpy(), part["twin_drawdown_mark"].to_numpy(), LEVEL)


def _mean_by_replication(part: pd.DataFrame) -> pd.DataFrame:
    columns = [name for name in part if str(name).startswith(("pnl_", "excess_pnl_"))]
    return part.groupby(_pair(part), sort=True)[columns].mean()


def _intervals(means: pd.DataFrame, columns: Sequence[str]) -> list[Interval]:
    return [mean_interval(means[name].to_numpy() if name in means else NONE, LEVEL) for name in columns]


def _pair(runs: pd.DataFrame) -> str:
    return "replication" if "replication" in runs else "seed"


def _first_line(value: Any) -> str:
    """Return whole numbers with all their digits (a seed has fifteen) and texts up to their first line break."""
    if isinstance(value, int | np.integer | float) and float(value).is_integer():
        return str(int(value))
    text = value.strip() if isinstance(value, str) else value_text(value)
    return text.splitlines()[0][:300] if text else ""
