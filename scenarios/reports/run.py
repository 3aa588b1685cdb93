"""Report of one run: what happened, when, why, and beside which figures of the venue."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from spirals.scenarios.reports.attribution import attribution_body
from spirals.scenarios.reports.figures import to_svg
from spirals.scenarios.reports.figures_run import run_figure
from spirals.scenarios.reports.genealogy import genealogy_body, stability_body
from spirals.scenarios.reports.html import Section, escape, figure, note, page, paragraph, table
from spirals.scenarios.reports.impulse import impulse_body
from spirals.scenarios.reports.inputs import (
    inputs_of,
    inputs_section,
    printed_fields,
    provenance_section,
    scenario_name,
)
from spirals.scenarios.reports.numbers import format_number, format_outcome, plain_name
from spirals.scenarios.reports.reading import EXCESS_BAD_DEBT
from spirals.scenarios.reports.targets import target_range, targets_of, verdict
from spirals.simulation.measures.catalogue import MEASURES, TWIN_MEASURES

__all__ = ["run_page"]

SUMMARY = ("drawdown_mark", "excess_drawdown", "liquidated_accounts", "bad_debt_gross")
GROUPS = (
    ("Prices", ("drawdown_", "run_up_", "overshoot_", "price_half")),
    ("Forced flow and liquidations",
     ("forced_", "margin_calls", "liquidat", "first_liq", "oi_change", "cascade", "rounds_")),
    ("Losses", ("bad_debt", "fund_", "uncovered", "adl_")),
    ("Profit and loss by class", ("pnl_",)),
    ("Margin", ("initial_", "maintenance_", "margin_locked", "leverage_", "topped_up", "orders_")),
    ("Liquidity", ("depth_", "spread_", "one_sided")),
)


def run_page(
    run: Mapping[str, Any], tables: Mapping[str, pd.DataFrame], twins: Mapping[str, Mapping[str, pd.DataFrame]]
) -> str:
    """Return the report of a run as one HTML document.

    Parameters
    ----------
    run : mapping
        Content of ``run.json``: ``scenario``, ``seed``, ``stop_reason``, ``outcomes``; where present
        ``title``, ``summary``, ``inputs`` with ``sources``, ``printed``, ``attribution`` (and details),
        ``genealogy``, ``stability``, ``opening_seconds`` and ``targets``, a list of tables with the keys
        ``quantity``, ``low``, ``high``, ``source``, ``outcome``.
    tables : mapping of str to DataFrame
        As :func:`~spirals.scenarios.results.run_tables.run_tables` makes them.
    twins : mapping of str to mapping
        The same of each twin by name.
    """
    stated = run.get("outcomes") or {}
    outcomes = {name: math.nan if value is None else float(value) for name, value in stated.items()}
    sections = []
    if "steps" in tables:
        sections.append(Section("course", "The course of the run", _course(run, tables, twins)))
    if targets_of(run):
        sections.append(Section("targets", "Beside the figures of the venue", _targets(targets_of(run), outcomes)))
    if any(name in TWIN_MEASURES for name in outcomes):
        sections.append(Section("excess", "What the loop added", _excess(outcomes)))
    if run.get("attribution"):
        sections.append(Section("attribution", "Attribution to channels", attribution_body(run)))
    if "genealogy" in tables and "steps" in tables:
        body = genealogy_body(run, tables["genealogy"], tables["steps"])
        sections.append(Section("genealogy", "Who set off whom", body))
    if run.get("stability") and "steps" in tables:
        body = stability_body(run["stability"], tables["steps"], _opening(run))
        body += impulse_body(run["stability"].get("impulse") or {})
        sections.append(Section("stability", "How near to instability", body))
    sections += [
        Section("outcomes", "Outcomes", _outcomes(outcomes)),
        Section("printed", "Rules that every result depends on", table(("Field", "Value"), printed_fields(run, {}))),
        Section("inputs", "Inputs and their sources", inputs_section(run)),
        Section("provenance", "How this was made", provenance_section(run)),
    ]
    name = (scenario_name(run) or "run")
    return page(
        kicker="Run report",
        title=str(run.get("title") or name),
        lead=str(run.get("summary") or inputs_of(run).get("summary") or f"One run of {name}."),
        meta=_meta(run, outcomes),
        sections=sections,
        foot="Written by spirals report from the files of the run alone. One seed: no interval can be given.",
    )


def _course(
    run: Mapping[str, Any], tables: Mapping[str, pd.DataFrame], twins: Mapping[str, Mapping[str, pd.DataFrame]]
) -> str:
    steps = tables["steps"]
    instruments = sorted(steps["instrument"].unique()) if "instrument" in steps else [0]
    opening = _opening(run)
    parts = []
    for instrument in instruments:
        own = _of_instrument(steps, instrument)
        beside = {name: _of_instrument(twin["steps"], instrument) for name, twin in twins.items() if "steps" in twin}
        title = "The run." if len(instruments) == 1 else f"Instrument {instrument}."
        caption = "Twins share every draw with the run; in T1 forced orders move no price. " if twins else ""
        caption += "Volatility, margin rate and depth are those that participants could see."
        svg = to_svg(run_figure(own, tables.get("totals", pd.DataFrame()), beside, opening))
        parts.append(figure(svg, title, caption, "Prices, forced flow, margin, liquidity and losses over time"))
    return "".join(parts)


def _opening(run: Mapping[str, Any]) -> float:
    """Return the time of day at the opening [s], 0 where none is stated."""
    return float(run.get("opening_seconds") or inputs_of(run).get("opening_seconds") or 0.0)


def _of_instrument(steps: pd.DataFrame, instrument: Any) -> pd.DataFrame:
    return steps[steps["instrument"] == instrument] if "instrument" in steps else steps


def _targets(targets: Sequence[Mapping[str, Any]], outcomes: Mapping[str, float]) -> str:
    text = (
        "Published figures that match this run in venue, leg and window, as ranges. Agreement does not identify "
        "amplification: price path, open interest and liquidated share are compatible with many depths."
    )
    rows = []
    for target in targets:
        name = str(target.get("outcome", ""))
        value = outcomes.get(name, math.nan)
        rows.append((str(target.get("quantity", name)), target_range(target), format_outcome(name, value),
                     verdict(value, target), str(target.get("source", ""))))
    return paragraph(text) + table(("Quantity", "Venue", "This run", "Lies", "Source"), rows, numeric=(1, 2))


def _excess(outcomes: Mapping[str, float]) -> str:
    """Run, twin T1 and difference, line by line; then the ratio."""
    pairs = (("drawdown_mark", "excess_drawdown"), ("run_up_mark", "excess_run_up"),
             ("forced_notional", "excess_forced_notional"), ("bad_debt_gross", "excess_bad_debt"))
    rows = [
        (plain_name(own), format_outcome(own, outcomes[own]), format_outcome(own, outcomes[f"twin_{own}"]),
         format_outcome(excess, outcomes[excess]))
        for own, excess in pairs if {own, excess, f"twin_{own}"} <= set(outcomes)
    ]
    ratio = outcomes.get("amplification")
    known = ratio is not None and ratio == ratio
    text = (
        f"Drawdown over the twin's: {format_number(ratio)}." if known
        else "The ratio of drawdowns is not given: the twin's is below 1 %."
    )
    remark = paragraph(EXCESS_BAD_DEBT) if "excess_bad_debt" in outcomes else ""
    return table(("", "Run", "Twin T1", "Difference"), rows, numeric=(1, 2, 3)) + paragraph(text) + remark


def _outcomes(outcomes: Mapping[str, float]) -> str:
    """All outcomes by group; those against twins and unknown ones last."""
    left = dict(outcomes)
    parts = []
    for title, starts in GROUPS:
        names = [name for name in left if name.startswith(starts) and name not in TWIN_MEASURES]
        parts.append(_group(title, names, outcomes))
        for name in names:
            del left[name]
    parts.append(_group("Against twins, and further outcomes", list(left), outcomes))
    return "".join(parts) or note("The run holds no outcomes.", warning=True)


def _group(title: str, names: Sequence[str], outcomes: Mapping[str, float]) -> str:
    if not names:
        return ""
    rows = [(name, format_outcome(name, outcomes[name]), _meaning(name)) for name in names]
    return f"<h3>{escape(title)}</h3>" + table(("Outcome", "Value", "Meaning"), rows, numeric=(1,))


def _meaning(name: str) -> str:
    text = MEASURES.get(name, "")
    return text.split(" [")[0]


def _meta(run: Mapping[str, Any], outcomes: Mapping[str, float]) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = [("Scenario", scenario_name(run)), ("Seed", run.get("seed", "n/a")),
                                       ("Stopped", run.get("stop_reason", "n/a"))]
    found += [(plain_name(name), format_outcome(name, outcomes[name]))
              for name in SUMMARY if name in outcomes]
    return found
