"""How early and how reliably does a state tell of a cascade? An experiment over many crashes.

Every seed draws its own crash. A first run finds the start of its first material cascade; a second, the same to the
last bit, is looked at every so often up to that moment. Scores: :mod:`spirals.scenarios.feedback.early_warning_scores`.

``python -m spirals.scenarios.feedback.early_warning_experiment SCENARIO`` prints how well each score tells looks that
a cascade follows within T seconds from looks that none follows, with intervals over runs; and, once the crash has
begun, how well it ranks runs by what comes (:mod:`spirals.scenarios.feedback.early_warning_ranks`). A crash that comes
out of nowhere cannot be announced by anything that is known before: what a score can tell is how little it takes.
"""

import argparse
import dataclasses
import math
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spirals.scenarios.feedback.early_warning import Looks, WarningQuality, warning_quality
from spirals.scenarios.feedback.early_warning_ranks import beginnings, rank_table
from spirals.scenarios.feedback.early_warning_scores import SCORE_NAMES, Looking, opened, scores_of
from spirals.simulation.errors import InputError

if TYPE_CHECKING:
    from spirals.scenarios.inputs.scenario import Scenario

__all__ = ["look_at_runs", "main", "warning_table"]


def look_at_runs(
    scenario: "Scenario", seeds: Sequence[int], looking: Looking, told: Callable[[int], Any] = lambda done: None
) -> Looks:
    """Run a scenario for every seed and look at it until its first material cascade starts.

    Looks whose next T seconds reach beyond the end of the run are left out, unless the cascade comes before.

    Parameters
    ----------
    scenario : Scenario
    seeds : sequence of int
    looking : Looking
    told : callable
        Called with 1 after each seed.

    Raises
    ------
    InputError
        With every fault of `looking`.
    """
    problems = looking.problems()
    if problems:
        raise InputError(problems)
    runs, times, onsets, rows = [], [], [], []
    for number, seed in enumerate(seeds):
        onset = _onset(scenario, seed, looking)
        for second, scores in _looks(scenario, seed, looking, onset):
            runs.append(number)
            times.append(second)
            onsets.append(onset)
            rows.append(scores)
        told(1)
    table = np.array(rows, np.float64).reshape(-1, len(SCORE_NAMES))
    return Looks(np.array(runs, np.int64), np.array(times, np.float64), np.array(onsets, np.float64),
                 {name: table[:, k] for k, name in enumerate(SCORE_NAMES)})


def _onset(scenario: "Scenario", seed: int, looking: Looking) -> float:
    """Return when the first material cascade starts [s], infinite if none does."""
    from spirals.simulation.measures.cascades import cascades

    core = opened(scenario, seed)
    core.run()
    record = core.record()
    starts = [one.start_step for one in cascades(record)
              if one.notional >= looking.material * record.opening_open_interest]
    return min(starts) * record.step_seconds if starts else math.inf


def _looks(scenario: "Scenario", seed: int, looking: Looking, onset: float) -> list[tuple[float, list[float]]]:
    from spirals.simulation.copying import fork

    core, found = opened(scenario, seed), []
    gap = max(1, round(looking.every_seconds / core.step_seconds))
    end = core.n_steps * core.step_seconds
    last = onset if math.isfinite(onset) else end - looking.within_seconds
    worker = fork(core)
    while (core.step_index + gap) * core.step_seconds < last:
        core.run(gap)
        now = core.step_index * core.step_seconds
        if now + looking.within_seconds <= end or onset <= end:
            found.append((now, scores_of(core, worker, looking)))
    return found


def warning_table(found: Sequence[WarningQuality]) -> str:
    """Return the answer as a table."""
    lines = [f"{'score':12s} {'area under ROC':>22s} {'threshold':>10s} {'false alarms':>13s} "
             f"{'runs warned':>20s} {'lead [s]':>18s}"]
    for one in found:
        area, share, lead = (f"{part.estimate:.3g} [{part.low:.3g}, {part.high:.3g}]"
                             for part in (one.auc, one.detected, one.lead_seconds))
        lines.append(f"{one.score:12s} {area:>22s} {one.threshold:10.3g} {one.false_alarms:13.3f} {share:>20s} "
                     f"{lead:>18s}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table for one scenario; 2 for bad input."""
    parser = argparse.ArgumentParser(description="how early and how reliably the stability margin warns of a cascade")
    parser.add_argument("scenario", nargs="?", default="crash-ensemble")
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0, help="root of the seeds")
    parser.add_argument("--override", action="append", default=[], metavar="PATH=VALUE")
    parser.add_argument("--false-alarms", type=float, default=0.1, help="share of calm looks that may sound the alarm")
    parser.add_argument("--within-seconds", type=_seconds, default=(20.0, 60.0), metavar="T[,T]",
                        help="how far ahead a warning counts (default 20,60)")
    fields = [field for field in dataclasses.fields(Looking) if field.name != "within_seconds"]
    for field in fields:
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=type(field.default), default=field.default)
    options = parser.parse_args(arguments)
    looking = Looking(max(options.within_seconds), **{field.name: getattr(options, field.name) for field in fields})
    try:
        _print_answers(options, looking)
    except InputError as error:
        print("\n".join(error.problems), file=sys.stderr)
        return 2
    return 0


def _seconds(text: str) -> tuple[float, ...]:
    return tuple(float(word) for word in text.split(","))


def _print_answers(options: argparse.Namespace, looking: Looking) -> None:
    from spirals.scenarios.inputs.design import replication_seed
    from spirals.scenarios.inputs.loader import load_scenario
    from spirals.scenarios.results.progress import progress_bar

    scenario = load_scenario(options.scenario, options.override)
    seeds = [replication_seed(options.seed, k) for k in range(options.runs)]
    with progress_bar(2 * options.runs, 0, "run", True) as told:
        looks = look_at_runs(scenario, seeds, looking, told)
        begun = beginnings(scenario, seeds, looking, told)
    struck = len(np.unique(looks.run[np.isfinite(looks.onset)]))
    print(" ".join([options.scenario, *options.override]))
    print(", ".join(f"{name} {value:g}" for name, value in dataclasses.asdict(looking).items() if name[0] != "w"))
    print(f"{options.runs} runs, {struck} looked at before a material cascade; {len(looks.seconds)} looks")
    for within in options.within_seconds:
        print(f"\n{int(looks.labels(within).sum())} looks within {within:g} s of a cascade")
        print(warning_table(warning_quality(looks, within, false_alarm_rate=options.false_alarms)))
    print(f"\n{len(begun.seconds)} runs whose outside price moved {looking.begins:g} from its opening: rank "
          "correlation of the scores then with")
    print(rank_table(begun))


if __name__ == "__main__":
    raise SystemExit(main())
