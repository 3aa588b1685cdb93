"""Results of validation as a text table, a Markdown page, JSON and figures."""

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from spirals.scenarios.validation.case import Panel, Row
from spirals.scenarios.validation.runner import CaseResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["as_json", "case_figure", "markdown", "number", "text_table"]

HEAD = ("quantity", "measured", "s.e.", "expected", "band", "")
PANELS_PER_ROW = 2


def number(value: float) -> str:
    """Return a number with five digits; a dash where it is not known or does not apply."""
    return "-" if not math.isfinite(value) else f"{value:.5g}"


def band(row: Row) -> str:
    """Return the band of a row, which may be open at one end."""
    if math.isinf(row.high):
        return f">= {number(row.low)}"
    return f"<= {number(row.high)}" if math.isinf(row.low) else f"{number(row.low)} .. {number(row.high)}"


def cells(row: Row) -> tuple[str, ...]:
    """Return the cells of a row."""
    error = "0" if row.standard_error == 0 else number(row.standard_error)
    return (row.quantity, number(row.measured), error, number(row.expected), band(row),
            "pass" if row.passed else "FAIL")


def text_table(results: Sequence[CaseResult]) -> str:
    """Return all rows as columns of text, by case, with a last line that counts."""
    lines: list[str] = []
    table = [HEAD, *(cells(row) for result in results for row in result.rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(HEAD))]

    def aligned(line: Sequence[str]) -> str:
        parts = [line[0].ljust(widths[0]), *(text.rjust(w) for text, w in zip(line[1:5], widths[1:5], strict=True))]
        return "  ".join([*parts, line[5]]).rstrip()

    for result in results:
        lines += [f"{result.case.name}: {result.case.summary()} ({result.seconds:.1f} s)", "  " + aligned(HEAD)]
        lines += ["  " + aligned(cells(row)) for row in result.rows] + [""]
    return "\n".join([*lines, counted(results)])


def counted(results: Sequence[CaseResult]) -> str:
    """Return a sentence: how many rows passed and which cases failed."""
    rows = [row for result in results for row in result.rows]
    failed = [result.case.name for result in results if not result.passed]
    tail = f"; failed: {', '.join(failed)}" if failed else ""
    return f"{sum(row.passed for row in rows)} of {len(rows)} rows in {len(results)} cases passed{tail}"


def markdown(results: Sequence[CaseResult], command: str) -> str:
    """Return the page of the documentation, with the command that makes it; no times, so that it stays the same."""
    lines = [
        "# Validation: theory against measurement", "",
        f"Made by `{command}`. Every expected value is a formula of the case's parameters unless it says *table*; "
        "bands were stated before the measurement.", "", counted(results) + ".", "",
    ]
    for result in results:
        lines += [f"## {result.case.name}", "", result.case.summary(), "", f"Source: {result.case.source}", ""]
        given = ", ".join(f"`{name} = {value}`" for name, value in result.case.values().items())
        lines += [f"Parameters: {given}", ""] if given else []
        lines += ["| quantity | measured | s.e. | expected | band | | formula |", "|---|---|---|---|---|---|---|"]
        for row in result.rows:
            lines.append("| " + " | ".join(text.replace("|", "\\|") for text in (*cells(row), row.formula)) + " |")
        lines.append("")
    return "\n".join(lines)


def as_json(results: Sequence[CaseResult], full: bool, seed: int) -> dict[str, Any]:
    """Return the document of ``--json``; open ends of bands become null."""
    return {
        "full": full, "seed": seed, "passed": all(result.passed for result in results),
        "seconds": {result.case.name: round(result.seconds, 3) for result in results},
        "cases": [dataclasses.asdict(row) for result in results for row in result.rows],
    }


def case_figure(result: CaseResult) -> "Figure":
    """Return the figure of a case: every row in its band, then the panels of the case."""
    from spirals.scenarios.reports.figures import axis_title, new_figure, style

    panels = result.panels
    rows = 1 + math.ceil(len(panels) / PANELS_PER_ROW)
    first = 0.6 + 0.19 * len(result.rows)
    heights = [first, *[2.5] * (rows - 1)]
    with style():
        figure, axes = new_figure(9.2, sum(heights) + 0.4, rows, PANELS_PER_ROW,
                                  gridspec_kw={"height_ratios": heights})
        for spare in axes[0]:
            spare.remove()
        _draw_rows(figure.add_subplot(axes[0, 0].get_gridspec()[0, :]), result.rows)
        below = axes[1:].ravel()
        for place, panel in zip(below, panels, strict=False):
            axis_title(place, panel.title, panel.y)
            _draw_panel(place, panel)
        for spare in below[len(panels):]:
            spare.set_visible(False)
    return figure


def _draw_rows(axes: "Axes", rows: Sequence[Row]) -> None:
    """Draw every measured value in units of its band: 0 is expected, -1 and 1 are the ends."""
    from spirals.scenarios.reports.figures import GREY, PALETTE, axis_title

    for height, row in enumerate(reversed(rows)):
        half = [abs(end - row.expected) for end in (row.low, row.high) if math.isfinite(end)]
        unit = max(half) or max(abs(row.expected), 1.0) * 1e-12
        place = min(max((row.measured - row.expected) / unit, -2.0), 2.0) if math.isfinite(row.measured) else 2.0
        low, high = ((end - row.expected) / unit for end in (row.low, row.high))
        axes.plot([max(low, -2.0), min(high, 2.0)], [height, height], color="#d9dee2", linewidth=5.0)
        axes.plot(place, height, "o", markersize=4, color=PALETTE[0] if row.passed else PALETTE[1])
    axes.axvline(0.0, color=GREY, linewidth=0.7)
    axes.set_yticks(range(len(rows)), [row.quantity for row in reversed(rows)], fontsize=7.0)
    axes.set_xlim(-2.1, 2.1)
    axes.grid(False)
    axis_title(axes, "Measured less expected", "in half-widths of the band (grey); beyond 2 drawn at 2")


def _draw_panel(axes: "Axes", panel: Panel) -> None:
    from spirals.scenarios.reports.figures import GREY, MARKERS, PALETTE

    for number_of, line in enumerate(panel.lines):
        colour = PALETTE[number_of % len(PALETTE)]
        if line.points:
            axes.errorbar(line.x, line.y, yerr=line.errors, fmt=MARKERS[number_of % len(MARKERS)], markersize=4,
                          color=colour, label=line.label, linewidth=0.8)
        else:
            axes.plot(line.x, line.y, color=colour, label=line.label, linewidth=1.2, zorder=1)
    axes.set_xlabel(panel.x, color=GREY)
    if panel.log_x:
        axes.set_xscale("log")
    if panel.log_y:
        axes.set_yscale("log")
    if len(panel.lines) > 1:
        axes.legend(fontsize=7.5)

