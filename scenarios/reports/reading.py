"""Words of a study's report: what it varied, how to read it, and the depth models it ran."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from spirals.scenarios.analysis.effects import Layout
from spirals.scenarios.reports.figures_study import value_text
from spirals.scenarios.reports.html import escape, table
from spirals.scenarios.reports.inputs import depth_models, scenario_name
from spirals.scenarios.reports.numbers import short_name
from spirals.scenarios.reports.study_tables import lever_name

__all__ = ["EXCESS_BAD_DEBT", "depth_table", "lead_of", "policy_reading_body", "reading_body"]

MAX_MODELS = 8
PI = (
    "the elasticity of the margin rate to the volatility estimate: ln m = (1 − π) ln m_ttc + π ln m_pit. m_pit is the "
    "point-in-time rate, which follows today's volatility; m_ttc is the through-the-cycle rate at one fixed "
    "volatility; normalisation and bounds come on top. π = 0 never reacts, π = 1 reacts in full."
)
TWIN = (
    "the same run with the same draws, in which forced orders (liquidations, answers to margin calls, leverage "
    "targets, stop-losses) pay slippage in a shadow copy of the book but move no price. Excess = full run less "
    "twin T1: what the venue's own forced orders add."
)
EXCESS_BAD_DEBT = (
    "Excess bad debt can take either sign: it depends on how fast the shadow book of twin T1 refills "
    "(engine.shadow_refill_seconds), because that decides at what loss the twin closes accounts. Gross bad debt, which "
    "needs no twin, is therefore the headline."
)


def lead_of(manifest: Mapping[str, Any], layout: Layout) -> str:
    """Return the study's summary, or one made from the design where overrides or replications made it untrue."""
    lines = [str(line) for line in manifest.get("overrides") or ()]
    summary = str(manifest.get("summary") or "")
    stated = re.search(r"(\d+) replications", summary)
    count = manifest.get("replications")
    if summary and not lines and (stated is None or count is None or stated.group(1) == str(count)):
        return summary
    parts = " × ".join(f"{short_name(name)} ({len(values)})" if isinstance(values, list | tuple) else short_name(name)
                       for name, values in (manifest.get("design") or {}).items())
    text = parts or f"What {lever_name(layout)} does to drawdown, forced flow and bad debt"
    scenario = scenario_name(manifest)
    text += f" on {scenario}" if scenario else ""
    text += f", {count} replications" if count else ""
    twins = ", ".join(map(str, manifest.get("twins") or ()))
    text += f", each with twin {twins}" if twins else ""
    return text + (f". Overridden: {'; '.join(lines)}." if lines else "")


def reading_body(layout: Layout, shown: Sequence[str]) -> str:
    """Return the box that explains lever, cell, twin, interval and units before they are used."""
    lever = layout.lever or ""
    others = [short_name(name) for name in layout.cell_columns]
    terms = []
    if lever.split(".")[-1] == "pi":
        terms.append(("π", PI))
    elif lever:
        levels = ", ".join(value_text(value) for value in layout.levels)
        terms.append((lever_name(layout), f"the lever {lever} of this study, at {levels}."))
    made = f", here of {' and '.join(others)}" if others else ""
    terms.append(("Cell", f"one combination of everything the design varies besides {lever_name(layout)}{made}."))
    terms.append(("Twin T1", TWIN))
    terms.append(("Interval", "95 % Student interval of the mean over replications. Differences are formed within a "
                  "replication first, so that both runs share their draws."))
    terms.append(("Quote", "the quote currency of the contract, in which prices and money are counted. "
                  "1 log-% is 0.01 log points."))
    if "excess_bad_debt" in shown:
        terms.append(("Excess bad debt", EXCESS_BAD_DEBT))
    items = "".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in terms)
    return f'<dl class="box">{items}</dl>'


def policy_reading_body() -> str:
    """Return the box that explains the terms of a report on policies."""
    terms = [
        ("π", PI),
        ("Normalisation", "π also moves the level of the rate. Equal start: every π opens at the same rate. Equal "
         "mean: the same mean on data before the event. Equal coverage: the rate is exceeded equally often on them."),
        ("Book", "given: the same opening positions under every policy. Adapted: leverage chosen against the margin "
         "that was offered."),
        ("Cell", "one combination of event, depth model, normalisation and book."),
        ("Twin T1", TWIN),
        ("Interval", "95 % Student interval of the mean over replications. Differences are formed within a "
         "replication first, so that both runs share their draws and their exogenous path."),
        ("Units", "1 log-% is 0.01 log points; money over the open interest that the scenario states."),
    ]
    items = "".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in terms)
    return f'<dl class="box">{items}</dl>'


def depth_table(manifest: Mapping[str, Any]) -> str:
    """Return the parameters of every depth model of the study, a column per model."""
    models = depth_models(manifest)
    if not models:
        return ""
    kept = models[:MAX_MODELS]
    names = list(dict.fromkeys(key for model in kept for key in model if key != "type"))
    rows = [(name, *(value_text(model[name]) if name in model else "–" for model in kept)) for name in names]
    caption = "Parameters of every depth model in the design; a model is an assumption, and so is each of these."
    if len(models) > len(kept):
        caption += f" The first {len(kept)} of {len(models)} variants."
    return table(("Depth", *(str(model.get("type", "")) for model in kept)), rows, numeric=range(1, 1 + len(kept)),
                 caption=caption)
