"""Figures of a family tree of liquidations, and of the stability margin along the path."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spirals.scenarios.reports.figures import GREY, INK, PALETTE, axis_title, new_figure, style
from spirals.scenarios.reports.figures_run import thinned, time_axis
from spirals.simulation.measures.branching import survival
from spirals.simulation.measures.genealogy import Genealogy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["family_figure", "stability_figure"]

BLUE, VERMILION, GREEN, PURPLE, OCHRE, INDIGO, SLATE = PALETTE
CAUSES = (("shock", "shock", SLATE), ("liquidations", "earlier liquidations", VERMILION),
          ("other_forced", "other forced", OCHRE), ("withdrawal", "thinner book", PURPLE),
          ("margin", "margin rate", BLUE), ("funding", "funding", INDIGO), ("own", "own", GREEN))
MAX_BARS = 16


def family_figure(family: Genealogy, step_seconds: float, window: float, floor: float) -> "Figure":
    """Return generations, tree sizes and causes by time of a family with at least one event."""
    with style():
        canvas_figure, axes = new_figure(11.2, 2.9, 1, 3, gridspec_kw={"width_ratios": (1.0, 1.0, 1.35)})
        _generations(axes[0, 0], family)
        _trees(axes[0, 1], family)
        _causes(axes[0, 2], family, step_seconds, window, floor)
    return canvas_figure


def stability_figure(
    rows: pd.DataFrame, steps: pd.DataFrame, peak: float, opening_seconds: float
) -> "Figure":
    """Return the stability margin at its points, above the log mark."""
    with style():
        canvas_figure, axes = new_figure(9.2, 2.8)
        panel = axes[0, 0]
        back = panel.twinx()
        back.grid(False)
        own = steps[steps["instrument"] == steps["instrument"].iloc[0]]
        back.plot(*thinned(own["seconds"].to_numpy(float), own["mark"].to_numpy(float)), color="#b9c0c6", linewidth=1.0)
        back.set_yticks([])
        back.spines["right"].set_visible(False)
        panel.set_zorder(back.get_zorder() + 1)
        panel.axhline(0.0, color=VERMILION, linewidth=0.9)
        panel.axvline(peak, color=GREY, linewidth=0.9, linestyle=(0, (4, 3)))
        x = rows["seconds"].to_numpy(float)
        centre = rows["margin"].to_numpy(float)
        low, high = 1.0 - rows["opened_high"].to_numpy(float), 1.0 - rows["opened_low"].to_numpy(float)
        panel.vlines(x, low, high, color=BLUE, linewidth=1.3)
        panel.plot(x, centre, color=BLUE, marker="o", markersize=4.5, markeredgecolor="white", markeredgewidth=0.5)
        panel.set_xlim(0.0, float(steps["seconds"].max()))
        bottom, top = min(float(centre.min()), 0.0), max(float(centre.max()), 1.0)
        panel.set_ylim(bottom - 0.25 * (top - bottom), top + 0.12 * (top - bottom))   # wide bars may leave the panel
        panel.annotate("zero: a sale sets off a sale of its own size", xy=(1.0, 0.0), xytext=(-4, 3),
                       xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=8, color=VERMILION,
                       ha="right")
        axis_title(panel, "Stability margin", "1 − n, open loop; grey: mark")
        time_axis(panel, float(steps["seconds"].max()), opening_seconds)
    return canvas_figure


def _generations(axes: "Axes", family: Genealogy) -> None:
    counts = family.generations()
    shown = counts[:MAX_BARS]
    axes.bar(np.arange(len(shown)), shown, width=0.72, color=BLUE, linewidth=0)
    ratios = family.generation_ratios()
    for place, (count, ratio) in enumerate(zip(shown[1:9], ratios, strict=False), start=1):
        axes.annotate(f"{ratio:.2f}", xy=(place, count), xytext=(0, 3), textcoords="offset points", ha="center",
                      fontsize=7.5, color=INK)
    axes.set_xticks(range(len(shown)))
    axes.set_xlabel("generation" + (f" (of {len(counts)})" if len(counts) > MAX_BARS else ""))
    axes.margins(y=0.12)
    axis_title(axes, "Liquidations by generation", "with the ratio")


def _trees(axes: "Axes", family: Genealogy) -> None:
    from scipy.special import gammaln

    sizes = family.tree_sizes()
    values, share = survival(sizes)
    axes.plot(values, share, color=VERMILION, marker="o", markersize=3.5, linestyle="none")
    n = 1.0 - len(sizes) / float(sizes.sum())
    if n > 0.0:
        support = np.arange(1.0, max(float(values[-1]) * 2.0, 4.0))
        law = np.exp(-n * support + (support - 1.0) * np.log(n * support) - gammaln(support + 1.0))
        axes.plot(support, 1.0 - np.concatenate([[0.0], np.cumsum(law)[:-1]]), color=GREY, linewidth=1.1)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(0.6 / len(sizes), 1.4)
    axes.set_xticks([size for size in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if size <= 2 * values[-1]])
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("liquidations in the tree")
    axes.minorticks_off()
    axis_title(axes, "Trees at least as large", "share; grey: Borel")


def _causes(axes: "Axes", family: Genealogy, step_seconds: float, window: float, floor: float) -> None:
    """Stack the mean shares per window by time; windows with too little notional are left out."""
    rows = family.events
    place = (rows["step"] * step_seconds // window).astype(np.int64)
    place -= int(place.min())
    weight = np.bincount(place, rows["notional"])
    kept = np.flatnonzero(weight > floor * weight.sum())
    first = int(rows["step"].min()) * step_seconds // window
    base = np.zeros(len(kept))
    for name, label, colour in CAUSES:
        values = (np.bincount(place, rows["notional"] * rows[name]) / np.where(weight > 0.0, weight, 1.0))[kept]
        if np.any(np.abs(values) > 0.0005):
            axes.bar((kept + first) * window / 60.0 + 0.5 * window / 60.0, values, width=0.86 * window / 60.0,
                     bottom=base, color=colour, linewidth=0, label=label)
            base = base + values
    axes.set_ylim(0.0, 1.0)
    axes.set_xlabel("minutes since the opening")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.03), fontsize=8, handlelength=0.9, handleheight=0.8)
    axis_title(axes, "Causes by minute", "share of notional")
