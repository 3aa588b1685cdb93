"""What ``spirals tail`` does: a tail probability by splitting, what it cost, and whether splitting helped."""

import argparse
import dataclasses
import math
from pathlib import Path
from typing import Any

from spirals.scenarios.feedback.critical import wilson_interval
from spirals.scenarios.feedback.tail import SCORES, Tail, TailQuestion, tail_probability
from spirals.scenarios.inputs.faults import Faults
from spirals.scenarios.results.documents import print_json, write_json

__all__ = ["tail_document", "tail_text", "tail_verb"]


def tail_verb(options: argparse.Namespace) -> int:
    """Estimate and print."""
    from spirals.scenarios.inputs.loader import resolve_scenario
    from spirals.scenarios.inputs.overrides import check_overrides
    from spirals.scenarios.results.progress import progress_bar
    from spirals.scenarios.runs.parts import Question, kept_parts

    faults = Faults()
    faults.attempt(check_overrides, options.set)
    inputs = faults.attempt(resolve_scenario, options.scenario, options.set, allow_code=True)
    question = TailQuestion(
        options.score, faults.real("--level", options.level), options.guide,
        faults.whole("--particles", options.particles, least=2) or 2,
        faults.whole("--replications", options.replications, least=2) or 2, faults.real("--every", options.every),
        faults.whole("--seed", options.seed, least=0) or 0)
    workers = faults.whole("--workers", options.workers, least=1, most=256) or 1
    told_already = {"--level": "level", "--every": "every_seconds"}
    faults.lines += [line for line in question.problems()
                     if not any(line.startswith(field) and any(option in one for one in faults.lines)
                                for option, field in told_already.items())]
    faults.lines = list(dict.fromkeys(faults.lines))
    faults.raise_if_any()
    owned = Question("tail", inputs, question.of_one_population())
    with (progress_bar(question.replications, 0, "population", not options.quiet) as told,
          kept_parts(options.out, owned, workers=workers, told=told) as parts):
        found = tail_probability(inputs, question, parts)
        document = tail_document(options.scenario, options.set, found)
        if options.out:
            write_json(Path(options.out) / "tail.json", document)
    if options.json:
        print_json(document)
    else:
        print(tail_text(document))
    return 0


def tail_document(scenario: str, overrides: list[str], found: Tail) -> dict[str, Any]:
    """Return everything as plain data."""
    estimate, (reached, runs) = found.estimate, found.plain
    plain_share = wilson_interval(reached, runs)
    return {
        "scenario": scenario, "overrides": list(overrides), **dataclasses.asdict(found.question),
        "probability": estimate.mean, "low": estimate.low, "high": estimate.high,
        "standard_error": estimate.standard_error,
        "half_width": (estimate.high - estimate.mean) / estimate.mean if estimate.mean > 0.0 else math.nan,
        "estimates": estimate.estimates.tolist(), "steps": found.steps, "runs_worth": found.steps / found.run_steps,
        "plain": {"reached": reached, "runs": runs, "share": plain_share.estimate, "low": plain_share.low,
                  "high": plain_share.high},
        "plain_runs_for_same_error": found.plain_runs, "speed_up": found.speed_up, "moved": found.moved,
        "jump": found.jump, "opening": found.opening, "redrawn": found.redrawn, "verdict": found.verdict,
    }


def tail_text(document: dict[str, Any]) -> str:
    """Return the answer in words."""
    unit = SCORES[document["score"]].partition("[")[2].rstrip("]")
    plain_ = document["plain"]
    lines = [
        f"P({document['score']} reaches {document['level']:g} {unit}) = {document['probability']:.4g} "
        f"[{document['low']:.4g}, {document['high']:.4g}] (95 %, {document['replications']} populations of "
        f"{document['particles']}; half-width {document['half_width']:.0%} of it)",
        f"cost: {document['steps']} steps, those of {document['runs_worth']:.0f} plain runs; plain runs for the same "
        f"standard error: {document['plain_runs_for_same_error']:.0f}",
        f"plain runs among them: {plain_['reached']} of {plain_['runs']} reached it "
        f"({plain_['share']:.4g} [{plain_['low']:.4g}, {plain_['high']:.4g}])",
        document["verdict"],
    ]
    if not document["redrawn"]:
        lines.append("the outside path has no noise of its own and was not drawn anew: forks differ in the venue's own "
                     "noise only")
    return "\n".join(lines).replace("nan%", "n/a").replace("nan", "n/a")
