"""Family tree of a run's liquidations in its report: generations, trees, causes, and the branching ratios."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from spirals.scenarios.figures import to_svg
from spirals.scenarios.figures_genealogy import family_figure, stability_figure
from spirals.scenarios.report_html import figure, note, paragraph, table
from spirals.scenarios.report_numbers import format_number
from spirals.simulation.measures.branching import count_ratio, fit_borel, fit_generalised_poisson, fit_power_law
from spirals.simulation.measures.family_tree import LEAST_EVENTS
from spirals.simulation.measures.genealogy import EARLIER, EVENT, EXTRA, SAME, Genealogy, ImpactKernel
from spirals.simulation.measures.intervals import Interval

__all__ = ["branching_table", "family_of", "genealogy_body", "stability_body"]

WINDOW, FLOOR = 60.0, 0.01   # [s] and [fraction of the liquidated notional] of the ratio along the path
ENOUGH, LEAST = 30, 3        # trees, and smallest size, for a power law
CAUSES = {"shock": "the shock", "liquidations": "earlier liquidations, as the opening book would have borne them",
          "other_forced": "other forced orders, likewise",
          "withdrawal": "the same orders through a book thinner than at the opening",
          "margin": "rise of the margin rate", "funding": "funding paid", "own": "own cash flows and trades"}
WHY = (
    "They differ because they answer different questions: the proximate ratio counts accounts that a liquidation "
    "pushed over the line, the fractional one the part of the way there that earlier liquidations made, the but-for "
    "one the accounts that would have survived without any impact; where the book refills or the shock goes on, most "
    "children were only brought forward."
)
BUT_FOR = (
    "Against twin T1: extra accounts survive there, earlier ones fall there too but later, averted ones fall only "
    "there."
)


def family_of(events: pd.DataFrame, facts: Mapping[str, Any]) -> Genealogy:
    """Return the family tree from its table and the facts in ``run.json``."""
    rows = np.zeros(len(events), EVENT)
    for name in rows.dtype.names or ():
        if name in events:
            rows[name] = events[name]
    kernel = ImpactKernel(*(float(facts.get(field) or 0.0) for field in ("permanent", "transient", "half_life",
                                                                        "explained")))
    return Genealogy(rows, int(facts.get("averted", 0)), kernel)


def genealogy_body(run: Mapping[str, Any], events: pd.DataFrame, steps: pd.DataFrame) -> str:
    """Return the section on the family tree as HTML.

    Parameters
    ----------
    run : mapping
        Content of ``run.json``, with ``genealogy`` and where present ``stability``.
    events : DataFrame
        Table ``genealogy``.
    steps : DataFrame
        Table ``steps``, for times.
    """
    family = family_of(events, run.get("genealogy") or {})
    if not len(family.events):
        return note("Nobody was liquidated: there is no family tree.")
    step_seconds = _step_seconds(steps)
    generations, sizes = family.generations(), family.tree_sizes()
    drawn = figure(
        to_svg(family_figure(family, step_seconds, WINDOW, FLOOR)), "Generations, trees and causes.",
        "Left: liquidations by generation, with the ratio to the generation before. Middle: share of trees at least "
        "as large, with Borel's law for the same mean size. Right: mean share of the distance to the threshold that "
        "each cause consumed.", "Generations, tree sizes and causes of the liquidations")
    facts = paragraph(
        f"{len(family.events)} liquidations in {len(sizes)} trees over {len(generations)} generations; the largest "
        f"tree has {sizes[0]}. " + _peak_words(family, step_seconds))
    shares = [(words, f"{100.0 * float(family.events[name].mean()):.1f} %") for name, words in CAUSES.items()]
    flags = family.events["but_for"]
    counts = [("extra", int((flags == EXTRA).sum())), ("earlier", int((flags == EARLIER).sum())),
              ("same", int((flags == SAME).sum())), ("averted", family.averted)]
    return (drawn + facts + table(("Cause", "Mean share"), shares, numeric=(1,))
            + table(("But for the impact", "Accounts"), counts, numeric=(1,), caption=BUT_FOR)
            + "<h3>The branching ratio, by every estimator</h3>" + paragraph(WHY)
            + branching_table(family, step_seconds, run.get("stability") or {}) + _law(sizes))


def branching_table(family: Genealogy, step_seconds: float, stability: Mapping[str, Any]) -> str:
    """Return every estimate of the branching ratio beside what it asks and where it is valid."""
    sizes = family.tree_sizes()
    counts = np.bincount((family.events["step"] * step_seconds // WINDOW).astype(np.int64))
    ratios = family.generation_ratios()
    first = float(ratios[0]) if len(ratios) else 0.0
    rows = [
        ("Proximate", format_number(family.proximate_ratio), "share of liquidations that another pushed over the line",
         "any run; an account that the shock had crossed has no parent"),
        ("Fractional", format_number(family.fractional_ratio), "mean part of the way that earlier ones made",
         f"rests on a fitted impact kernel, which explains {100.0 * family.kernel.explained:.0f} % here"),
        ("But-for", format_number(family.but_for_ratio), "(N − N of the twin) / N", "any run; counts, not timing"),
        ("First generation", format_number(first), "children of roots over roots", "any run"),
        ("Borel, maximum likelihood", _text(fit_borel(sizes)), "1 − 1 / mean tree size",
         "the proximate ratio again, with an error that holds for alike and independent trees"),
        ("Generalised Poisson", _text(fit_generalised_poisson(counts).n), f"liquidations per {WINDOW:g} s",
         "windows alike and independent: in a crash the shock's own course looks like branching"),
        ("Count estimator", format_number(count_ratio(counts)), "1 − √(mean / variance) per window",
         "stationary runs only; here the crash itself inflates it"),
    ]
    probed = [row for row in stability.get("rows", ()) if row.get("opened") is not None]
    if probed:
        top = max(probed, key=lambda row: float(row["opened"]))
        rows.append(("Probe, open loop, at its largest", format_number(float(top["opened"])),
                     "first-generation forced flow per unit sold", _probe_words(stability)))
    return table(("Estimator", "n", "What it asks", "Valid where"), rows, numeric=(1,))


def stability_body(stability: Mapping[str, Any], steps: pd.DataFrame, opening_seconds: float) -> str:
    """Return the stability margin along the path, with the time of the peak of forced flow."""
    rows = pd.DataFrame(stability.get("rows") or []).dropna(subset=["margin"]) if stability.get("rows") else None
    if rows is None or not len(rows):
        return note("No probe was made: the run is too short or nobody holds a position.")
    peak = _peak(steps)
    before = rows[rows["seconds"] < peak]
    lowest = before.iloc[int(before["margin"].to_numpy(float).argmin())] if len(before) else None
    text = (f"Probe: {_probe_words(stability)}. Margin = 1 − n of the open loop, n the forced flow of the first "
            "generation per unit sold; at zero a sale sets off a sale of its own size. ")
    text += (f"Before the busiest minute of forced flow ({peak / 60.0:.0f} min after the opening) it was lowest at "
             f"{float(lowest['seconds']) / 60.0:.0f} min, {format_number(float(lowest['margin']))}; at the first "
             f"point, {float(rows['seconds'].iloc[0]) / 60.0:.0f} min, {format_number(float(rows['margin'].iloc[0]))}."
             if lowest is not None else "No probe lies before the busiest minute of forced flow.")
    drawn = figure(to_svg(stability_figure(rows, steps, peak, opening_seconds)), "Stability margin along the path.",
                   "Bars: 95 % interval over the branches of one state. Grey: log mark. Dashed: busiest minute of "
                   "forced flow.", "Stability margin at points along the path")
    return paragraph(text) + drawn


def _peak_words(family: Genealogy, step_seconds: float) -> str:
    """Say how large the branching ratio became along the path, or why nothing can be said."""
    asked = (f"in windows of {WINDOW:g} s with at least {LEAST_EVENTS} liquidations and more than "
             f"{100 * FLOOR:g} % of the liquidated notional")
    peak = family.path_peak(step_seconds, WINDOW, FLOOR, LEAST_EVENTS)
    if not peak.ratio.n:
        return f"Branching ratio along the path, {asked}: there is no such window."
    return (f"Largest branching ratio along the path, {asked}: {_text(peak.ratio)} of {peak.ratio.n} liquidations in "
            f"the minute from {peak.seconds / 60.0:.0f} min after the opening (share with a parent, Wilson's interval "
            "of 95 %, window with the highest lower bound).")


def _law(sizes: np.ndarray) -> str:
    """Return the fitted tail of the tree sizes, or why there is none."""
    large = sizes[sizes >= LEAST]
    if len(large) < ENOUGH:
        return paragraph(f"No exponent is fitted to the tree sizes: {len(large)} trees of at least {LEAST}, "
                         f"{ENOUGH} would be needed.")
    law = fit_power_law(sizes, LEAST)
    return paragraph(
        f"Tail of the tree sizes from {LEAST}: exponent {_text(law.exponent)}, cut-off at "
        f"{format_number(law.cutoff)} events (1 / cut-off {_text(law.rate)}); maximum likelihood. Branching on an "
        "endless book would give 3/2; a finite population has a cut-off of its own.")


def _text(found: Interval) -> str:
    if math.isnan(found.estimate):
        return "n/a"
    bounds = "" if math.isnan(found.low) else f" [{format_number(found.low, 2)}, {format_number(found.high, 2)}]"
    return format_number(found.estimate) + bounds


def _probe_words(stability: Mapping[str, Any]) -> str:
    return (f"{100.0 * float(stability['share']):g} % of the opening open interest sold within "
            f"{float(stability['seconds']):g} s, answers counted for {float(stability['horizon_seconds']):g} s, mean "
            f"of {stability['branches']} pairs of forks")


def _step_seconds(steps: pd.DataFrame) -> float:
    return float(steps["seconds"].max()) / max(1, int(steps["step"].max()))


def _peak(steps: pd.DataFrame) -> float:
    """Return the middle of the busiest minute of forced flow [s]."""
    from spirals.simulation.measures.forced_flow import FORCED_CAUSES
    from spirals.simulation.state import Cause

    columns = [f"{side}_notional_{Cause.names[cause]}" for side in ("sold", "bought") for cause in FORCED_CAUSES]
    flow = steps[[name for name in columns if name in steps]].sum(axis=1).to_numpy(float)
    minute = (steps["seconds"].to_numpy(float) // 60.0).astype(int)
    return 60.0 * int(np.bincount(minute, flow).argmax()) + 30.0
