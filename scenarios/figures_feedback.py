"""Figures of feedback: the loss against a shock with its critical value, and the stability map."""

import math
from typing import TYPE_CHECKING, Any

from spirals.scenarios.critical import Critical
from spirals.scenarios.figures import GREY, INK, PALETTE, axis_title, new_figure, style
from spirals.scenarios.stability_map import BOUNDARIES, StabilityMap

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["critical_figure", "map_figure"]

BLUE, VERMILION = PALETTE[:2]
QUANTITIES = {"gain": "forced orders set off directly by one unit sold", "closed": "forced part of all that is sold",
              "growth": "growth rate of forced flow, 1/s"}


def critical_figure(found: Critical, document: dict[str, Any]) -> "Figure":
    """Return mean loss above and the probability of too much below, against the shock; bars are 95 % intervals."""
    shocks = [point.value for point in found.curve]
    with style():
        figure, axes = new_figure(6.4, 4.4, 2, 1, sharex=True)
        above, below = axes[:, 0]
        for panel, name, colour in ((above, "loss", BLUE), (below, "exceeds", VERMILION)):
            parts = [getattr(point, name) for point in found.curve]
            middle = [part.estimate for part in parts]
            low = [max(0.0, part.estimate - part.low) for part in parts]
            high = [max(0.0, part.high - part.estimate) for part in parts]
            panel.errorbar(shocks, middle, yerr=[low, high], color=colour, marker="o", markersize=3.2, linewidth=1.2,
                           elinewidth=0.8, capsize=0)
            panel.axvline(found.estimate, color=INK, linewidth=0.9)
            last = document["range"][1] if math.isnan(found.high) else found.high
            panel.axvspan(found.low, last, color="#eef0f1", zorder=0)
        above.axhline(document["tolerance"], color=GREY, linewidth=0.7, linestyle=(0, (3, 3)))
        below.axhline(document["probability"], color=GREY, linewidth=0.7, linestyle=(0, (3, 3)))
        axis_title(above, f"Mean {document['loss']}", f"{document['unit']}; dashed: tolerance")
        axis_title(below, "Probability of a loss beyond the tolerance", f"line: critical shock {found.estimate:.4g}; "
                   "band: its interval")
        below.set_xlabel(document["shock"], color=GREY)
        if document["range"][1] < document["range"][0]:
            below.invert_xaxis()
        below.set_ylim(-0.03, 1.03)
    return figure


def map_figure(found: StabilityMap) -> "Figure":
    """Return the map: squares in the colour of their mean, the boundary, evaluated points; levers at their values.

    A hollow point has an interval that holds the boundary.
    """
    import matplotlib
    from matplotlib.colors import TwoSlopeNorm
    from matplotlib.patches import Rectangle
    from matplotlib.ticker import LogFormatter

    level = BOUNDARIES[found.question.quantity]
    means = [sum(found.points[corner].estimate for corner in square.corners) / 4.0 for square in found.squares]
    reach = max(*(abs(mean - level) for mean in means), 1e-9)
    norm = TwoSlopeNorm(level, level - reach, level + reach)
    with style():
        figure, axes = new_figure(6.2, 4.6)
        panel = axes[0, 0]
        colours = matplotlib.colormaps["RdBu_r"]
        for square, mean in zip(found.squares, means, strict=True):
            (left, low), (right, high) = (found.values(square.corners[k]) for k in (0, 2))
            panel.add_patch(Rectangle((left, low), right - left, high - low, facecolor=colours(norm(mean)),
                                      edgecolor="white", linewidth=0.3, zorder=1))
        for decided in (True, False):
            places = [found.values(place) for place, one in found.points.items()
                      if (one.low > level or one.high < level) == decided]
            panel.plot([x for x, _ in places], [y for _, y in places], "o", markersize=2.1, zorder=4, color=INK,
                       markerfacecolor=INK if decided else "white", markeredgewidth=0.6, linestyle="", clip_on=False)
        for x0, y0, x1, y1 in found.boundary_values():
            panel.plot((x0, x1), (y0, y1), color=INK, linewidth=1.8, zorder=3)
        for lever, side in ((found.x, "x"), (found.y, "y")):
            if lever.logarithmic:
                getattr(panel, f"set_{side}scale")("log")
                axis = getattr(panel, f"{side}axis")
                axis.set_major_formatter(LogFormatter())
                axis.set_minor_formatter(LogFormatter(labelOnlyBase=False, minor_thresholds=(2.0, 0.5)))
            getattr(panel, f"set_{side}lim")(min(lever.low, lever.high), max(lever.low, lever.high))
            getattr(panel, f"set_{side}label")(lever.path, color=GREY)
        panel.grid(False)
        bar = figure.colorbar(matplotlib.cm.ScalarMappable(norm, colours), ax=panel, shrink=0.9, pad=0.02)
        bar.outline.set_visible(False)
        axis_title(panel, f"Stability map: {found.question.quantity}",
                   f"{QUANTITIES[found.question.quantity]}; line: {level:g}")
    return figure
