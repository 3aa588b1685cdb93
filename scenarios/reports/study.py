"""Report of a study: what the lever did to the damage, in every cell, and what that rests on."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from spirals.scenarios.analysis.attribution_effects import attributed_channels
from spirals.scenarios.analysis.effects import (
    Layout,
    cell_effects,
    cells,
    completed,
    in_design_order,
    overall_effect,
    study_layout,
)
from spirals.scenarios.analysis.policy_effects import policy_runs
from spirals.scenarios.analysis.policy_traits import POLICY
from spirals.scenarios.reports.effects import PRICE_PAID, effects_body, findings_body, pairing_body
from spirals.scenarios.reports.figures import to_svg
from spirals.scenarios.reports.figures_study import headline_figure, value_text
from spirals.scenarios.reports.html import Section, figure, note, page, paragraph, table
from spirals.scenarios.reports.inputs import (
    inputs_of,
    inputs_section,
    printed_fields,
    provenance_section,
    scenario_name,
)
from spirals.scenarios.reports.numbers import (
    plain_name,
    short_name,
)
from spirals.scenarios.reports.policies import main_outcomes, policy_sections
from spirals.scenarios.reports.reading import depth_table, lead_of, policy_reading_body, reading_body
from spirals.scenarios.reports.sensitivity import pooled_over, ranking_body, rankings_of, sampled_levels
from spirals.scenarios.reports.study_attribution import study_attribution_body, twin_pairing_body
from spirals.scenarios.reports.study_tables import (
    LEVEL,
    cells_section,
    classes_section,
    lever_name,
    replications,
    stops_section,
)
from spirals.scenarios.reports.targets import targets_of, targets_section
from spirals.simulation.measures.losses import CLASSES

__all__ = ["study_page"]

HEADLINE = ("excess_drawdown", "forced_notional", "bad_debt_gross", "margin_locked")
EFFECTS = ("excess_drawdown", "forced_notional", "bad_debt_gross")
NUMBERS = {1: "One effect", 2: "Two effects", 3: "Three effects"}

ONE_PATH = (
    "All runs of a cell share one historical path of the outside world. The intervals therefore cover population and "
    "flow noise only: who holds which position, and what the background flow does. They are conditional on this path "
    "and say nothing about other crashes; that would take an ensemble of shocks."
)
SOLVED_PATHS = (
    "All runs stand on one set of bars: each replication on the exogenous path with which its own simulation "
    "reproduces them. The intervals therefore cover population and flow noise only and are conditional on these bars; "
    "statements about crashes in general need an ensemble of shocks."
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
        :data:`~spirals.scenarios.reports.inputs.PRINTED_FIELDS`), ``inputs`` with ``sources``,
        ``conditional_on``, ``left_out``, ``outcomes`` (shown first); the rest is printed as provenance.
    runs : DataFrame
        One row per run: design columns named by lever path, ``replication``, ``seed``, ``status``
        (``failed`` or anything else), ``stop_reason`` and outcomes.
    """
    stated = manifest.get("design")
    design: Mapping[str, Sequence[Any]] = stated if isinstance(stated, Mapping) else {}
    sampled = [name for name in manifest.get("sampled") or () if name in runs and runs[name].nunique() > 1]
    drawn = runs
    if sampled:
        design = {key: design[key] for key in design if key not in sampled and key in runs}
        runs = pooled_over(runs, sampled, list(design))
    runs = in_design_order(runs, design)
    found = policy_runs([(manifest, runs)])
    layout = study_layout(runs, list(design) or None, POLICY if found is not None else manifest.get("lever"))
    levels = {name: list(runs[name].dropna().unique()) for name in layout.design}
    levels |= {name: sampled_levels(drawn[name]) for name in sampled}
    done = completed(runs)
    first = [name for name in manifest.get("outcomes") or () if name in runs][:4]
    shown = first or [name for name in HEADLINE if name in runs]
    channels = attributed_channels(manifest, done)
    if found is not None:
        sections = [Section("reading", "How to read this", policy_reading_body()),
                    *policy_sections(found, main_outcomes(found, manifest.get("outcomes") or ())),
                    *_shares(done, layout, channels), *_twin_pairing(done, layout)]
    else:
        sections = _results(done, layout, shown, channels) if len(done) and layout.lever else [_nothing(runs, layout)]
        sections = [Section("reading", "How to read this", reading_body(layout, shown)), *sections]
    if sampled and len(done):
        outcomes = [name for name in EFFECTS if name in drawn] or shown
        sections.insert(1, _ranking(completed(drawn), sampled, outcomes, layout))
    if len(done) and targets_of(manifest):
        sections.append(Section("targets", "Beside the figures of the venue", targets_section(manifest, done, layout)))
    made = {key: value for key, value in manifest.items() if key != "summary"}  # the lead says it, or what is true
    sections += [
        Section("conditional", "What the intervals are conditional on", _conditional(manifest, done, layout, sampled)),
        Section("printed", "Rules that every result depends on",
                table(("Field", "Value"), printed_fields(manifest, levels)) + depth_table(manifest)),
        Section("cells", "All cells", cells_section(done, layout)),
        Section("runs", "Runs that stopped early or failed", stops_section(drawn, layout)),
        Section("inputs", "Inputs and their sources", inputs_section(manifest)),
        Section("provenance", "How this was made", provenance_section(made)),
    ]
    return page(
        kicker="Study report",
        title=str(manifest.get("title") or manifest.get("name") or manifest.get("study") or "Study"),
        lead=lead_of(manifest, layout),
        meta=_meta(manifest, drawn, done, layout, sampled),
        sections=sections,
        foot="Written by spirals report from manifest.json and runs.parquet alone.",
    )


def _shares(done: pd.DataFrame, layout: Layout, channels: Sequence[str]) -> list[Section]:
    body = study_attribution_body(done, layout, channels) if channels else ""
    return [Section("attribution", "What each channel added", body)] if body else []


def _twin_pairing(done: pd.DataFrame, layout: Layout) -> list[Section]:
    body = twin_pairing_body(done, layout) if len(done) else ""
    return [Section("pairing", "What pairing with the twin bought", body)] if body else []


def _results(done: pd.DataFrame, layout: Layout, shown: Sequence[str], channels: Sequence[str]) -> list[Section]:
    sections, pairs = _shares(done, layout, channels), twin_pairing_body(done, layout)
    if channels and not pd.api.types.is_numeric_dtype(done[layout.lever]):   # models side by side, no dose to compare
        return [*sections, *_twin_pairing(done, layout)]
    lever = lever_name(layout)
    measured = [name for name in EFFECTS if name in done] or list(shown[:3])
    effects = {name: cell_effects(done, layout, name, LEVEL) for name in measured}
    beside = [name for name in (PRICE_PAID, *shown) if name in done and name not in effects]
    overall = {name: overall_effect(done, layout, name, LEVEL) for name in (*effects, *dict.fromkeys(beside))}
    if not any(one.difference.n for found in effects.values() for one in found):
        effects = {}
        sections.append(Section("findings", "Findings", note(NOT_CROSSED, warning=True)))
    if effects:
        sections.append(Section("findings", "Findings", findings_body(done, overall, layout)))
    if shown:
        sections.append(Section("lever", f"The damage against {lever}", _headline(done, layout, shown)))
    if effects:
        title = f"{NUMBERS[len(effects)]} of {lever}"
        sections.append(Section("effects", title, effects_body(effects, overall, layout)))
        sections.append(Section("pairing", "What pairing bought", pairing_body(effects) + pairs))
    if any(f"pnl_{name}" in done for name in CLASSES):
        sections.append(Section("classes", "Who paid", classes_section(done, layout)))
    return sections


def _ranking(done: pd.DataFrame, sampled: Sequence[str], outcomes: Sequence[str], layout: Layout) -> Section:
    ends = (layout.levels[0], layout.levels[-1]) if layout.levels else ("", "")
    body = ranking_body(rankings_of(done, sampled, outcomes, layout), lever_name(layout), ends)
    return Section("ranking", "Which assumption matters most", body)


def _headline(done: pd.DataFrame, layout: Layout, shown: Sequence[str]) -> str:
    lever = lever_name(layout)
    rest = [short_name(name) for name in layout.cell_columns
            if name not in (layout.line, layout.panel) and done[name].nunique(dropna=False) > 1]
    caption = "".join((
        "Means over replications with 95 % Student intervals. ",
        f"One line per {short_name(layout.line)} model. " if layout.line else "",
        f"One row per {short_name(layout.panel)}. " if layout.panel else "",
        f"Averaged over {', '.join(rest)}. " if rest else "",
        "Excess: the full run less twin T1.",
    ))
    return figure(
        to_svg(headline_figure(done, layout, shown, LEVEL)), f"Damage against {lever}.", caption,
        f"{', '.join(plain_name(name) for name in shown)} against {lever}",
    )


def _conditional(manifest: Mapping[str, Any], done: pd.DataFrame, layout: Layout, sampled: Sequence[str]) -> str:
    world = inputs_of(manifest).get("outside_world")
    historical = isinstance(world, Mapping) and (bool(world.get("file")) or "Histor" in str(world.get("type", "")))
    stated = str(manifest.get("conditional_on") or "").rstrip(". ")
    solved = "path_fits" in done
    text = SOLVED_PATHS if solved else ONE_PATH if historical else OWN_PATHS
    text = f"The intervals are conditional on {stated}." if stated else text
    numbers = (
        f"{replications(done)} replications per cell at most; Student intervals at 95 %, not corrected for the number "
        "of cells."
    )
    if sampled:
        numbers = (f"Every sampled point is one replication, its mean over seeds: {replications(done)} at most per "
                   f"cell. The intervals cover the stated ranges of {len(sampled)} inputs; Student, 95 %. All points "
                   "share the seeds.")
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
    manifest: Mapping[str, Any], runs: pd.DataFrame, done: pd.DataFrame, layout: Layout, sampled: Sequence[str]
) -> list[tuple[str, object]]:
    n_cells = sum(1 for _ in cells(runs, layout.cell_columns)) if len(runs) else 0
    levels = ", ".join(value_text(value) for value in layout.levels)
    created = manifest.get("created") or manifest.get("finished")
    facts = (
        ("Scenario", scenario_name(manifest)),
        ("Runs", f"{len(completed(runs))} of {len(runs)} complete"),
        ("Cells", n_cells),
        (f"Levels of {lever_name(layout)}", levels),
        ("Sampled inputs", len(sampled)),
        ("Sampled points" if sampled else "Replications", replications(done)),
        ("Created", created),
        ("Commit", str(manifest.get("commit") or "")[:10]),
    )
    return [(name, value) for name, value in facts if value]
