"""Figure of the loss against a shock, with the critical shock."""

import math
from typing import TYPE_CHECKING, Any

from spirals.scenarios.feedback.critical import Critical
from spirals.scenarios.reports.figures import GREY, INK, PALETTE, axis_title, new_figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["critical_figure"]

BLUE, VERMILION = PALETTE[:2]


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
        unit = f" [{document['shock_unit']}]" if document["shock_unit"] else ""
        below.set_xlabel(document["shock"] + unit, color=GREY)
        if document["range"][1] < document["range"][0]:
            below.invert_xaxis()
        below.set_ylim(-0.03, 1.03)
        given = ", ".join([document["scenario"], *document["overrides"]])
        figure.supxlabel(f"{given}, {document['replications']} seeds from {document['seed']}, the same at every shock",
                         fontsize=7.0, color=GREY, x=0.02, ha="left")
    return figure
