"""Figure of an attribution over the cells of a study: what the spiral added to the shock, stacked by channel."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from spirals.scenarios.reports.figures import GREY, INK, PALETTE, axis_title, new_figure, style
from spirals.scenarios.reports.numbers import Scale, display_scale, format_number
from spirals.simulation.measures.catalogue import unit_of
from spirals.simulation.measures.intervals import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["CHANNEL_COLOURS", "CHANNEL_LABELS", "attribution_figure"]

BLUE, VERMILION, GREEN, PURPLE, OCHRE, INDIGO, SLATE = PALETTE
CHANNEL_COLOURS = {"direct": SLATE, "mark": VERMILION, "margin": BLUE, "depth": OCHRE, "index": GREEN,
                   "funding": PURPLE, "hedge": INDIGO}
CHANNEL_LABELS = {
    "direct": "direct impact", "mark": "mark: loss spiral", "margin": "volatility → margin: margin spiral",
    "depth": "volatility → depth: makers withdraw", "index": "index keeps part of the impact",
    "funding": "basis → funding", "hedge": "hedges restored after auto-deleveraging",
}
TITLES = {"drawdown_mark": "Excess drawdown", "forced_notional": "Excess forced notional",
          "bad_debt_gross": "Excess gross bad debt"}
Cells = Mapping[str, Mapping[str, Interval]]


def attribution_figure(
    outcomes: Mapping[str, Cells], totals: Mapping[str, Mapping[str, Interval]], channels: Sequence[str]
) -> "Figure":
    """Return a panel per outcome with a row per cell: channels as whiskers, one below the other, their sum beside.

    Parameters
    ----------
    outcomes : mapping of outcome to mapping of cell to mapping of level to Interval
        With the levels "shock", "direct" and the channels.
    totals : mapping of outcome to mapping of cell to Interval
        Everything but the shock.
    channels : sequence of str
    """
    names = ("direct", *channels)
    cells = list(next(iter(outcomes.values())))
    with style():
        height = 0.155 * len(names) * len(cells) + 0.28 * len(cells) + 1.35
        canvas_figure, axes = new_figure(11.2, height, 1, len(outcomes), sharey=True)
        for panel, (outcome, found) in zip(axes[0], outcomes.items(), strict=True):
            scale = display_scale(unit_of(outcome), [one.estimate for one in totals[outcome].values()])
            _panel(panel, found, totals[outcome], names, scale)
            axis_title(panel, TITLES.get(outcome, outcome.replace("_", " ")), f"{scale.unit}, over twin T1")
            _shocks(panel, found, scale)
        axes[0, 0].set_yticks(range(0, -len(cells), -1), cells)
        axes[0, 0].tick_params(axis="y", labelcolor=INK, labelsize=9.0)
        axes[0, 0].set_ylim(-len(cells) + 0.5, 0.62)
        _legend(canvas_figure, axes[0, 0], names)
    return canvas_figure


def _panel(panel: "Axes", found: Cells, totals: Mapping[str, Interval], names: Sequence[str], scale: Scale) -> None:
    panel.grid(axis="x")
    panel.grid(axis="y", visible=False)
    panel.axvline(0.0, color="#8a949c", linewidth=0.9)
    panel.spines["left"].set_visible(False)
    offsets = np.linspace(0.30, -0.36, len(names) + 1)
    thick = 0.6 / (len(names) + 1)
    for row, (cell, levels) in enumerate(found.items()):
        if row:
            panel.axhline(-row + 0.5, color="#e3e6e8", linewidth=0.7)
        start = 0.0   # a waterfall: each channel begins where the one before ended
        for offset, name in zip(offsets, names, strict=False):
            one, colour = levels[name], CHANNEL_COLOURS.get(name, GREY)
            value = one.estimate * scale.factor
            panel.barh(-row + offset, value, left=start, height=thick, color=colour, linewidth=0)
            below = -row + offset - (offsets[0] - offsets[1])   # a thin line leads down to where the next begins
            panel.plot([start + value] * 2, [-row + offset, below], color="#9aa3ab", linewidth=0.6, zorder=0.9)
            reach = np.array([one.low, one.high]) * scale.factor
            if np.isfinite(reach).all():
                panel.plot(start + reach, [-row + offset] * 2, color=INK, linewidth=0.9, solid_capstyle="butt")
            start += value
        total = totals[cell]
        bounds = np.array([total.low, total.high]) * scale.factor
        panel.plot(bounds, [-row + offsets[-1]] * 2, color=INK, linewidth=1.5)
        panel.plot([total.estimate * scale.factor], [-row + offsets[-1]], marker="D", markersize=4.8, color=INK,
                   linestyle="none")


def _shocks(panel: "Axes", found: Cells, scale: Scale) -> None:
    """Write the level of the shock beside every cell: drawn, it would dwarf the rest."""
    unit = {"log-%": " log-%", "million quote": " M", "billion quote": " B"}.get(scale.unit, "")
    for row, levels in enumerate(found.values()):
        text = format_number(levels["shock"].estimate * scale.factor)
        panel.annotate(f"shock {text}{unit}", xy=(1.0, -row + 0.36), xycoords=("axes fraction", "data"), ha="right",
                       va="center", fontsize=7.8, color=GREY)


def _legend(canvas_figure: "Figure", panel: "Axes", names: Sequence[str]) -> None:
    handles = [panel.bar([np.nan], [np.nan], color=CHANNEL_COLOURS.get(name, GREY)) for name in names]
    handles.append(panel.plot([], [], marker="D", markersize=4.8, color=INK, linewidth=1.5)[0])
    labels = [*(CHANNEL_LABELS.get(name, name.replace("_", " ")) for name in names), "all of it"]
    canvas_figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8.5, handlelength=1.1,
                         handleheight=0.8, columnspacing=1.8)
