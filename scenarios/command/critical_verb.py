"""What ``spirals critical`` does: the curve of a loss against a shock, and the critical shock on it."""

import argparse
import dataclasses
import io
import math
from pathlib import Path
from typing import Any

from spirals.scenarios.feedback.critical import Critical, CriticalQuestion, critical_shock, scenario_losses
from spirals.scenarios.inputs.faults import Faults
from spirals.scenarios.inputs.lever_range import LeverRange, parse_range
from spirals.scenarios.inputs.problems import suggestion
from spirals.scenarios.results.documents import print_json, write_json
from spirals.scenarios.results.workers import available_cores
from spirals.simulation.errors import InputError
from spirals.simulation.measures.catalogue import MEASURES, unit_of
from spirals.simulation.measures.intervals import Interval

__all__ = ["critical_document", "critical_text", "critical_verb"]


def critical_verb(options: argparse.Namespace) -> int:
    """Scan, bisect and print; 2 when the critical shock lies outside the range."""
    from spirals.scenarios.inputs.loader import resolve_scenario
    from spirals.scenarios.inputs.overrides import check_overrides
    from spirals.scenarios.results.progress import progress_bar
    from spirals.scenarios.runs.parts import Question, kept_parts

    faults = Faults()
    faults.attempt(check_overrides, options.set)
    base = faults.attempt(resolve_scenario, options.scenario, options.set, allow_code=True)
    lever = faults.attempt(parse_range, "--shock", options.shock, options.scenario, options.set)
    faults.attempt(check_measure, "--loss", options.loss)
    replications = faults.whole("--replications", options.replications, least=4) or 4
    seed = faults.whole("--seed", options.seed, least=0) or 0
    workers = faults.whole("--workers", options.workers, least=1, most=256) or available_cores()
    question = CriticalQuestion(faults.real("--tolerance", options.tolerance),
                                faults.real("--probability", options.probability),
                                faults.whole("--points", options.points, least=3) or 3)
    faults.lines += [] if faults.lines else question.problems()
    faults.raise_if_any()
    asked = {"shock": options.shock, "loss": options.loss, "tolerance": question.tolerance,
             "probability": question.probability, "seed": seed}
    with (progress_bar(question.points * replications, 0, "run", not options.quiet) as told,
          kept_parts(options.out, Question("critical", base, asked), workers=workers, told=told) as parts):
        losses = scenario_losses(options.scenario, lever, options.loss, overrides=tuple(options.set),
                                 replications=replications, seed=seed, parts=parts)
        found = critical_shock(lever, losses, question)
        document = critical_document(options.scenario, options.set, lever, options.loss, question, found)
        document |= {"replications": replications, "seed": seed, "runs": found.evaluations * replications}
        if options.out:
            _write(Path(options.out), document, found)
    if options.json:
        print_json(document)
        return 0
    print(critical_text(document))
    if options.out:
        print(f"\ncurve and figure in {options.out}")
    return 0


def check_measure(option: str, name: str) -> None:
    """Raise InputError for an outcome that no run has."""
    if name not in MEASURES:
        raise InputError([f"unknown outcome in {option}{suggestion(name, MEASURES)}; allowed: a name of spirals list "
                          f"measures; given: {name!r}"])


def critical_document(
    scenario: str, overrides: list[str], lever: LeverRange, loss: str, question: CriticalQuestion, found: Critical,
) -> dict[str, Any]:
    """Return everything as plain data."""
    curve = [{"shock": point.value, "scanned": point.scanned, "loss": point.loss.estimate, "loss_low": point.loss.low,
              "loss_high": point.loss.high, "probability": point.exceeds.estimate,
              "probability_low": point.exceeds.low, "probability_high": point.exceeds.high} for point in found.curve]
    return {
        "scenario": scenario, "overrides": list(overrides), "shock": lever.path,
        "shock_unit": lever.unit, "range": [lever.low, lever.high],
        "loss": loss, "unit": unit_of(loss), **dataclasses.asdict(question),
        "critical": {"estimate": found.estimate, "low": found.low, "high": found.high},
        "crossings": list(found.crossings), "falls": [list(pair) for pair in found.falls],
        "curve": curve,
    }


def critical_text(document: dict[str, Any]) -> str:
    """Return the answer in words and a table."""
    unit, critical = document["unit"], document["critical"]
    lines = [f"{'shock':>12s} {'mean loss [' + unit + ']':>34s} {'P(loss > tolerance)':>24s}"]
    for row in document["curve"]:
        loss = _shown(Interval(row["loss"], row["loss_low"], row["loss_high"], math.nan, 0))
        share = _shown(Interval(row["probability"], row["probability_low"], row["probability_high"], math.nan, 0))
        lines.append(f"{row['shock']:12.6g} {loss:>34s} {share:>24s}{'' if row['scanned'] else '  bisection'}")
    high = "beyond the range" if math.isnan(critical["high"]) else f"{critical['high']:.6g}"
    lines.append(f"\ncritical shock: {document['shock']} = {critical['estimate']:.6g} [{critical['low']:.6g}, {high}]: "
                 f"the smallest at which P({document['loss']} > {document['tolerance']:g} {unit}) reaches "
                 f"{document['probability']:g}; {document['replications']} seeds per shock, {document['runs']} runs")
    if len(document["crossings"]) > 1:
        places = ", ".join(f"{value:.6g}" for value in document["crossings"])
        lines.append(f"the probability changes sides more than once in the scan, at {places}: this is the first")
    for first, second in document["falls"]:
        lines.append(f"not monotone: the mean loss falls from {first:.6g} to {second:.6g}")
    return "\n".join(lines)


def _shown(one: Interval) -> str:
    return f"{one.estimate:.4g} [{one.low:.4g}, {one.high:.4g}]"


def _write(folder: Path, document: dict[str, Any], found: Critical) -> None:
    from spirals.scenarios.reports.figures import rendered
    from spirals.scenarios.reports.figures_deconvolution import figure_bytes
    from spirals.scenarios.reports.figures_feedback import critical_figure
    from spirals.scenarios.results.store import write_whole

    names = list(document["curve"][0])
    rows = [",".join(names), *(",".join(repr(row[name]) for name in names) for row in document["curve"])]
    write_whole(folder / "curve.csv", ("\n".join(rows) + "\n").encode())
    figure, picture = critical_figure(found, document), io.BytesIO()
    write_whole(folder / "curve.svg", figure_bytes(figure))
    rendered(figure, picture)
    write_whole(folder / "curve.png", picture.getvalue())
    write_json(folder / "critical.json", document)
