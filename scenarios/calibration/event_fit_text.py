"""What an event fit says in words: tables and paragraphs, all from the numbers."""

import math
from collections.abc import Sequence
from typing import Any

from spirals.scenarios.calibration.deconvolution_grid import Cell, amplification_set
from spirals.scenarios.calibration.event_fit import EventFit, Scored
from spirals.scenarios.calibration.identifiability import IDENTIFIED

__all__ = ["Section", "as_plain_scores", "fit_paragraph", "markdown", "plain", "sections", "transfer_paragraph"]

Rows = list[tuple[str, ...]]
Section = tuple[str, Rows | str]


def sections(
    fit: EventFit, cells: Sequence[Cell], transfer: Scored | None, other: str, other_cells: Sequence[Cell]
) -> list[Section]:
    """Return the whole answer as titled tables and paragraphs."""
    found: list[Section] = [
        (f"Moments of {fit.event.name}, fitted", moment_rows(fit.after, fit.before)),
        ("Parameters", parameter_rows(fit)),
        ("Jacobian: change of a moment over a parameter's range (standard error)", jacobian_rows(fit)),
        ("Singular values of the weighted Jacobian", singular_rows(fit)),
        ("Sensitivity of estimates to moments (Andrews, Gentzkow, Shapiro): per standard error of a moment, in "
         "hundredths of the range", sensitivity_rows(fit)),
        ("Not scored", [("figure", "why"), *((line.figure, line.reason) for line in fit.event.not_scored)]),
        (f"What {fit.event.name} tells", fit_paragraph(fit, cells)),
    ]
    if transfer is not None:
        found += [(f"Moments of {other}, predicted with that behaviour, nothing refitted", moment_rows(transfer)),
                  (f"What the prediction of {other} tells", transfer_paragraph(fit, transfer, other, other_cells))]
    return found


def moment_rows(found: Scored, before: Scored | None = None) -> Rows:
    """Return one row per moment, observed and simulated, with standard errors; without `before`: a prediction."""
    heads = ("moment", "unit", "use", "observed", "simulated", "off by [se]", "matched", "venue, leg, window")
    rows: Rows = [(*heads[:4], "at the start", *heads[4:]) if before else heads]
    for k, score in enumerate(found.scores):
        moment = score.moment
        own = moment.use == "construction"
        use = "predicted" if moment.use == "fitted" and before is None else moment.use
        first = (f"{before.scores[k].simulated:.4f}",) if before else ()
        rows.append((moment.name, moment.unit, use, f"{moment.observed:.4f} ({moment.error:.4f})", *first,
                     f"{score.simulated:.4f} ({score.simulated_error:.4f})",
                     "" if own else f"{score.distance:+.1f}", "" if own else "yes" if score.matched else "no",
                     moment.match))
    return rows


def parameter_rows(fit: EventFit) -> Rows:
    known = fit.identification
    rows: Rows = [("parameter", "path", "range", "start", "estimate", "error [of range]", "part seen", "verdict")]
    for k, parameter in enumerate(fit.parameters):
        rows.append((
            parameter.label, parameter.path,
            f"{parameter.low:g} to {parameter.high:g}{' (log)' if parameter.logarithmic else ''}",
            f"{fit.start[k]:.4g}", f"{fit.estimate[k]:.4g}", f"{known.errors[k]:.2f}", f"{known.part_seen[k]:.2f}",
            ("identified" if parameter.label in known.identified else "not identified")
            + (", at the end of its range" if parameter.label in fit.at_bound else "")))
    return rows


def jacobian_rows(fit: EventFit) -> Rows:
    known = fit.identification
    rows: Rows = [("moment", *known.parameters)]
    for k, name in enumerate(known.moments):
        rows.append((name, *(f"{value:+.3g} ({error:.2g})" for value, error in zip(
            known.jacobian[k].tolist(), known.jacobian_error[k].tolist(), strict=True))))
    return rows


def singular_rows(fit: EventFit) -> Rows:
    known = fit.identification
    rows: Rows = [("value", "noise alone", "seen", "direction")]
    words = known.words
    for k, value in enumerate(known.singular_values.tolist()):
        rows.append((f"{value:.2f}", f"{known.noise[k]:.2f}", "yes" if known.seen[k] else "no", words[k]))
    return rows


def sensitivity_rows(fit: EventFit) -> Rows:
    known = fit.identification
    rows: Rows = [("parameter", *known.moments)]
    for k, name in enumerate(known.parameters):
        scaled = (-100.0 * known.lambda_[k] / known.weight**0.5).tolist()
        rows.append((name, *(f"{value:+.1f}" for value in scaled)))
    return rows


def fit_paragraph(fit: EventFit, cells: Sequence[Cell]) -> str:
    """Return what may be said after the fit, and what may not."""
    known = fit.identification
    n, m = fit.after.count("fitted")
    first, _ = fit.before.count("fitted")
    seen = f"{known.rank} of {len(fit.parameters)} directions"
    inside = [name for name in known.identified if name not in fit.at_bound]   # at a bound the error says nothing
    named = (f"identified, with an error below {IDENTIFIED:g} of what the range alone says: "
             f"{', '.join(inside)}" if inside else "no single parameter is identified, only combinations of them")
    lost = [name for name in known.parameters if name not in inside]
    missed = [score.moment.name for score in fit.after.scores if score.moment.use == "fitted" and not score.matched]
    sentences = [
        f"{fit.event.name}: {len(fit.parameters)} free behaviour parameters against {m} moments in {fit.evaluations} "
        f"simulations, each on an exogenous path solved from the bars at its own parameters ({len(fit.seeds)} seeds, "
        f"common random numbers).",
        f"The weighted squared distance fell from {fit.objective[0]:.1f} to {fit.objective[-1]:.1f}; {n} of {m} "
        f"moments are matched within 1.96 joint standard errors ({first} at the scenario's own values)"
        + (f"; missed: {', '.join(missed)}." if missed else "."),
        _checked(fit.after, "Checked without being fitted"),
        f"The moments see {seen} above simulation noise and above what the ranges say (condition number "
        f"{known.condition:.0f}); {named}" + (f"; not identified: {', '.join(lost)}." if lost else "."),
    ]
    if known.unseen:
        sentences.append(f"Not seen: {'; '.join(known.unseen)}. Along these the last step did not move the estimate.")
    sentences += [_overidentified(fit), _paths(fit.after), _set(cells), (
        "Fall, ranges and reversal of the price are reproduced by the solved path and are no evidence. Depth shape, "
        "opening leverage and the split of the fall between news and cascade remain assumptions: no moment that "
        "matches in venue, leg and window separates them, and none here is a liquidation record. Errors are "
        "conditional on one path and on minutes of one event.")]
    return " ".join(sentence for sentence in sentences if sentence)


def transfer_paragraph(fit: EventFit, found: Scored, other: str, cells: Sequence[Cell]) -> str:
    """Return how the prediction of the other event fared."""
    n, m = found.count("fitted", "checked")
    missed = [f"{score.moment.name} ({score.distance:+.1f} se)" for score in found.scores
              if score.moment.use != "construction" and not score.matched]
    return " ".join(sentence for sentence in (
        f"With the behaviour fitted on {fit.event.name} and only what is observed of {other} (its scenario's open "
        f"interest, depth, volatility, leverage preset and venue rules), {n} of {m} moments are matched, none of them "
        f"fitted" + (f"; missed: {', '.join(missed)}." if missed else "."), _paths(found), _set(cells)) if sentence)


def _checked(found: Scored, words: str) -> str:
    n, m = found.count("checked")
    return f"{words}: {n} of {m} matched." if m else ""


def _overidentified(fit: EventFit) -> str:
    if fit.j_freedom < 1 or fit.identification.rank == 0:
        return "There is no test of overidentification: no more moments than directions seen."
    from scipy.stats import chi2

    p = float(chi2.sf(fit.j_statistic, fit.j_freedom))
    verdict = "the model is rejected as a whole" if p < 0.05 else "no rejection, with errors as wide as these"
    level = "< .001" if p < 0.001 else f"= {p:.3f}"
    return f"J = {fit.j_statistic:.1f} on {fit.j_freedom} degrees of freedom (p {level}): {verdict}."


def _paths(found: Scored) -> str:
    missed = sum(found.missed_bars)
    return (f"{missed} bars (of {len(found.missed_bars)} paths) were met by no exogenous path: there the flow belongs "
            "to another path.") if missed else "Every bar was met by its path."


def _set(cells: Sequence[Cell]) -> str:
    if not cells:
        return ""
    bounds = amplification_set(cells)
    fitting = bounds["fitting"]
    depths = ", ".join(dict.fromkeys(cell.found.depth for cell in cells))
    kappas = ", ".join(f"{kappa:g}" for kappa in dict.fromkeys(cell.found.index_feedback for cell in cells))
    if not fitting["cells"]:
        return f"Over depth ({depths}) x kappa ({kappas}) with this behaviour no cell reproduces every bar."
    return (f"Over depth ({depths}) x kappa ({kappas}) with this behaviour, {fitting['cells']} of {len(cells)} cells "
            f"reproduce every bar; among them forced orders add {fitting['excess_drawdown_low']:+.4f} to "
            f"{fitting['excess_drawdown_high']:+.4f} log to the fall (amplification "
            f"{fitting['amplification_low']:.3f} to {fitting['amplification_high']:.3f} against twin T1 on the same "
            "path; one seed): a set, within which the bars do not choose.")


def plain(parts: Sequence[Section]) -> str:
    """Return titled tables and paragraphs for a terminal; the last column of a table is left as long as it is."""
    lines = []
    for title, body in parts:
        lines += [title, "-" * min(len(title), 120)]
        if isinstance(body, str):
            lines.append(body)
        else:
            widths = [max(len(row[k]) for row in body) for k in range(len(body[0]))]
            lines += ["  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()
                      for row in body]
        lines.append("")
    return "\n".join(lines)


def markdown(title: str, command: str, parts: Sequence[Section]) -> str:
    """Return the same as a Markdown page."""
    lines = [f"# {title}", "", f"Made by `{command}`; figures in brackets are standard errors.", ""]
    for heading, body in parts:
        lines += [f"## {heading}", ""]
        if isinstance(body, str):
            lines.append(body)
        else:
            shown = [" | ".join(word.replace("|", "/") for word in row) for row in body]
            lines += [f"| {shown[0]} |", "|" + "---|" * len(body[0]), *(f"| {row} |" for row in shown[1:])]
        lines.append("")
    return "\n".join(lines)


def as_plain_scores(found: Scored) -> dict[str, Any]:
    """Return scores as plain data."""
    n, m = found.count("fitted", "checked")
    return {
        "matched": n, "of": m, "missed_bars": list(found.missed_bars),
        "moments": [{
            "name": score.moment.name, "unit": score.moment.unit, "use": score.moment.use,
            "observed": score.moment.observed, "observed_error": score.moment.error, "simulated": score.simulated,
            "simulated_error": score.simulated_error, "distance": score.distance,
            "matched": score.matched and math.isfinite(score.distance), "source": score.moment.source,
            "match": score.moment.match} for score in found.scores],
    }
