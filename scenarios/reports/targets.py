"""Published figures of the venue beside what a run or a study gave."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from spirals.scenarios.analysis.effects import Layout, cells
from spirals.scenarios.reports.figures_study import label_of_cell, value_text
from spirals.scenarios.reports.html import escape, note, paragraph, table
from spirals.scenarios.reports.inputs import inputs_of
from spirals.scenarios.reports.numbers import display_scale, format_outcome, interval_column, plain_name, short_name
from spirals.scenarios.reports.study_tables import LEVEL, amplification
from spirals.simulation.measures.catalogue import unit_of
from spirals.simulation.measures.intervals import Interval, mean_interval

__all__ = ["target_range", "targets_of", "targets_section", "verdict"]

TITLE = "Beside the figures of the venue"
MAX_LEVELS = 6
OVER_ALL = "over all levels"


def targets_of(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the published figures among the inputs of the scenario."""
    found = manifest.get("targets") or inputs_of(manifest).get("targets") or ()
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list | tuple) else []


def target_range(target: Mapping[str, Any]) -> str:
    """Return the range of a published figure as text."""
    name, low, high = str(target.get("outcome", "")), target.get("low"), target.get("high")
    if low is None and high is None:
        return "n/a"
    if low is None:
        return f"at most {format_outcome(name, high)}"
    if high is None:
        return f"at least {format_outcome(name, low)}"
    return format_outcome(name, low) if low == high else f"{format_outcome(name, low)} to {format_outcome(name, high)}"


def verdict(value: float, target: Mapping[str, Any], reach: float = 0.0) -> str:
    """Return where a value lies: "inside", "below", "above", or "n/a".

    `reach` is the half-width of its interval; it counts only where the published figure is one number,
    which no mean would ever meet exactly.
    """
    low, high = target.get("low"), target.get("high")
    if math.isnan(value) or (low is None and high is None):
        return "n/a"
    slack = reach if low == high and math.isfinite(reach) else 0.0
    if low is not None and value < low - slack:
        return "below"
    return "above" if high is not None and value > high + slack else "inside"


def targets_section(manifest: Mapping[str, Any], done: pd.DataFrame, layout: Layout) -> str:
    """Return one table per published figure: every cell at every level, and how many of them miss it."""
    text = (
        "Published figures of the venue in the window of the scenario. Inside: the mean over replications lies in the "
        "range; a figure given as one number counts as met where the 95 % interval of the mean covers it. The venue "
        "ran under its own margin rules, so no level of a lever need meet a figure. Meeting one does not identify "
        "amplification: price path, open interest and liquidated share are compatible with many depths."
    )
    return paragraph(text) + "".join(_target(target, done, layout) for target in targets_of(manifest))


def _target(target: Mapping[str, Any], done: pd.DataFrame, layout: Layout) -> str:
    name = str(target.get("outcome", ""))
    quantity = str(target.get("quantity", name))
    quantity = quantity[:1].upper() + quantity[1:]
    about = (f"<h3>{escape(quantity)}</h3><p>Venue: <b>{escape(target_range(target))}</b>. "
             f"Compared with: {escape(plain_name(name))} (<code>{escape(name)}</code>). "
             f"Source: {escape(target.get('source', ''))}</p>")
    if name not in done or not done[name].notna().any():
        return about + note("This outcome was not measured in the study; nothing to compare.", warning=True)
    by_level = 0 < len(layout.levels) <= MAX_LEVELS
    found = [(label_of_cell(cell), [_mean(name, part) for part in _parts(group, layout, by_level)])
             for cell, group in cells(done, layout.cell_columns) if len(group)]
    means = [one for _, row in found for one in row]
    where = [verdict(one.estimate, target, (one.high - one.low) / 2.0) for one in means]
    scale = display_scale(unit_of(name), [one.estimate for one in means])
    texts = interval_column(means, scale, signed=False, symmetric=True)
    width = len(found[0][1])
    rows = [(label, *(f"{text} {side}" for text, side in zip(
        texts[k * width:(k + 1) * width], where[k * width:(k + 1) * width], strict=True)))
        for k, (label, _) in enumerate(found)]
    lever = short_name(layout.lever or "")
    titles = [f"{lever} = {value_text(value)}" for value in layout.levels] if by_level else [OVER_ALL]
    unit = f", in {scale.unit}" if scale.unit else ""
    kind = "Mean drawdown over that of twin T1" if name == "amplification" else "Mean over replications"
    return (about + note(_count(where, width, len(found)))
            + table(("Cell", *titles), rows, numeric=range(1, 1 + width),
                    caption=f"{kind} ± half-width of the 95 % interval{unit}, and where it lies."))


def _count(where: Sequence[str], width: int, n_cells: int) -> str:
    """Say how many cells miss a published figure, and on which side."""
    missed = [side for side in where if side in ("below", "above")]
    unknown = where.count("n/a")
    places = f"{n_cells} cells at {width} levels each" if width > 1 else f"{n_cells} cells"
    never = sum(1 for k in range(n_cells) if "inside" not in where[k * width:(k + 1) * width])
    sides = f": {where.count('above')} above, {where.count('below')} below" if missed else ""
    rest = f" {never} of {n_cells} cells miss it at every level." if width > 1 else ""
    gaps = f" {unknown} could not be compared." if unknown else ""
    return f"{len(missed)} of {len(where)} means miss the venue's figure ({places}){sides}.{rest}{gaps}"


def _parts(group: pd.DataFrame, layout: Layout, by_level: bool) -> list[pd.DataFrame]:
    return [group[group[layout.lever] == value] for value in layout.levels] if by_level else [group]


def _mean(name: str, part: pd.DataFrame) -> Interval:
    if name == "amplification" and {"drawdown_mark", "twin_drawdown_mark"} <= set(part):
        return amplification(part)
    return mean_interval(part[name].to_numpy(), LEVEL)
