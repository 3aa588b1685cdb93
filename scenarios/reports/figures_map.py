"""Figure of a stability map: squares, points, the boundary and what is not determined of it."""

import textwrap
from typing import TYPE_CHECKING, Any

from spirals.scenarios.feedback.map_quantities import BOUNDARIES
from spirals.scenarios.feedback.stability_map import StabilityMap, side_of
from spirals.scenarios.inputs.lever_range import LeverRange
from spirals.scenarios.reports.figures import GREY, INK, axis_title, new_figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["map_figure"]

QUANTITIES = {"but_for": "part of the forced flow that forced flow set off",
              "gain": "forced orders set off directly by one unit sold", "closed": "forced part of all that is sold",
              "growth": "growth rate of forced flow, 1/s"}


def map_figure(found: StabilityMap, document: dict[str, Any]) -> "Figure":
    """Return the map: squares in the colour of their mean, the boundary, evaluated points; levers at their values.

    Thin lines: where the lower and the upper ends of the intervals meet the boundary. A hollow point has an interval
    that holds the boundary. Below stand the inputs that are fixed.
    """
    import matplotlib
    from matplotlib.colors import TwoSlopeNorm

    level = BOUNDARIES[found.question.quantity]
    means = [sum(found.points[corner].estimate for corner in square.corners) / 4.0 for square in found.squares]
    reach = max(*(abs(mean - level) for mean in means), 1e-9)
    norm, colours = TwoSlopeNorm(level, level - reach, level + reach), matplotlib.colormaps["RdBu_r"]
    with style():
        figure, axes = new_figure(6.6, 5.2)
        panel = axes[0, 0]
        _squares(panel, found, [colours(norm(mean)) for mean in means])
        for determined in (True, False):
            places = [found.values(place) for place, one in found.points.items()
                      if (side_of(one, level) != 0) == determined]
            panel.plot([x for x, _ in places], [y for _, y in places], "o", markersize=3.6, zorder=4, color=INK,
                       markerfacecolor=INK if determined else "white", markeredgewidth=0.8, linestyle="", clip_on=False)
        for line, width, dashes in (("estimate", 2.0, "-"), ("low", 0.9, (0, (4, 2))), ("high", 0.9, (0, (4, 2)))):
            for x0, y0, x1, y1 in found.boundary_values(line):
                panel.plot((x0, x1), (y0, y1), color=INK, linewidth=width, linestyle=dashes, zorder=3)
        _scale(panel, "x", found.x)
        _scale(panel, "y", found.y)
        panel.grid(False)
        bar = figure.colorbar(matplotlib.cm.ScalarMappable(norm, colours), ax=panel, shrink=0.9, pad=0.02)
        bar.outline.set_visible(False)
        axis_title(panel, f"Stability map: {found.question.quantity}", QUANTITIES[found.question.quantity])
        figure.supxlabel(_fixed(document), fontsize=7.0, color=GREY, x=0.02, ha="left")
    return figure


def _squares(panel: Any, found: StabilityMap, colours: list[Any]) -> None:
    from matplotlib.patches import Rectangle

    for square, colour in zip(found.squares, colours, strict=True):
        (left, low), (right, high) = (found.values(square.corners[k]) for k in (0, 2))
        panel.add_patch(Rectangle((left, low), right - left, high - low, facecolor=colour, edgecolor="white",
                                  linewidth=0.3, zorder=1))


def _scale(panel: Any, side: str, lever: LeverRange) -> None:
    from matplotlib.ticker import FixedLocator, FormatStrFormatter, NullLocator

    getattr(panel, f"set_{side}lim")(min(lever.low, lever.high), max(lever.low, lever.high))
    getattr(panel, f"set_{side}label")(lever.label + (", log scale" if lever.logarithmic else ""), color=GREY)
    if lever.logarithmic:
        getattr(panel, f"set_{side}scale")("log")
        axis = getattr(panel, f"{side}axis")
        axis.set_major_locator(FixedLocator(_round_numbers(lever)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FormatStrFormatter("%.4g"))


def _round_numbers(lever: LeverRange) -> list[float]:
    """Return 1, 2, 5, 10 and so on between the ends, and the ends."""
    low, high = sorted((lever.low, lever.high))
    inside = [digit * 10.0**power for power in range(-12, 13) for digit in (1.0, 2.0, 5.0)]
    return [low, *(value for value in inside if 1.4 * low < value < high / 1.6), high]


def _fixed(document: dict[str, Any]) -> str:
    """Return what is fixed, and what lines and points mean."""
    probe = document["probe"]
    asked = "whole run against twin T1" if probe is None else (
        f"probe {'sells' if probe['side'] < 0 else 'buys'} {100.0 * probe['share']:g} % of open interest at "
        f"{probe['at_seconds']:g} s, {probe['horizon_seconds']:g} s, {probe['branches']} branches")
    given = ", ".join([document["scenario"], *document["overrides"], asked,
                       f"{document['replications']} seeds from {document['seed']}"])
    legend = (f"Bold: boundary at {document['boundary_at']:g}; dashed: of the ends of the 95 % intervals over seeds; "
              "hollow points: side not determined.")
    return "\n".join([*textwrap.wrap(given, 118), legend])
