"""The figure of an event fit: every moment, simulated less observed, in joint standard errors."""

from typing import TYPE_CHECKING, Any

from spirals.scenarios.calibration.event_fit import MATCHED
from spirals.scenarios.reports.figures import GREY, PALETTE, axis_title, new_figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["moments_figure"]

BLUE, VERMILION, GREEN = PALETTE[:3]
FURTHEST = 8.0   # standard errors shown; what is further stands at the edge


def moments_figure(document: dict[str, Any]) -> "Figure":
    """Return one row per moment: at the start, fitted, and as predicted for the other event."""
    layers = [("start", document["before"], GREY), (f"fitted, {document['scenario']}", document["after"], BLUE)]
    if document["transfer"]:
        layers.append((f"predicted, {document['transfer']['scenario']}", document["transfer"], VERMILION))
    names: list[str] = []
    for _, scores, _ in layers:
        names += [row["name"] for row in scores["moments"] if row["use"] != "construction" and row["name"] not in names]
    with style():
        figure, axes = new_figure(7.6, 0.6 + 0.34 * len(names), 1, 1)
        axis = axes[0, 0]
        axis.axvspan(-MATCHED, MATCHED, color="#e8edf1", linewidth=0)
        axis.axvline(0.0, color=GREY, linewidth=0.7)
        for shift, (label, scores, colour) in zip((0.22, 0.0, -0.22), layers, strict=False):
            rows = [row for row in scores["moments"] if row["name"] in names]
            axis.plot([min(max(row["distance"], -FURTHEST), FURTHEST) for row in rows],
                      [len(names) - 1 - names.index(row["name"]) + shift for row in rows], "o", markersize=4.5,
                      color=colour, label=label)
        axis.set_yticks(range(len(names)), names[::-1])
        axis.set_xlim(-FURTHEST - 0.4, FURTHEST + 0.4)
        axis_title(axis, "Moments, simulated less observed",
                   "joint standard errors; shaded: matched; at the edge: further")
        axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8.5)
    return figure
