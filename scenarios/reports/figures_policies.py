"""Figures of a study of policies: the map of signs, and the effect against the speed of the crash."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spirals.scenarios.analysis.policy_effects import PairedCell
from spirals.scenarios.reports.figures import GREY, INK, PALETTE, axis_title, new_figure, style
from spirals.scenarios.reports.numbers import Scale, plain_name
from spirals.simulation.measures.intervals import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["duration_figure", "shown_depth", "sign_map"]

HIGHER, LOWER, OPEN = "#f3b58d", "#9fc4e4", "#eef0f1"
SMALL = 7.6


def shown_depth(name: object) -> str:
    """Return a depth model as its rows name it: ``SquareRootDepth`` -> "SquareRoot"."""
    return str(name).removesuffix("Depth") or str(name)


def sign_map(
    effects: Mapping[str, Sequence[PairedCell]], scales: Mapping[str, Scale], levels: Mapping[str, Sequence[Any]]
) -> "Figure":
    """Return the effect in every cell: a row of panels per outcome, a column per event.

    In a panel depth models are rows, normalisation and book columns. The number is the effect; orange: its interval
    lies above zero, blue: below, grey: on both sides; hatched: no exogenous path reproduces the bars.
    """
    events, depths = list(levels["event"]), list(levels["depth"])
    pairs = [(normalisation, book) for normalisation in levels["normalisation"] for book in levels["book"]
             if any(_at(cell, normalisation, book) for found in effects.values() for cell in found)]
    width = max(5.2, 1.5 + 0.62 * len(pairs) * len(events))
    height = len(effects) * (0.235 * len(depths) + 0.34) + 0.75
    with style():
        canvas_figure, axes = new_figure(min(width, 14.0), height, len(effects), len(events), sharex=True, sharey=True)
        for row, (outcome, found) in enumerate(effects.items()):
            for column, event in enumerate(events):
                panel = axes[row, column]
                _frame(panel, depths, pairs)
                for cell in found:
                    place = (cell.cell["normalisation"], cell.cell["book"])
                    if cell.cell["event"] == event and place in pairs:
                        _draw_cell(panel, pairs.index(place), depths.index(cell.cell["depth"]), cell, scales[outcome])
                if column == 0:
                    axis_title(panel, plain_name(outcome), scales[outcome].unit)
                if row == 0:
                    panel.annotate(str(event), xy=(1.0, 1.0), xycoords="axes fraction", xytext=(0, 8),
                                   textcoords="offset points", ha="right", fontsize=8.5, color=GREY)
                if row == len(effects) - 1:
                    _name_columns(panel, pairs)
    return canvas_figure


def duration_figure(
    points: Mapping[str, Sequence[tuple[float, float]]],
    bins: Mapping[str, Sequence[tuple[float, float, Interval]]],
    scales: Mapping[str, Scale],
) -> "Figure":
    """Return the effect of pi on each outcome against half-life over duration of the crash, a panel per outcome.

    Parameters
    ----------
    points : mapping of outcome to sequence of (ratio, effect)
        One crash each.
    bins : mapping of outcome to sequence of (lowest ratio, highest ratio, Interval)
    scales : mapping of outcome to Scale
    """
    with style():
        canvas_figure, axes = new_figure(11.2, 2.75, 1, len(points))
        for column, (outcome, found) in enumerate(points.items()):
            panel, factor = axes[0, column], scales[outcome].factor
            panel.set_xscale("log")
            panel.axhline(0.0, color="#8a949c", linewidth=0.9)
            panel.plot([x for x, _ in found], [y * factor for _, y in found], "o", markersize=2.6, color="#b3bcc4")
            for low, high, one in bins[outcome]:
                colour = PALETTE[1] if one.sign > 0 else PALETTE[0] if one.sign < 0 else GREY
                panel.plot([low, high], [one.estimate * factor] * 2, color=colour, linewidth=2.2)
                if math.isfinite(one.low):
                    panel.fill_between([low, high], one.low * factor, one.high * factor, color=colour, alpha=0.18,
                                       linewidth=0)
            axis_title(panel, plain_name(outcome), scales[outcome].unit)
            panel.set_xlabel("half-life / duration of the crash")
            ratios = [x for x, _ in found]
            marks = [mark for mark in (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
                     if min(ratios) * 0.8 <= mark <= max(ratios) * 1.25]
            panel.set_xticks(marks, [f"{mark:g}" for mark in marks])
            panel.minorticks_off()
    return canvas_figure


def _at(cell: PairedCell, normalisation: object, book: object) -> bool:
    return bool(cell.cell["normalisation"] == normalisation and cell.cell["book"] == book)


def _frame(panel: "Axes", depths: Sequence[Any], pairs: Sequence[tuple[Any, Any]]) -> None:
    panel.grid(visible=False)
    panel.set_xlim(0, len(pairs))
    panel.set_ylim(len(depths), 0)
    panel.set_yticks(np.arange(len(depths)) + 0.5, [shown_depth(name) for name in depths])
    panel.tick_params(axis="both", length=0, labelsize=8.0, labelcolor=INK)
    for side in panel.spines.values():
        side.set_visible(False)


def _draw_cell(panel: "Axes", x: int, y: int, cell: PairedCell, scale: Scale) -> None:
    from matplotlib.patches import Rectangle

    one = cell.difference
    colour = {1: HIGHER, -1: LOWER, 0: OPEN}[one.sign]
    hatch = None if cell.fits else "////"
    panel.add_patch(Rectangle((x + 0.02, y + 0.04), 0.96, 0.92, facecolor=colour if cell.fits else "white",
                              edgecolor="#c4cad0" if hatch else "none", hatch=hatch, linewidth=0.0))
    strong = one.sign != 0 and cell.fits
    panel.text(x + 0.5, y + 0.52, _short(one.estimate * scale.factor), ha="center", va="center", fontsize=SMALL,
               color=INK if strong else GREY, fontweight="bold" if strong else "normal")


def _short(value: float) -> str:
    """Return a number with a sign and about three digits, short enough for a cell."""
    if math.isnan(value):
        return "n/a"
    size = abs(value)
    text = f"{size:.0f}" if size >= 99.5 else f"{size:.1f}" if size >= 9.95 else f"{size:.2f}"
    if float(text) == 0.0:
        return "0"
    return ("−" if value < 0 else "+") + text


def _name_columns(panel: "Axes", pairs: Sequence[tuple[Any, Any]]) -> None:
    """Name books below the columns and normalisations below the books."""
    books = {book for _, book in pairs}
    panel.set_xticks(np.arange(len(pairs)) + 0.5, [str(book) if len(books) > 1 else "" for _, book in pairs])
    panel.tick_params(axis="x", labelsize=7.0)
    for normalisation in dict.fromkeys(name for name, _ in pairs):
        here = [k for k, (name, _) in enumerate(pairs) if name == normalisation]
        panel.annotate(str(normalisation).replace("_", " "), xy=((here[0] + here[-1] + 1) / 2.0 / len(pairs), 0.0),
                       xycoords="axes fraction", xytext=(0, -22 if len(books) > 1 else -10),
                       textcoords="offset points", ha="center", va="top", fontsize=7.6, color=INK)
