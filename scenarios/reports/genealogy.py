"""Family tree of a run's liquidations in its report: generations, trees, causes, and the branching ratios."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from spirals.scenarios.reports.figures import to_svg
from spirals.scenarios.reports.figures_genealogy import family_figure, stability_figure
from spirals.scenarios.reports.html import figure, note, paragraph, table
from spirals.scenarios.reports.numbers import format_number
from spirals.simulation.measures.branching import count_ratio, fit_borel, fit_generalised_poisson, fit_power_law
from spirals.simulation.measures.genealogy import EARLIER, EVENT, EXTRA, SAME, Genealogy, ImpactKernel
from spirals.simulation.measures.genealogy.family_tree import LEAST_EVENTS
from spirals.simulation.measures.intervals import Interval

__all__ = ["branching_table", "family_of", "genealogy_body", "stability_body"]

WINDOW, FLOOR = 60.0, 0.01   # [s] and [fraction of the liquidated notional] of the ratio along the path
ENOUGH, LEAST = 30, 3        # trees, and smallest size, for a power law
CAUSES = {"shock": "the shock (the fall of the mark in twin T1)",
          "liquidations": "earlier liquidations, as far as they would have moved the opening book",
          "other_forced": "other forced orders, likewise",
          "withdrawal": "these orders, because the book was thinner than at the opening",
          "margin": "rise of the margin rate", "funding": "funding paid", "own": "own cash flows and trades"}
WHY = (
    "The branching ratio n is the mean number of liquidations that one liquidation sets off. The estimators differ "
    "because they ask different things: the proximate one counts liquidations that another pushed over the line, the "
    "fractional one adds up the part of the way there that earlier ones made, the but-for one counts those that would "
    "not be there without any impact. Where the book refills or the shock goes on, most children were only brought "
    "forward, and the but-for ratio is near zero or below."
)
SHARED = (
    "What consumed the distance between an account's threshold and the mark since the opening, mean over the "
    "liquidations; the shares of each sum to one, and a cause that pushed the other way counts negative."
)
BUT_FOR = (
    "Against twin T1, where forced orders move no price: extra ones are not there, earlier ones come later there, same "
    "ones come there no later, averted ones are only there. Accounts count by their first liquidation; one that "
    "recovered may fall again, and its second time is compared with its second time there."
)


def family_of(events: pd.DataFrame, facts: Mapping[str, Any]) -> Genealogy:
    """Return the family tree from its table and the facts in ``run.json``."""
    rows = np.zeros(len(events), EVENT)
    for name in rows.dtype.names or ():
        if name in events:
            rows[name] = events[name]
    kernel = ImpactKernel(*(float(facts.get(field) or 0.0) for field in ("permanent", "transient", "half_life",
                                                                        "explained")))
    return Genealogy(rows, int(facts.get("averted", 0)), kernel, int(facts.get("averted_accounts", 0)))


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
        "Left: liquidations by generation (0: set off by no other), above the bars the ratio to the generation before. "
        "Middle: share of trees with at least so many liquidations; grey: Borel's law, branching without end, for the "
        "same mean size. Right: share of the distance to the threshold that each cause consumed, mean over the "
        "liquidations of a minute by notional; minutes with hardly any are left out.",
        "Generations, tree sizes and causes of the liquidations")
    facts = paragraph(
        f"{len(family.events)} liquidations of {len(family.first_times())} accounts (one that recovered may fall "
        f"again) in {len(sizes)} trees over {len(generations)} generations; the largest tree has {sizes[0]}. "
        + _peak_words(family, step_seconds))
    shares = [(words, f"{100.0 * float(family.events[name].mean()):.1f} %") for name, words in CAUSES.items()]
    return (drawn + facts + paragraph(SHARED) + table(("Cause", "Mean share"), shares, numeric=(1,))
            + _but_for_table(family)
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
         "any run; who was crossed by the shock or by a rise of the own rate has no parent"),
        ("Fractional", format_number(family.fractional_ratio), "mean part of the way that earlier ones made",
         f"rests on a fitted impact kernel, which explains {100.0 * family.kernel.explained:.0f} % here"),
        ("But-for", format_number(family.but_for_ratio), "(N − N of twin T1) / N",
         "any run; counts, not timing; below zero where impact averts more than it adds"),
        ("First generation", format_number(first), "children of roots over roots", "any run; few roots: noise"),
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


def _but_for_table(family: Genealogy) -> str:
    """Return how many accounts and liquidations would be there without impact."""
    accounts, events = family.first_times()["but_for"], family.events["but_for"]
    rows = [(word, int((accounts == flag).sum()), int((events == flag).sum()))
            for word, flag in (("extra", EXTRA), ("earlier", EARLIER), ("same", SAME))]
    rows.append(("averted", family.averted_accounts, family.averted))
    return paragraph(BUT_FOR) + table(("But for the impact", "Accounts", "Liquidations"), rows, numeric=(1, 2))


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
