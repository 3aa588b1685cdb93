"""Report of a study: what the lever did to the damage, in every cell, and what that rests on."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from spirals.scenarios.effects import (
    CellEffect,
    Layout,
    OverallEffect,
    cell_effects,
    cells,
    completed,
    in_design_order,
    overall_effect,
    study_layout,
)
from spirals.scenarios.figures import to_svg
from spirals.scenarios.figures_study import effects_figure, headline_figure, label_of_cell, value_text
from spirals.scenarios.report_html import Section, escape, figure, note, page, paragraph, table
from spirals.scenarios.report_inputs import (
    inputs_of,
    inputs_section,
    printed_fields,
    provenance_section,
    scenario_name,
)
from spirals.scenarios.report_numbers import (
    Scale,
    display_scale,
    format_interval,
    format_number,
    interval_column,
    plain_name,
    short_name,
)
from spirals.scenarios.report_study_tables import (
    LEVEL,
    cells_section,
    classes_section,
    lever_name,
    replications,
    stops_section,
)
from spirals.simulation.measures.catalogue import unit_of
from spirals.simulation.measures.losses import CLASSES

__all__ = ["study_page"]

HEADLINE = ("excess_drawdown", "forced_notional", "bad_debt_gross", "margin_locked")
EFFECTS = ("excess_drawdown", "forced_notional", "bad_debt_gross")
SIGNS = {1: "+", -1: "−", 0: "undetermined"}
MAX_FOREST = 60
NUMBERS = {1: "One effect", 2: "Two effects", 3: "Three effects"}

ONE_PATH = (
    "All runs of a cell share one historical path of the outside world. The intervals therefore cover population and "
    "flow noise only: who holds which position, and what the background flow does. They are conditional on this path "
    "and say nothing about other crashes; that would take an ensemble of shocks."
)
NOT_CROSSED = (
    "No cell holds both ends of the lever with the same seed, as in a design of sampled ranges: nothing can be paired."
)
OWN_PATHS = (
    "The intervals cover what the seeds vary: the path of the outside world, the population and the flow, at the fixed "
    "parameters of this scenario. They say nothing about other parameters."
)


def study_page(manifest: Mapping[str, Any], runs: pd.DataFrame) -> str:
    """Return the report of a study as one HTML document.

    Parameters
    ----------
    manifest : mapping
        Content of ``manifest.json``. Used where present: ``name``, ``title``, ``summary``, ``design``
        (lever path to its levels), ``lever``, ``printed`` (keys of
        :data:`~spirals.scenarios.report_inputs.PRINTED_FIELDS`), ``inputs`` with ``sources``,
        ``conditional_on``, ``left_out``, ``outcomes`` (shown first); the rest is printed as provenance.
    runs : DataFrame
        One row per run: design columns named by lever path, ``replication``, ``seed``, ``status``
        (``failed`` or anything else), ``stop_reason`` and outcomes.
    """
    stated = manifest.get("design")
    design: Mapping[str, Sequence[Any]] = stated if isinstance(stated, Mapping) else {}
    runs = in_design_order(runs, design)
    layout = study_layout(runs, list(design) or None, manifest.get("lever"))
    levels = {name: list(runs[name].dropna().unique()) for name in layout.design}
    done = completed(runs)
    first = [name for name in manifest.get("outcomes") or () if name in runs][:4]
    shown = first or [name for name in HEADLINE if name in runs]
    sections = _results(done, layout, shown) if len(done) and layout.lever else [_nothing(runs, layout)]
    sections += [
        Section("conditional", "What the intervals are conditional on", _conditional(manifest, done, layout)),
        Section("printed", "Rules that every result depends on",
                table(("Field", "Value"), printed_fields(manifest, levels))),
        Section("cells", "All cells", cells_section(done, layout)),
        Section("runs", "Runs that stopped early or failed", stops_section(runs, layout)),
        Section("inputs", "Inputs and their sources", inputs_section(manifest)),
        Section("provenance", "How this was made", provenance_section(manifest)),
    ]
    return page(
        kicker="Study report",
        title=str(manifest.get("title") or manifest.get("name") or manifest.get("study") or "Study"),
        lead=str(manifest.get("summary") or _lead(layout)),
        meta=_meta(manifest, runs, done, layout),
        sections=sections,
        foot="Written by spirals report from manifest.json and runs.parquet alone.",
    )


def _results(done: pd.DataFrame, layout: Layout, shown: Sequence[str]) -> list[Section]:
    lever = lever_name(layout)
    measured = [name for name in EFFECTS if name in done] or list(shown[:3])
    effects = {name: cell_effects(done, layout, name, LEVEL) for name in measured}
    overall = {name: overall_effect(done, layout, name, LEVEL) for name in effects}
    sections = []
    if not any(one.difference.n for found in effects.values() for one in found):
        effects = {}
        sections.append(Section("findings", "Findings", note(NOT_CROSSED, warning=True)))
    if effects:
        sections.append(Section("findings", "Findings", _findings(effects, overall, layout)))
    if shown:
        sections.append(Section("lever", f"The damage against {lever}", _headline(done, layout, shown)))
    if effects:
        title = f"{NUMBERS[len(effects)]} of {lever}"
        sections.append(Section("effects", title, _effects(effects, overall, layout)))
        sections.append(Section("pairing", "What pairing bought", _pairing(effects)))
    if any(f"pnl_{name}" in done for name in CLASSES):
        sections.append(Section("classes", "Who paid", classes_section(done, layout)))
    return sections


def _findings(
    effects: Mapping[str, Sequence[CellEffect]], overall: Mapping[str, OverallEffect], layout: Layout
) -> str:
    """Return one figure in large type and one sentence per effect; all text follows from the numbers."""
    low, high = _ends(layout)
    n_cells = next(iter(overall.values())).n_cells
    items = []
    for name, effect in overall.items():
        scale = _scale(name, effects[name])
        estimate = format_interval(effect.difference, scale).split(" [")[0]
        items.append(
            f'<li><span class="name">{escape(plain_name(name))}</span>'
            f'<span class="big">{escape(estimate)} <small>{escape(scale.unit)}</small></span>'
            f"{escape(_finding(effect, scale))}</li>"
        )
    intro = (
        f"Effect of raising {lever_name(layout)} from {low} to {high}: mean over {n_cells} "
        f"{'cells with equal weight' if n_cells > 1 else 'cell'}, paired by replication, with 95 % intervals."
    )
    return paragraph(intro) + f'<ul class="findings">{"".join(items)}</ul>'


def _finding(effect: OverallEffect, scale: Scale) -> str:
    text = format_interval(effect.difference, scale)
    bounds = text[text.find("[") :] if "[" in text else "no interval"
    verdict = {1: "An increase", -1: "A decrease", 0: "Sign undetermined"}[effect.difference.sign]
    higher, lower, open_ = (round(part * effect.n_cells)
                            for part in (effect.positive, effect.negative, effect.undetermined))
    return (f"{verdict}, {bounds}. Higher in {higher}, lower in {lower}, undetermined in {open_} "
            f"of {effect.n_cells} cells.")


def _headline(done: pd.DataFrame, layout: Layout, shown: Sequence[str]) -> str:
    lever = lever_name(layout)
    rest = [short_name(name) for name in layout.cell_columns
            if name not in (layout.line, layout.panel) and done[name].nunique(dropna=False) > 1]
    caption = "".join((
        "Means over replications with 95 % Student intervals. ",
        f"One line per {short_name(layout.line)} model. " if layout.line else "",
        f"One row per {short_name(layout.panel)}. " if layout.panel else "",
        f"Averaged over {', '.join(rest)}. " if rest else "",
        "Excess: the full run less twin T1, in which forced orders pay slippage but move no price. "
        "1 log-% is 0.01 log points.",
    ))
    return figure(
        to_svg(headline_figure(done, layout, shown, LEVEL)), f"Damage against {lever}.", caption,
        f"{', '.join(plain_name(name) for name in shown)} against {lever}",
    )


def _effects(
    effects: Mapping[str, Sequence[CellEffect]], overall: Mapping[str, OverallEffect], layout: Layout
) -> str:
    """Return the forest plot, the table over all cells and the table of every cell."""
    lever, (low, high) = lever_name(layout), _ends(layout)
    scales = {name: _scale(name, found) for name, found in effects.items()}
    labels = [label_of_cell(one.cell) for one in next(iter(effects.values()))]
    drawn = "" if len(labels) > MAX_FOREST else figure(
        to_svg(effects_figure(effects, {name: one.difference for name, one in overall.items()}, scales)),
        f"Effect of {lever} cell by cell.",
        f"Outcome at {lever} = {high} less that at {low}, paired by replication, 95 % intervals. "
        "Filled: the interval lies on one side of zero.",
        "Effect in every cell with intervals",
    )
    rows = [
        (f"{plain_name(name)} [{scales[name].unit}]", format_interval(one.difference, scales[name]),
         format_interval(one.slope, scales[name]), SIGNS[one.difference.sign],
         *(f"{round(part * one.n_cells)} of {one.n_cells}" for part in (one.positive, one.negative, one.undetermined)))
        for name, one in overall.items()
    ]
    headers = ("Outcome", f"Difference\n{lever} {low} → {high}", f"Slope\nper unit of {lever}", "Sign",
               "Cells\nhigher", "Cells\nlower", "Cells\nundetermined")
    summary = table(headers, rows, numeric=range(1, 7), caption="Mean over cells. A sign counts where the 95 % "
                    "interval excludes zero; with no effect at all, one cell in forty would show each sign.")
    columns = [interval_column([one.difference for one in found], scales[name]) for name, found in effects.items()]
    titles = ("Cell", *(f"{plain_name(name)}\n{scales[name].unit}" for name in effects))
    per_cell = table(titles, list(zip(labels, *columns, strict=True)), numeric=range(1, len(titles)),
                     caption=f"Difference in every cell, {lever} = {high} less {low}.")
    return drawn + summary + per_cell


def _pairing(effects: Mapping[str, Sequence[CellEffect]]) -> str:
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


def _conditional(manifest: Mapping[str, Any], done: pd.DataFrame, layout: Layout) -> str:
    world = inputs_of(manifest).get("outside_world")
    historical = isinstance(world, Mapping) and (bool(world.get("file")) or "Histor" in str(world.get("type", "")))
    stated = str(manifest.get("conditional_on") or "").rstrip(". ")
    text = f"The intervals are conditional on {stated}." if stated else ONE_PATH if historical else OWN_PATHS
    numbers = (
        f"{replications(done)} replications per cell at most; Student intervals at 95 %, not corrected for the number "
        "of cells."
    )
    if layout.line and layout.line.split(".")[0] == "depth":
        numbers += " Depth is an assumption that dominates results: read every number over all depth models."
    left_out = manifest.get("left_out")
    return note(text) + paragraph(numbers) + (paragraph(f"Left out of the model: {left_out}") if left_out else "")


def _nothing(runs: pd.DataFrame, layout: Layout) -> Section:
    reason = "No run of this study is complete."
    if layout.lever is None:
        reason = "The design varies nothing: there is no effect to show."
    return Section("findings", "Findings", note(reason, warning=True) + paragraph(f"{len(runs)} runs in the table."))


def _meta(
    manifest: Mapping[str, Any], runs: pd.DataFrame, done: pd.DataFrame, layout: Layout
) -> list[tuple[str, object]]:
    n_cells = sum(1 for _ in cells(runs, layout.cell_columns)) if len(runs) else 0
    levels = ", ".join(value_text(value) for value in layout.levels)
    created = manifest.get("created") or manifest.get("finished")
    facts = (
        ("Scenario", scenario_name(manifest)),
        ("Runs", f"{len(done)} of {len(runs)} complete"),
        ("Cells", n_cells),
        (f"Levels of {lever_name(layout)}", levels),
        ("Replications", replications(done)),
        ("Created", created),
        ("Commit", str(manifest.get("commit") or "")[:10]),
    )
    return [(name, value) for name, value in facts if value]


def _lead(layout: Layout) -> str:
    others = [short_name(name) for name in (layout.panel, layout.line) if name]
    across = f", across {' and '.join(others)}" if others else ""
    return f"What {lever_name(layout)} does to drawdown, forced flow and bad debt{across}."


def _ends(layout: Layout) -> tuple[str, str]:
    return value_text(layout.levels[0]), value_text(layout.levels[-1])


def _scale(name: str, found: Sequence[CellEffect]) -> Scale:
    """Return one scale for all cells of an outcome."""
    return display_scale(unit_of(name), [one.difference.estimate for one in found])
