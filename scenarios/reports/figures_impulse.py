"""Figure of impulse responses: price, margin, depth and forced flow after a sale and after a purchase."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from spirals.scenarios.feedback.impulse import Impulse
from spirals.scenarios.reports.figures import PALETTE, axis_title, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["impulse_figure"]

BLUE, VERMILION = PALETTE[:2]
TALLEST = 2.0   # of the panel of depth: where a book was nearly empty without the probe, ratios know no bounds
ROUNDING = 1e-12   # a difference of rounding is none
FLAT = 1e-6     # of an axis: nothing moved, and its ticks would be rounding
COLOURS = {"sell": BLUE, "buy": VERMILION}
PANELS = (("mark", "Mark", "bp"), ("initial_rate", "Initial rate", "bp of notional"),
          ("depth", "Depth within 1 %", "× that without, cut at 2"),
          ("forced", "Forced orders", "per unit of the probe"))


def impulse_figure(found: Sequence[Impulse]) -> "Figure":
    """Return one row of panels per moment, a line per side, bands of two standard errors; `found` is not empty."""
    moments = list(dict.fromkeys(one.at_seconds for one in found))
    with style():
        canvas, axes = new_figure(11.2, 0.5 + 2.1 * len(moments), len(moments), len(PANELS), sharex=True,
                                  sharey="col")
        for row, at in enumerate(moments):
            for column, (name, title, unit) in enumerate(PANELS):
                panel = axes[row, column]
                for one in found:
                    if one.at_seconds == at:
                        _line(panel, one, name)
                panel.axhline(1.0 if name == "depth" else 0.0, color="#9aa3ab", linewidth=0.7, zorder=1)
                if name == "depth":
                    panel.set_ylim(0.0, TALLEST)
                if row == 0:
                    axis_title(panel, title, unit)
                if row == len(moments) - 1:
                    panel.set_xlabel("seconds since the probe began")
            axes[row, 0].set_ylabel(f"at {at / 60.0:.3g} min")
        for panel in axes[0]:   # rows share their axis
            low, high = panel.get_ylim()
            if high - low < FLAT:
                panel.set_ylim(-1.0, 1.0)
        axes[0, -1].legend(loc="upper left", fontsize=8.5, title="probe", title_fontsize=8.5)
    return canvas


def _line(panel: "Axes", one: Impulse, name: str) -> None:
    mean, error = one.mean[name], np.nan_to_num(2.0 * one.error[name])
    lines = [mean, mean - error, mean + error]
    if name == "depth":
        lines = [np.exp(line) for line in lines]
    else:
        factor = 1.0 / one.size if name == "forced" else 1e4
        lines = [np.where(np.abs(line) < ROUNDING, 0.0, factor * line) for line in lines]
    middle, low, high = lines
    panel.plot(one.seconds, middle, color=COLOURS[one.side], label=one.side, zorder=3)
    panel.fill_between(one.seconds, low, high, color=COLOURS[one.side], alpha=0.16, linewidth=0, zorder=2)
