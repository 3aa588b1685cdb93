"""Figures of a study: outcomes against the lever, effects cell by cell, profit and loss by class."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spirals.scenarios.analysis.effects import CellEffect, Layout, cells, completed
from spirals.scenarios.reports.figures import GREY, INK, MARKERS, PALETTE, axis_title, direct_labels, new_figure, style
from spirals.scenarios.reports.numbers import Scale, display_scale, plain_name, short_name
from spirals.simulation.measures.catalogue import unit_of
from spirals.simulation.measures.intervals import Interval, mean_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["effects_figure", "headline_figure", "label_of_cell", "pnl_figure", "value_text"]

MAX_TICKS = 8


def value_text(value: Any) -> str:
    """Return a level of a lever as text: numbers with few digits, words as they are."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, int | float | np.number) else str(value)


def label_of_cell(cell: Mapping[str, Any]) -> str:
    """Return a cell as text, e.g. "leverage 2 · depth Linear"."""
    parts = [f"{short_name(name)} {value_text(value)}" for name, value in cell.items()]
    return " · ".join(parts) if parts else "all runs"


def headline_figure(runs: pd.DataFrame, layout: Layout, outcomes: Sequence[str], level: float = 0.95) -> "Figure":
    """Return outcomes against the lever: a column per outcome, a row per panel, a line per depth model.

    Points are means over replications with their Student interval; lines join means, nothing is fitted.
    Design columns beyond panel and line are averaged over.
    """
    done = completed(runs)
    panels = _values(done, layout.panel)
    lines = _values(done, layout.line)
    with style():
        canvas_figure, axes = new_figure(11.2, 2.45 * len(panels) + 0.55, len(panels), len(outcomes), sharex=True,
                                         sharey="col")
        for column, outcome in enumerate(outcomes):
            scale = display_scale(unit_of(outcome), done[outcome])
            for row, panel in enumerate(panels):
                part = done if panel is None else done[done[layout.panel] == panel]
                _draw_lines(axes[row, column], part, layout, lines, outcome, scale, level)
                if row == 0:
                    axis_title(axes[row, column], plain_name(outcome), scale.unit)
                if row == len(panels) - 1:
                    axes[row, column].set_xlabel(short_name(layout.lever or ""))
            if axes[0, column].get_ylim()[0] > 0.0:
                axes[0, column].set_ylim(bottom=0.0)
        for row, panel in enumerate(panels):
            if panel is not None:
                axes[row, 0].set_ylabel(f"{short_name(layout.panel or '')} {value_text(panel)}", color=INK, labelpad=8)
            _label_lines(axes[row, -1], lines)
    return canvas_figure


def effects_figure(
    effects: Mapping[str, Sequence[CellEffect]], overall: Mapping[str, Interval], scales: Mapping[str, Scale]
) -> "Figure":
    """Return the effect of the lever cell by cell: a panel per outcome, a row per cell, the mean below.

    Filled points have an interval on one side of zero.
    """
    names = [label_of_cell(one.cell) for one in next(iter(effects.values()))]
    with style():
        canvas_figure, axes = new_figure(11.2, 0.30 * (len(names) + 1) + 1.15, 1, len(effects), sharey=True)
        for column, (outcome, found) in enumerate(effects.items()):
            panel, scale = axes[0, column], scales[outcome]
            panel.grid(axis="x")
            panel.grid(axis="y", visible=False)
            panel.axvline(0.0, color="#8a949c", linewidth=0.9)
            for row, one in enumerate(found):
                _whisker(panel, -row, one.difference, scale, PALETTE[0], "o")
            _whisker(panel, -len(names) - 0.25, overall[outcome], scale, INK, "D")
            panel.axhline(-len(names) + 0.4, color="#9aa3ab", linewidth=0.7)
            axis_title(panel, plain_name(outcome), scale.unit)
            panel.spines["left"].set_visible(False)
        axes[0, 0].set_yticks([*range(0, -len(names), -1), -len(names) - 0.25], [*names, "mean over cells"])
        axes[0, 0].tick_params(axis="y", labelcolor=INK, labelsize=8.5)
    return canvas_figure


def pnl_figure(by_level: Mapping[str, Mapping[str, Interval]], lever: str) -> "Figure":
    """Return profit and loss by class: a row per class, a marker per level of the lever.

    Parameters
    ----------
    by_level : mapping of level label to mapping of class to Interval [quote]
    lever : str
        Short name of the lever.
    """
    classes = list(next(iter(by_level.values())))
    scale = display_scale("quote", [one.estimate for group in by_level.values() for one in group.values()])
    with style():
        canvas_figure, axes = new_figure(8.6, 0.34 * len(classes) + 0.95)
        panel: Axes = axes[0, 0]
        panel.grid(axis="x")
        panel.grid(axis="y", visible=False)
        panel.axvline(0.0, color="#8a949c", linewidth=0.9)
        panel.spines["left"].set_visible(False)
        offsets = np.linspace(0.16, -0.16, len(by_level)) if len(by_level) > 1 else np.zeros(1)
        for series, (label, group) in enumerate(by_level.items()):
            colour = PALETTE[series % len(PALETTE)]
            for row, name in enumerate(classes):
                _whisker(panel, -row + offsets[series], group[name], scale, colour, MARKERS[series], filled=True)
            panel.plot([], [], color=colour, marker=MARKERS[series], linestyle="none", markersize=5,
                       label=f"{lever} = {label}" if lever else label)
        panel.set_yticks(range(0, -len(classes), -1), [name.replace("_", ", ") for name in classes])
        panel.tick_params(axis="y", labelcolor=INK, labelsize=8.5)
        panel.set_ylim(-len(classes) + 0.4, 0.6)
        axis_title(panel, "Profit and loss", scale.unit)
        if len(by_level) > 1:
            panel.legend(loc="lower left", bbox_to_anchor=(0.42, 1.0), ncols=len(by_level), fontsize=8.5,
                         handletextpad=0.2, columnspacing=1.2, borderaxespad=0.1)
    return canvas_figure


def _values(runs: pd.DataFrame, column: str | None) -> list[Any]:
    return [cell[column] for cell, _ in cells(runs, (column,))] if column else [None]


def _draw_lines(
    axes: "Axes", part: pd.DataFrame, layout: Layout, lines: Sequence[Any], outcome: str, scale: Scale, level: float
) -> None:
    numeric = all(isinstance(value, int | float | np.number) for value in layout.levels)
    places = np.array(layout.levels, float) if numeric else np.arange(len(layout.levels), dtype=float)
    width = float(places.max() - places.min()) if len(places) > 1 else 1.0
    for series, line in enumerate(lines):
        chosen = part if line is None else part[part[layout.line] == line]
        found = [mean_interval(chosen.loc[chosen[layout.lever] == value, outcome], level) for value in layout.levels]
        shifted = places + (series - (len(lines) - 1) / 2.0) * 0.012 * width  # so that bars stay apart
        centre = np.array([one.estimate for one in found]) * scale.factor
        reach = np.array([one.high - one.estimate for one in found]) * scale.factor
        colour, marker = PALETTE[series % len(PALETTE)], MARKERS[series % len(MARKERS)]
        axes.plot(shifted, centre, color=colour, marker=marker, markersize=4.2, markeredgecolor="white",
                  markeredgewidth=0.5, gid=f"line-{series}")
        axes.errorbar(shifted, centre, yerr=np.nan_to_num(reach), fmt="none", ecolor=colour, elinewidth=1.2, capsize=0)
    axes.margins(x=0.06)
    if len(places) <= MAX_TICKS or not numeric:
        axes.set_xticks(places, [value_text(value) for value in layout.levels])


def _label_lines(axes: "Axes", lines: Sequence[Any]) -> None:
    """Name every line at the right end of the last column."""
    if len(lines) < 2:
        return
    drawn = {line.get_gid(): line for line in axes.get_lines()}
    ends = []
    for series, value in enumerate(lines):
        heights = np.asarray(drawn[f"line-{series}"].get_ydata(), float)
        finite = heights[np.isfinite(heights)]
        if len(finite):
            ends.append((float(finite[-1]), value_text(value), PALETTE[series % len(PALETTE)]))
    direct_labels(axes, ends)


def _whisker(
    axes: "Axes", height: float, interval: Interval, scale: Scale, colour: str, marker: str, filled: bool = False
) -> None:
    """Draw one estimate with its interval as a horizontal line."""
    if math.isnan(interval.estimate):
        axes.annotate("n/a", xy=(0.0, height), fontsize=8, color=GREY, va="center")
        return
    bounds = np.array([interval.low, interval.high]) * scale.factor
    if np.isfinite(bounds).all():
        axes.plot(bounds, [height, height], color=colour, linewidth=1.4)
    axes.plot(
        [interval.estimate * scale.factor], [height], marker=marker, markersize=5.4, linestyle="none", color=colour,
        markerfacecolor=colour if filled or interval.sign else "white", markeredgecolor=colour,
    )

