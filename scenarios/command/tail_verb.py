"""What ``spirals tail`` does: a tail probability by splitting, what it cost, and whether splitting helped."""

import argparse
import dataclasses
import math
from pathlib import Path
from typing import Any

from spirals.scenarios.feedback.critical import wilson_interval
from spirals.scenarios.feedback.tail import SCORES, Tail, TailQuestion, tail_of, tail_probability
from spirals.scenarios.feedback.tail_population import Population, population
from spirals.scenarios.inputs.faults import Faults
from spirals.scenarios.results.documents import print_json, write_json

__all__ = ["tail_document", "tail_text", "tail_verb"]


def tail_verb(options: argparse.Namespace) -> int:
    """Estimate and print."""
    from spirals.scenarios.inputs.loader import load_scenario
    from spirals.scenarios.inputs.overrides import check_overrides
    from spirals.scenarios.results.first_use import announced
    from spirals.scenarios.results.progress import progress_bar

    faults = Faults()
    faults.attempt(check_overrides, options.set)
    scenario = faults.attempt(load_scenario, options.scenario, options.set)
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
    with announced(), progress_bar(question.replications, 0, "population", not options.quiet) as told:
        found = (tail_probability(scenario, question, told) if workers == 1
                 else _in_processes(options.scenario, options.set, scenario.steps, question, workers, told))
    document = tail_document(options.scenario, options.set, found)
    if options.out:

        write_json(Path(options.out) / "tail.json", document)
    if options.json:
        print_json(document)
    else:
        print(tail_text(document))
    return 0


def _in_processes(
    source: str, overrides: list[str], run_steps: int, question: TailQuestion, workers: int, told: Any
) -> Tail:
    """Answer with several processes; the same to the last bit as with one."""
    from spirals.scenarios.results.workers import end_children, process_pool

    with process_pool(min(workers, question.replications)) as pool:
        try:
            waiting = [pool.submit(one_population, source, overrides, question, replication)
                       for replication in range(question.replications)]
            found = []
            for future in waiting:
                found.append(future.result())
                told(1)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            end_children(set())
            raise
    return tail_of(question, run_steps, found)


def one_population(source: str, overrides: list[str], question: TailQuestion, replication: int) -> Population:
    """Load a scenario and run one population: the task of a process."""
    from spirals.scenarios.inputs.loader import load_scenario

    return population(load_scenario(source, overrides), question, replication)


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
