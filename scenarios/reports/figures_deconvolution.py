"""The figure of a deconvolution: bars, simulated price and exogenous path above, the residual of every bar below."""

import io
from typing import TYPE_CHECKING

import numpy as np

from spirals.scenarios.calibration.deconvolution import MATCHED, Deconvolution
from spirals.scenarios.reports.figures import GREY, PALETTE, axis_title, direct_labels, new_figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["deconvolution_figure", "figure_bytes"]

BLUE, VERMILION, GREEN = PALETTE[:3]
HEIGHTS = (2.6, 1.2)


def deconvolution_figure(found: Deconvolution) -> "Figure":
    """Return the figure of one deconvolution; prices in quote, residuals in bp, time in minutes."""
    minutes = np.arange(len(found.exogenous)) * found.record.step_seconds / 60.0
    bar_minutes = found.target.seconds / 60.0
    starts = np.arange(found.target.n_bars) * bar_minutes
    simulated = found.record.price(found.price)
    with style():
        figure, axes = new_figure(9.2, 4.6, 2, 1, sharex=True, gridspec_kw={"height_ratios": HEIGHTS})
        above, below = axes[:, 0]
        _, high, low, close = found.target.price.T
        above.bar(starts, high - low, bar_minutes, bottom=low, align="edge", color="#d9dee2", linewidth=0)
        above.plot(minutes, found.exogenous[:, 0], color=VERMILION, linewidth=1.2)
        above.plot(minutes, simulated, color=BLUE, linewidth=1.0)
        above.hlines(close, starts + 0.5 * bar_minutes, starts + bar_minutes, color="#5b6570", linewidth=0.9)
        axis_title(above, f"Bars, simulated {found.price} and exogenous path",
                   f"quote; {found.depth}, kappa {found.index_feedback:g}, seed {found.seed}")
        direct_labels(above, [(float(found.exogenous[-1, 0]), "exogenous", VERMILION),
                              (float(simulated[-1]), found.price, BLUE)], reach=0.03)
        for column, (name, colour) in enumerate(zip(MATCHED, (GREEN, VERMILION, BLUE), strict=True)):
            below.plot(starts + (0.3 + 0.2 * column) * bar_minutes, found.residual[:, column] * 1e4, ".",
                       markersize=3.5, color=colour, label=name)
        for edge in (-found.tolerance, found.tolerance):
            below.axhline(edge * 1e4, color=GREY, linewidth=0.7, linestyle=(0, (3, 3)))
        axis_title(below, "Residual", "bp, bar less simulation; dashed: tolerance")
        below.legend(loc="upper left", bbox_to_anchor=(1.01, 1.05), fontsize=8.5)
        below.set_xlabel("minutes since the opening", color=GREY)
        below.set_xlim(0.0, float(minutes[-1]))
    return figure


def figure_bytes(figure: "Figure") -> bytes:
    """Return the figure as an SVG file, the same bytes for the same numbers."""
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()
