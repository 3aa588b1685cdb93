"""Attribution in the report of a study: levels by cell, readings beside them, and what pairing bought."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from spirals.scenarios.analysis.attribution_effects import channel_readings, level_intervals, spiral_total, twin_pairing
from spirals.scenarios.analysis.effects import Layout, cells
from spirals.scenarios.reports.attribution import CONVENTION, READINGS, spelled
from spirals.scenarios.reports.figures import to_svg
from spirals.scenarios.reports.figures_attribution import attribution_figure
from spirals.scenarios.reports.figures_study import value_text
from spirals.scenarios.reports.html import details, figure, paragraph, table
from spirals.scenarios.reports.numbers import display_scale, format_number, interval_column, plain_name, short_name
from spirals.scenarios.reports.study_tables import LEVEL, amplification
from spirals.scenarios.runs.attribution import ATTRIBUTED
from spirals.scenarios.runs.attribution_columns import LEVELS, level_column
from spirals.simulation.measures.catalogue import COMPARED, unit_of
from spirals.simulation.measures.intervals import Interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FIGURED", "cells_figure", "study_attribution_body", "study_cells_of", "twin_pairing_body"]

FIGURED = ("drawdown_mark", "forced_notional")
MAX_ROWS, MAX_LISTED = 12, 30   # cells in the figure, and cells that are listed without being asked
PAIRING = (
    "Run and twin T1 share their draws. The ratio is the variance of their difference with independent runs over its "
    "variance with paired ones, per cell: 1 means that pairing bought nothing, 10 that independent runs would have to "
    "be ten times as many, below 1 that it hurt. Near instability (large amplification) two runs with the same draws "
    "go their own ways and pairing buys little."
)


def study_cells_of(done: pd.DataFrame, layout: Layout) -> list[tuple[str, pd.DataFrame]]:
    """Return every cell of the design, levels of the lever included, with its label and its runs."""
    design = (*layout.cell_columns, *((layout.lever,) if layout.lever else ()))
    varied = [name for name in design if done[name].nunique(dropna=False) > 1]
    alone = len(varied) == 1
    return [(", ".join(value_text(cell[name]) if alone or isinstance(cell[name], str)
                       else f"{short_name(name)} {value_text(cell[name])}" for name in varied) or "all runs", part)
            for cell, part in cells(done, varied) if len(part)]


def study_attribution_body(done: pd.DataFrame, layout: Layout, channels: Sequence[str]) -> str:
    """Return the section on attribution as HTML: figure, levels of every outcome, readings."""
    found = study_cells_of(done, layout)
    parts = []
    if len(found) <= MAX_ROWS:
        parts.append(figure(
            to_svg(cells_figure(found, channels)), "What each channel added to the shock.",
            "Means over replications; each bar begins where the one before ended. Lines: 95 % Student intervals, "
            "paired by replication. Diamond: everything but the shock.", "Attribution by channel over cells"))
    parts.append(paragraph(CONVENTION))
    outcomes = [name for name in ATTRIBUTED if level_column(name, "shock") in done]
    parts += [_levels(found, outcome, channels) for outcome in outcomes if outcome in FIGURED]
    rest = "".join(_levels(found, outcome, channels) for outcome in outcomes if outcome not in FIGURED)
    readings = "".join(_readings(found, outcome, channels) for outcome in FIGURED)
    return "".join([*parts, details("Further outcomes", rest), "<h3>Without the convention</h3>",
                    paragraph(READINGS), readings])


def cells_figure(found: Sequence[tuple[str, pd.DataFrame]], channels: Sequence[str]) -> "Figure":
    """Return the figure over cells: means by channel with paired intervals over replications."""
    levels = {outcome: {label: level_intervals(part, outcome, channels, LEVEL) for label, part in found}
              for outcome in FIGURED}
    totals = {outcome: {label: spiral_total(part, outcome, channels, LEVEL) for label, part in found}
              for outcome in FIGURED}
    return attribution_figure(levels, totals, channels)


def twin_pairing_body(done: pd.DataFrame, layout: Layout) -> str:
    """Return the table of variance ratios of run and twin, by cell and outcome; "" without a twin."""
    found = [(label, part, twin_pairing(part)) for label, part in study_cells_of(done, layout)]
    if not any(ratios for _, _, ratios in found):
        return ""
    names = [name for name in COMPARED if any(name in ratios for _, _, ratios in found)]
    rows = [(label, format_number(amplification(part).estimate),
             *(format_number(ratios.get(name, float("nan")), 2) for name in names)) for label, part, ratios in found]
    headers = ("Cell", "Amplification\nratio of means", *map(plain_name, names))
    body = table(headers, rows, numeric=range(1, len(headers)))
    return ("<h3>Run against twin T1, by regime</h3>" + paragraph(PAIRING)
            + (body if len(rows) <= MAX_LISTED else details(f"All {len(rows)} cells", body)))


def _levels(found: Sequence[tuple[str, pd.DataFrame]], outcome: str, channels: Sequence[str]) -> str:
    names = (*LEVELS, *channels)
    levels = [level_intervals(part, outcome, channels, LEVEL) for _, part in found]
    totals = [spiral_total(part, outcome, channels, LEVEL) for _, part in found]
    # The shock has a scale of its own: with that of the rest it would only have too many digits.
    scale = display_scale(unit_of(outcome), [one.estimate for one in totals])
    columns = [interval_column([one[name] for one in levels], scale, signed=name != "shock") for name in names]
    columns.append(interval_column(totals, scale))
    headers = ("Cell", *map(spelled, names), "All but shock")
    return table(headers, list(zip([label for label, _ in found], *columns, strict=True)),
                 numeric=range(1, len(headers)), caption=f"{plain_name(outcome)} in {scale.unit}".strip())


def _readings(found: Sequence[tuple[str, pd.DataFrame]], outcome: str, channels: Sequence[str]) -> str:
    parts = []
    for label, part in found:
        readings, pairs = channel_readings(part, outcome, channels, LEVEL)
        every: list[Interval] = [one for group in readings.values() for one in group.values()]
        scale = display_scale(unit_of(outcome), [one.estimate for one in every])
        columns = [interval_column(list(readings[key].values()), scale) for key in ("first_in", "shapley", "last_out")]
        rows = list(zip(map(spelled, channels), *columns, strict=True))
        words = [f"{spelled(one)} × {other}: {text}" for (one, other), text in
                 zip(pairs, interval_column(list(pairs.values()), scale), strict=True)]
        parts.append(details(f"{plain_name(outcome)}, {label}", table(
            ("Channel", "First in", "Shapley", "Last out"), rows, numeric=(1, 2, 3), caption=f"In {scale.unit}.")
            + paragraph("Interactions. " + "; ".join(words) + ".")))
    return "".join(parts)
