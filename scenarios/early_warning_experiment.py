"""Does the stability margin warn of a cascade earlier than volatility or leverage do? An experiment over many crashes.

Every seed draws its own crash. A first run finds the start of its first material cascade; a second, the same to the
last bit, is looked at every so often up to that moment. Each look has four scores: the gain of the loop (one minus
the stability margin, the larger of a sale's and a purchase's), the volatility that the margin policy reads, leverage
(notional over equity of the traders) and margin use (their maintenance margin over their equity).

``python -m spirals.scenarios.early_warning_experiment`` prints how well each score tells looks that a cascade follows
within T seconds from looks that none follows, with intervals over runs. A crash that comes out of nowhere cannot be
announced by anything that is known before: what a score can tell is how little it takes. So probes meet an outside
price that stands still: a fork on the path to come would know the next seconds.
"""

import argparse
import dataclasses
import math
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spirals.scenarios.early_warning import Looks, WarningQuality, warning_quality
from spirals.simulation.errors import InputError

if TYPE_CHECKING:
    from spirals.scenarios.scenario import Scenario
    from spirals.simulation.simulation import Simulation

__all__ = ["Looking", "look_at_runs", "main", "warning_table"]

SCORE_NAMES = ("gain", "volatility", "leverage", "margin_use")


@dataclasses.dataclass(frozen=True)
class Looking:
    """When to look, with which probe, and what counts as a cascade.

    Attributes
    ----------
    within_seconds : float
        [s] T: how far ahead a warning counts.
    every_seconds : float
        [s] Between two looks.
    material : float
        [fraction of opening open interest] Liquidated notional from which a cascade is material.
    probe_share : float
        [fraction of opening open interest] Size of the probe.
    horizon_seconds : float
        [s] Of the probe.
    branches : int
        Pairs of forks per probe.
    """

    within_seconds: float = 60.0
    every_seconds: float = 15.0
    material: float = 0.01
    probe_share: float = 0.05
    horizon_seconds: float = 30.0
    branches: int = 2

    def problems(self) -> list[str]:
        """Return every fault."""
        found = [f"{field.name} must be above 0, was {getattr(self, field.name)!r}"
                 for field in dataclasses.fields(self) if not getattr(self, field.name) > 0]
        return found + ([] if self.branches >= 2 else [f"branches must be at least 2, was {self.branches!r}"])


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


def _opened(scenario: "Scenario", seed: int) -> "Simulation":
    from spirals.agents.model import SpiralModel

    return SpiralModel(setup=scenario, rng=seed, collect_every=0).core


def _onset(scenario: "Scenario", seed: int, looking: Looking) -> float:
    """Return when the first material cascade starts [s], infinite if none does."""
    from spirals.simulation.measures.cascades import cascades

    core = _opened(scenario, seed)
    core.run()
    record = core.record()
    starts = [one.start_step for one in cascades(record)
              if one.notional >= looking.material * record.opening_open_interest]
    return min(starts) * record.step_seconds if starts else math.inf


def _looks(scenario: "Scenario", seed: int, looking: Looking, onset: float) -> list[tuple[float, list[float]]]:
    from spirals.simulation.copying import fork

    core, found = _opened(scenario, seed), []
    gap = max(1, round(looking.every_seconds / core.step_seconds))
    end = core.n_steps * core.step_seconds
    last = onset if math.isfinite(onset) else end - looking.within_seconds
    worker = fork(core)
    while (core.step_index + gap) * core.step_seconds < last:
        core.run(gap)
        now = core.step_index * core.step_seconds
        if now + looking.within_seconds <= end or onset <= end:
            found.append((now, _scores(core, worker, looking)))
    return found


def _scores(core: "Simulation", worker: "Simulation", looking: Looking) -> list[float]:
    """Return the scores of a state, in the order of the names."""
    from spirals.scenarios.probe import BUY, SELL, Probe, open_loop_gain
    from spirals.simulation.state import Kind

    notional = float((core.opening_open_interest * core.contracts["lot_value"] * core.contracts["atom"]
                      * core.market.record["mark"]).sum())
    gains = [open_loop_gain(core, Probe(looking.probe_share * notional, seconds=min(5.0, looking.horizon_seconds),
                                        horizon_seconds=looking.horizon_seconds, side=side, branches=looking.branches,
                                        still=True),
                            worker).estimate for side in (SELL, BUY)]
    traders = core.accounts["kind"] == Kind.TRADER
    money = core.accounts[traders]
    value = np.abs(core.positions["lots"][traders]) * (core.contracts["lot_value"] * core.market.record["mark"])
    equity = max(float(money["equity"].sum()), 1.0)
    return [max(gains), float(core.market.record["volatility"][0]), float(value.sum()) / equity,
            float(money["maintenance_margin"].sum()) / equity]


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
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--override", action="append", default=[], metavar="PATH=VALUE")
    parser.add_argument("--false-alarms", type=float, default=0.1, help="share of calm looks that may sound the alarm")
    for field in dataclasses.fields(Looking):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=type(field.default), default=field.default)
    options = parser.parse_args(arguments)
    from spirals.scenarios.design import replication_seed
    from spirals.scenarios.loader import load_scenario
    from spirals.scenarios.progress import progress_bar

    looking = Looking(**{field.name: getattr(options, field.name) for field in dataclasses.fields(Looking)})
    try:
        scenario = load_scenario(options.scenario, options.override)
        with progress_bar(options.runs, 0, "run", True) as told:
            looks = look_at_runs(scenario, [replication_seed(0, k) for k in range(options.runs)], looking, told)
        found = warning_quality(looks, looking.within_seconds, false_alarm_rate=options.false_alarms)
    except InputError as error:
        print("\n".join(error.problems), file=sys.stderr)
        return 2
    ahead = looks.labels(looking.within_seconds)
    struck = len(np.unique(looks.run[np.isfinite(looks.onset)]))
    print(f"{options.scenario}, {options.runs} runs, {struck} looked at before a material cascade; {len(ahead)} looks, "
          f"{int(ahead.sum())} within {looking.within_seconds:g} s of one")
    print(warning_table(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
