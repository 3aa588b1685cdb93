"""Common look of the figures: colour-blind-safe palette, light axes, direct labels, SVG with real text."""

import io
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "GREY", "INK", "MARKERS", "PALETTE", "RULE", "axis_title", "direct_labels", "new_figure", "rendered", "style",
    "to_svg",
]

# Okabe and Ito's set, darkened where needed for lines on white (contrast at least 3 : 1).
PALETTE = ("#0b5fa5", "#c8500a", "#00795c", "#a3427f", "#7a5b00", "#3f3f9f", "#5c6670")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
INK, GREY, RULE = "#1c2024", "#5b6570", "#e3e6e8"

SETTINGS = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.color": INK,
    "axes.edgecolor": "#9aa3ab",
    "axes.labelcolor": GREY,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": 8.5,
    "axes.formatter.use_mathtext": False,
    "axes.formatter.limits": (-4, 6),
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.0,
    "xtick.major.size": 3.0,
    "ytick.major.size": 0.0,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "liquidation-spirals",
    "path.simplify": True,
    "path.simplify_threshold": 0.3,
}


def style() -> AbstractContextManager[None]:
    """Return a context in which figures take the common look; global settings are left alone."""
    import matplotlib

    return matplotlib.rc_context(SETTINGS)


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple["Figure", Any]:
    """Return a figure without a window, and its axes as an array of shape (rows, columns).

    `width` and `height` in inches at 96 px; call inside :func:`style`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    canvas_figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(canvas_figure)
    canvas_figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06, wspace=0.04, hspace=0.05)
    return canvas_figure, canvas_figure.subplots(rows, columns, squeeze=False, **options)


def to_svg(canvas_figure: "Figure") -> str:
    """Return the figure as an SVG element for an HTML page: real text, no prologue, no address."""
    buffer = io.StringIO()
    with style():  # the writer reads the settings again
        canvas_figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg"):]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text)
    text = text.replace("xlink:href", "href")
    # The page sets width and height; the view box keeps the proportions.
    return re.sub(r'(<svg[^>]*?)\swidth="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?)\sheight="[^"]*"', r"\1", text))


def rendered(canvas_figure: "Figure", file: Any, dots_per_inch: int = 150) -> None:
    """Write the figure as PNG on white."""
    canvas_figure.savefig(file, format="png", dpi=dots_per_inch, facecolor="white")


def axis_title(axes: "Axes", title: str, unit: str = "") -> None:
    """Set a title flush left above the axes, with the unit in grey behind it."""
    drawn = axes.set_title(title, loc="left", pad=8)
    if unit:
        axes.annotate(
            unit, xy=(1.0, 0.0), xycoords=drawn, xytext=(6, 0), textcoords="offset points", va="bottom", ha="left",
            fontsize=8.0, color=GREY, annotation_clip=False,
        )


def direct_labels(
    axes: "Axes", ends: Sequence[tuple[float, str, str]], gap: float = 0.085, reach: float = 0.075
) -> None:
    """Write labels to the right of the axes at the heights of their lines, moved apart where they would touch.

    Parameters
    ----------
    ends : sequence of (y, label, colour)
        Heights in data units.
    gap : float
        Least distance of two labels as a fraction of the height of the axes.
    reach : float
        Distance of the labels from the axes as a fraction of their width.
    """
    low, high = axes.get_ylim()
    order = sorted(range(len(ends)), key=lambda k: (ends[k][0], -k))
    places = [(ends[k][0] - low) / (high - low) for k in order]
    for k in range(1, len(places)):
        places[k] = max(places[k], places[k - 1] + gap)
    for k in range(len(places) - 1, -1, -1):
        places[k] = min(places[k], places[k + 1] - gap if k + 1 < len(places) else 1.0)
    for place, k in zip(places, order, strict=True):
        height, label, colour = ends[k]
        axes.annotate(
            label, xy=(1.0, (height - low) / (high - low)), xytext=(1.0 + reach, place), xycoords="axes fraction",
            textcoords="axes fraction", va="center", ha="left", fontsize=8.5, color=colour, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 2,
                        "relpos": (0.0, 0.5)},
        )
