"""Figure of one run: prices, forced flow, margin rate, liquidity, open interest and losses on one time axis."""

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spirals.scenarios.reports.figures import GREY, INK, PALETTE, axis_title, direct_labels, new_figure, style
from spirals.scenarios.reports.numbers import Scale, display_scale
from spirals.simulation.measures.forced_flow import FORCED_CAUSES
from spirals.simulation.measures.liquidity import BANDS
from spirals.simulation.state import Cause

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["run_figure", "thinned", "time_axis"]

MAX_POINTS = 1500
BLUE, VERMILION, GREEN, PURPLE, OCHRE, INDIGO, SLATE = PALETTE
CAUSE_COLOURS = {
    "liquidation": VERMILION, "call_response": OCHRE, "leverage_target": BLUE, "stop_loss": PURPLE, "adl_hedge": GREEN,
}


def run_figure(
    steps: pd.DataFrame, totals: pd.DataFrame, twins: Mapping[str, pd.DataFrame], opening_seconds: float = 0.0
) -> "Figure":
    """Return the panels of a run whose data are there, one above the other on a common time axis.

    Parameters
    ----------
    steps : DataFrame
        Rows of one instrument, columns as :func:`~spirals.scenarios.results.run_tables.run_tables` names them.
    totals : DataFrame
    twins : mapping of str to DataFrame
        Steps of the twins by name; the mark of T1 (else of the first) is drawn beside the run's.
    opening_seconds : float
        Time of day at the opening [s]; the axis shows UTC when it is not 0, else minutes.
    """
    panels: list[tuple[float, Callable[[Axes], None]]] = [
        (2.3, lambda axes: _prices(axes, steps, twins)),
        (1.35, lambda axes: _flow(axes, steps)),
        (1.35, lambda axes: _rates(axes, steps)),
    ]
    if "volatility" in steps:
        panels.append((1.05, lambda axes: _volatility(axes, steps)))
    if f"depth_bid_{BANDS[-1]}" in steps:
        panels.append((1.35, lambda axes: _depth(axes, steps)))
    if "spread" in steps:
        panels.append((1.05, lambda axes: _spread(axes, steps)))
    if "open_interest" in steps:
        panels.append((1.05, lambda axes: _open_interest(axes, steps)))
    if {"fund", "bad_debt"} <= set(totals):
        panels.append((1.35, lambda axes: _losses(axes, totals)))
    heights = [height for height, _ in panels]
    with style():
        canvas_figure, axes = new_figure(
            9.2, sum(heights) * 1.12 + 0.5, len(panels), 1, sharex=True, gridspec_kw={"height_ratios": heights}
        )
        for (_, draw), panel in zip(panels, axes[:, 0], strict=True):
            draw(panel)
            panel.set_xlim(0.0, float(steps["seconds"].max()))
        time_axis(axes[-1, 0], float(steps["seconds"].max()), opening_seconds)
    return canvas_figure


def thinned(times: np.ndarray, values: np.ndarray, limit: int = MAX_POINTS) -> tuple[np.ndarray, np.ndarray]:
    """Return at most about `limit` points that keep the lowest and the highest value of every stretch."""
    if len(values) <= limit:
        return times, values
    stretches = np.array_split(np.arange(len(values)), limit // 2)
    kept = []
    for rows in stretches:
        part = values[rows]
        if np.isnan(part).all():
            kept.append(rows[0])
        else:
            kept += sorted({rows[int(np.nanargmin(part))], rows[int(np.nanargmax(part))]})
    return times[kept], values[kept]


def _line(axes: "Axes", frame: pd.DataFrame, column: str, colour: str, factor: float = 1.0, **options: Any) -> float:
    """Draw one column; return its last valid value in shown units."""
    values = frame[column].to_numpy(float) * factor
    axes.plot(*thinned(frame["seconds"].to_numpy(float), values), color=colour, **options)
    valid = values[np.isfinite(values)]
    return float(valid[-1]) if len(valid) else 0.0


def _prices(axes: "Axes", steps: pd.DataFrame, twins: Mapping[str, pd.DataFrame]) -> None:
    ends = []
    shown = "T1" if "T1" in twins else next(iter(twins), None)  # more lines would hide one another
    if shown:
        ends.append((_line(axes, twins[shown], "mark", VERMILION, linewidth=1.3), f"mark, twin {shown}", VERMILION))
    drawn: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("mid", "#8aa2b6", {"linewidth": 0.8}),
        ("index", SLATE, {"linewidth": 1.2, "linestyle": (0, (4, 2))}),
        ("mark", BLUE, {"linewidth": 1.7}),
    )
    for column, colour, options in drawn:
        if column in steps:
            ends.append((_line(axes, steps, column, colour, **options), column, colour))
    axis_title(axes, "Price", "quote")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}".replace(",", " "))
    direct_labels(axes, ends, gap=0.1, reach=0.025)


def _flow(axes: "Axes", steps: pd.DataFrame) -> None:
    """Stacked bars per minute: forced sales below zero, forced purchases above."""
    minute = np.ceil(steps["seconds"].to_numpy(float) / 60.0 - 1e-9).clip(1).astype(int) - 1
    names = [Cause.names[cause] for cause in FORCED_CAUSES]
    bars = {
        (side, name): np.bincount(minute, weights=steps[f"{side}_notional_{name}"].to_numpy(float))
        for side in ("sold", "bought") for name in names if f"{side}_notional_{name}" in steps
    }
    scale = display_scale("quote", [float(values.max()) for values in bars.values()])
    centres = (np.arange(int(minute.max()) + 1) + 0.5) * 60.0
    legend: list[tuple[str, Any]] = []
    for sign, side in ((-1.0, "sold"), (1.0, "bought")):
        base = np.zeros(len(centres))
        for name in names:
            values = bars.get((side, name), base) * sign * scale.factor
            if np.any(values):
                drawn = axes.bar(centres, values, width=54.0, bottom=base, color=CAUSE_COLOURS[name], linewidth=0)
                legend += [(name, drawn)] if name not in [known for known, _ in legend] else []
                base = base + values
    axes.axhline(0.0, color="#8a949c", linewidth=0.8)
    axis_title(axes, "Forced flow per minute", f"{scale.unit}; sold below zero, bought above")
    if legend:
        axes.legend([one for _, one in legend], [name.replace("_", " ") for name, _ in legend], loc="upper left",
                    bbox_to_anchor=(1.01, 1.05), fontsize=8.5, handlelength=0.9, handleheight=0.8)


def _rates(axes: "Axes", steps: pd.DataFrame) -> None:
    ends = [
        (_line(axes, steps, column, colour, 100.0), label, colour)
        for column, label, colour in (("initial_rate", "initial", BLUE), ("maintenance_rate", "maintenance", VERMILION))
        if column in steps
    ]
    axes.set_ylim(bottom=0.0)
    axis_title(axes, "Margin rate", "% of notional")
    direct_labels(axes, ends, gap=0.16, reach=0.025)


def _volatility(axes: "Axes", steps: pd.DataFrame) -> None:
    _line(axes, steps, "volatility", INDIGO, 100.0)
    axes.set_ylim(bottom=0.0)
    axis_title(axes, "Volatility that the policy reads", "% per square root of a day")


def _depth(axes: "Axes", steps: pd.DataFrame) -> None:
    """Bid depth above zero, ask depth below, at the narrowest and the widest band."""
    columns = [f"depth_{side}_{band}" for side in ("bid", "ask") for band in (BANDS[0], BANDS[-1])]
    scale = display_scale("quote", [float(steps[name].max()) for name in columns if name in steps])
    ends = []
    for side, sign in (("bid", 1.0), ("ask", -1.0)):
        for band, colour in ((BANDS[-1], "#7fb3a5"), (BANDS[0], GREEN)):
            last = _line(axes, steps, f"depth_{side}_{band}", colour, sign * scale.factor, linewidth=1.1)
            shown = {"10bp": "10 bp", "1pct": "1 %"}.get(band, band)
            ends.append((last, f"{side}, {shown}", GREEN if band == BANDS[0] else "#4f8f80"))
    axes.axhline(0.0, color="#8a949c", linewidth=0.8)
    axis_title(axes, "Depth", f"{scale.unit} within a band of the mid; bids above zero, asks below")
    direct_labels(axes, ends, gap=0.16, reach=0.025)


def _spread(axes: "Axes", steps: pd.DataFrame) -> None:
    from matplotlib.ticker import NullLocator

    frame = steps.assign(relative=steps["spread"] / steps["mid"])
    _line(axes, frame, "relative", PURPLE, 1e4, linewidth=1.0)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    axis_title(axes, "Spread", "bp of the mid, logarithmic; gaps: a side of the book is empty")


def _open_interest(axes: "Axes", steps: pd.DataFrame) -> None:
    opening = float(steps["open_interest"].iloc[0])
    _line(axes, steps, "open_interest", BLUE, 100.0 / opening if opening else 1.0)
    axes.set_ylim(bottom=0.0)
    axis_title(axes, "Open interest", "% of opening, in lots" if opening else "lots")


def _losses(axes: "Axes", totals: pd.DataFrame) -> None:
    frame = totals.assign(paid=np.add.accumulate(totals["bad_debt"].to_numpy(float)))
    largest = [float(frame["fund"].abs().max()), float(frame["paid"].max())]
    scale: Scale = display_scale("quote", largest)
    ends = [
        (_line(axes, frame, "fund", GREEN, scale.factor), "insurance fund", GREEN),
        (_line(axes, frame, "paid", VERMILION, scale.factor), "bad debt, gross", VERMILION),
    ]
    axis_title(axes, "Insurance fund and cumulative bad debt", scale.unit)
    direct_labels(axes, ends, gap=0.16, reach=0.025)


def time_axis(axes: "Axes", last: float, opening_seconds: float) -> None:
    """Set round ticks in UTC when the opening is a time of day, else in minutes or seconds since the opening."""
    widths: Sequence[float] = (10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
    width = next((one for one in widths if last / one <= 9), 86400.0)
    start = -opening_seconds % width if opening_seconds else 0.0
    ticks = np.arange(start, last + 0.5 * width * 1e-6, width)
    if opening_seconds:
        words = [str(datetime.timedelta(seconds=round(opening_seconds + tick) % 86400))[:-3].zfill(5) for tick in ticks]
        axes.set_xlabel("UTC", color=GREY)
    else:
        unit, name = (60.0, "minutes") if width >= 60 else (1.0, "seconds")
        words = [f"{tick / unit:g}" for tick in ticks]
        axes.set_xlabel(f"{name} since the opening", color=GREY)
    axes.set_xticks(ticks, words)
    axes.tick_params(axis="x", labelcolor=INK)
