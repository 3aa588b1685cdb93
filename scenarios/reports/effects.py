"""What the lever did: findings, its effect level by level and cell by cell, and what pairing bought."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from spirals.scenarios.analysis.effects import CellEffect, Layout, OverallEffect, level_effects
from spirals.scenarios.reports.figures import to_svg
from spirals.scenarios.reports.figures_study import effects_figure, label_of_cell, value_text
from spirals.scenarios.reports.html import escape, figure, paragraph, table
from spirals.scenarios.reports.numbers import (
    Scale,
    display_scale,
    format_interval,
    format_number,
    interval_column,
    plain_name,
)
from spirals.scenarios.reports.study_tables import LEVEL, lever_name
from spirals.simulation.measures.catalogue import unit_of
from spirals.simulation.measures.intervals import Interval

__all__ = ["PRICE_PAID", "effects_body", "findings_body", "pairing_body", "shape_table"]

SIGNS = {1: "+", -1: "−", 0: "undetermined"}
MAX_FOREST = 60
PRICE_PAID = "margin_locked"


def findings_body(done: pd.DataFrame, overall: Mapping[str, OverallEffect], layout: Layout) -> str:
    """Return one figure in large type and one sentence per effect, then the effect at every level."""
    low, high = _ends(layout)
    n_cells = next(iter(overall.values())).n_cells
    items = []
    for name, effect in overall.items():
        scale = _scale(name, [effect.difference])
        estimate = format_interval(effect.difference, scale).split(" [")[0]
        items.append(
            f'<li><span class="name">{escape(_finding_name(name))}</span>'
            f'<span class="big">{escape(estimate)} <small>{escape(scale.unit)}</small></span>'
            f"{escape(_finding(effect, scale))}</li>"
        )
    intro = (
        f"Effect of raising {lever_name(layout)} from {low} to {high}: mean over {n_cells} "
        f"{'cells with equal weight' if n_cells > 1 else 'cell'}, paired by replication, with 95 % intervals."
    )
    return (paragraph(intro) + f'<ul class="findings">{"".join(items)}</ul>'
            + shape_table(done, list(overall), layout))


def _finding(effect: OverallEffect, scale: Scale) -> str:
    text = format_interval(effect.difference, scale)
    bounds = text[text.find("[") :] if "[" in text else "no interval"
    verdict = {1: "An increase", -1: "A decrease", 0: "Sign undetermined"}[effect.difference.sign]
    higher, lower, open_ = (round(part * effect.n_cells)
                            for part in (effect.positive, effect.negative, effect.undetermined))
    return (f"{verdict}, {bounds}. Higher in {higher}, lower in {lower}, undetermined in {open_} "
            f"of {effect.n_cells} cells.")


def shape_table(done: pd.DataFrame, outcomes: Sequence[str], layout: Layout) -> str:
    """Return the difference from the lowest level at every other level of the lever, over all cells."""
    if len(layout.levels) < 3:
        return ""
    lever, (low, _) = lever_name(layout), _ends(layout)
    found = {name: level_effects(done, layout, name, LEVEL)[1:] for name in outcomes}
    scales = {name: _scale(name, row) for name, row in found.items()}
    columns = [interval_column(row, scales[name]) for name, row in found.items()]
    titles = (lever, *(f"{plain_name(name)}\n{scales[name].unit}" for name in found))
    rows = list(zip(map(value_text, layout.levels[1:]), *columns, strict=True))
    return "<h3>Where between the levels the effect arises</h3>" + table(
        titles, rows, numeric=range(1, len(titles)),
        caption=f"Difference from {lever} = {low}: mean over cells, paired by replication, with 95 % intervals.")


def _finding_name(name: str) -> str:
    return f"{plain_name(name)}: price paid" if name == PRICE_PAID else plain_name(name)


def effects_body(
    effects: Mapping[str, Sequence[CellEffect]], overall: Mapping[str, OverallEffect], layout: Layout
) -> str:
    """Return the forest plot, the table over all cells and the table of every cell."""
    lever, (low, high) = lever_name(layout), _ends(layout)
    scales = {name: _scale(name, [one.difference for one in found]) for name, found in effects.items()}
    shown = {name: scales.get(name) or _scale(name, [one.difference]) for name, one in overall.items()}
    labels = [label_of_cell(one.cell) for one in next(iter(effects.values()))]
    drawn = "" if len(labels) > MAX_FOREST else figure(
        to_svg(effects_figure(effects, {name: overall[name].difference for name in effects}, scales)),
        f"Effect of {lever} cell by cell.",
        f"Outcome at {lever} = {high} less that at {low}, paired by replication, 95 % intervals. "
        "Filled: the interval lies on one side of zero.",
        "Effect in every cell with intervals",
    )
    rows = [
        (f"{plain_name(name)} [{shown[name].unit}]", format_interval(one.difference, shown[name]),
         SIGNS[one.difference.sign],
         *(f"{round(part * one.n_cells)} of {one.n_cells}" for part in (one.positive, one.negative, one.undetermined)))
        for name, one in overall.items()
    ]
    headers = ("Outcome", f"Difference\n{lever} {low} → {high}", "Sign",
               "Cells\nhigher", "Cells\nlower", "Cells\nundetermined")
    summary = table(headers, rows, numeric=range(1, 6), caption="Mean over cells. A sign counts where the 95 % "
                    "interval excludes zero; with no effect at all, one cell in forty would show each sign.")
    columns = [interval_column([one.difference for one in found], scales[name]) for name, found in effects.items()]
    titles = ("Cell", *(f"{plain_name(name)}\n{scales[name].unit}" for name in effects))
    per_cell = table(titles, list(zip(labels, *columns, strict=True)), numeric=range(1, len(titles)),
                     caption=f"Difference in every cell, {lever} = {high} less {low}.")
    return drawn + summary + per_cell


def pairing_body(effects: Mapping[str, Sequence[CellEffect]]) -> str:
    text = (
        "Runs at different levels share their draws by replication. The ratio is the variance of the difference with "
        "independent runs over its variance with paired ones: 1 means that pairing bought nothing, less that it hurt."
    )
    rows = []
    for name, found in effects.items():
        ratios = sorted(one.variance_ratio for one in found if not math.isnan(one.variance_ratio))
        shown = [format_number(ratios[k], 2) for k in (0, len(ratios) // 2, -1)] if ratios else ["n/a"] * 3
        rows.append((plain_name(name), *shown, sum(one.difference.n for one in found),
                     sum(one.missing for one in found)))
    headers = ("Outcome", "Lowest cell", "Median cell", "Highest cell", "Pairs used", "Pairs missing")
    return paragraph(text) + table(headers, rows, numeric=range(1, 6))


def _ends(layout: Layout) -> tuple[str, str]:
    return value_text(layout.levels[0]), value_text(layout.levels[-1])


def _scale(name: str, found: Sequence[Interval]) -> Scale:
    """Return one scale for several intervals of an outcome."""
    return display_scale(unit_of(name), [one.estimate for one in found])
