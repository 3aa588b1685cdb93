"""Convergence: what may not matter - the step, the number of accounts, the round bound, the units.

``python -m spirals.scenarios.experiments.convergence [SCENARIO ...] [--full]`` prints the outcomes of every change
beside those of the base, the paired difference with its standard error, and the tolerance of :data:`TOLERANCES`.
"""

import argparse
import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from spirals.scenarios.inputs.loader import load_scenario
from spirals.scenarios.inputs.scenario import Scenario
from spirals.scenarios.runs.one_run import run_scenario as run
from spirals.simulation.measures.intervals import student_quantile

__all__ = ["TOLERANCES", "Comparison", "Tolerance", "changes", "compare", "outcomes_of"]

Outcomes = list[dict[str, float]]
SCENARIOS = ("flash-crash", "black-thursday-2020")
CERTAIN = 0.90   # two-sided level of the Student quantile: 95 % on one side


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """Largest acceptable change of an outcome: ``absolute + relative * |base|``.

    Attributes
    ----------
    outcome : str
        Name of an outcome.
    absolute : float
        [unit of the outcome]
    relative : float
        [fraction of the base]
    reason : str
    """

    outcome: str
    absolute: float
    relative: float
    reason: str


TOLERANCES = (
    Tolerance("drawdown_mark", 0.003, 0.02, "a third of the effects that studies of the margin policy look for (1 pp); "
                                            "a finer step finds a deeper extreme of the same path"),
    Tolerance("excess_drawdown", 0.003, 0.15, "the same, and no more than half of the interval of 24 seeds"),
    Tolerance("liquidated_to_opening_oi", 0.02, 0.05, "drawdown tolerance times about four shares of open interest "
                                                      "whose thresholds lie within 1 %"),
    Tolerance("forced_t50_seconds", 10.0, 0.0, "a sixth of the minute in which margins are repriced"),
    Tolerance("bad_debt_to_liquidated", 0.002, 0.25, "20 bp of what is sold: bad debt lies in the tail of the fills"),
)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One outcome, before and after a change; the difference is paired by seed."""

    change: str
    tolerance: Tolerance
    base: float
    changed: float
    error: float
    seeds: int

    @property
    def allowed(self) -> float:
        """Tolerance in the unit of the outcome."""
        return self.tolerance.absolute + self.tolerance.relative * abs(self.base)

    @property
    def verdict(self) -> str:
        """"within" or "beyond" the tolerance with 95 % certainty, else "open"."""
        difference = abs(self.changed - self.base)
        reach = student_quantile(CERTAIN, self.seeds - 1) * self.error
        if difference + reach <= self.allowed:
            return "within"
        return "beyond" if difference - reach > self.allowed else "open"


def changes(name: str, overrides: Sequence[str] = ()) -> dict[str, list[str]]:
    """Return the changes that may not matter for a scenario, as overrides."""
    scenario = load_scenario(name, overrides=list(overrides))
    found = {f"step {seconds:g} s": _steps(scenario, seconds) for seconds in (0.5, 0.25)}
    found["accounts x 10"] = [f"population.traders={10 * scenario.population.traders}"]
    found["round bound x 2"] = [f"engine.max_rounds={2 * scenario.engine.max_rounds}"]
    one = scenario.instruments[0]
    found["lots / 10"] = [f"instruments.0.lot_size={one.lot_size / 10:.12g}"]
    price = getattr(scenario.outside_world, "price", None)
    if isinstance(price, float):
        found["price x 10"] = [
            f"outside_world.price={10 * price:.12g}", f"instruments.0.tick_size={10 * one.tick_size:.12g}",
            f"instruments.0.max_price={10 * one.max_price:.12g}", f"instruments.0.lot_size={one.lot_size / 10:.12g}",
        ]
    return found


def _steps(scenario: Scenario, seconds: float) -> list[str]:
    steps = round(scenario.steps * scenario.step_seconds / seconds)
    return [f"step_seconds={seconds:g}", f"steps={steps}"]


def outcomes_of(name: str, overrides: Sequence[str], seeds: Sequence[int]) -> Outcomes:
    """Run a scenario with its twin T1 for every seed; return the outcomes."""
    scenario = load_scenario(name, overrides=list(overrides))
    return [run(scenario, seed=seed, twins=["T1"]).outcomes for seed in seeds]


def compare(change: str, base: Outcomes, changed: Outcomes) -> list[Comparison]:
    """Return the comparison of every outcome with a tolerance."""
    found = []
    for tolerance in TOLERANCES:
        before, after = (np.array([row[tolerance.outcome] for row in rows]) for rows in (base, changed))
        error = float(np.std(after - before, ddof=1) / math.sqrt(len(before)))
        found.append(Comparison(change, tolerance, float(before.mean()), float(after.mean()), error, len(before)))
    return found


def text(rows: list[Comparison]) -> str:
    """Return a table of comparisons."""
    lines = [f"{'change':16s} {'outcome':25s} {'base':>9s} {'changed':>9s} {'difference':>18s} {'allowed':>9s} verdict"]
    for row in rows:
        difference = f"{row.changed - row.base:+.4f} ({row.error:.4f})"
        lines.append(f"{row.change:16s} {row.tolerance.outcome:25s} {row.base:9.4f} {row.changed:9.4f} "
                     f"{difference:>18s} {row.allowed:9.4f} {row.verdict}")
    return "\n".join(lines)


def main() -> None:
    """Print the table of every scenario asked for."""
    parser = argparse.ArgumentParser(description="outcomes under changes that may not matter")
    parser.add_argument("scenarios", nargs="*", default=SCENARIOS)
    parser.add_argument("--full", action="store_true", help="24 seeds instead of 6, and 10 times the accounts")
    parser.add_argument("--seeds", type=int, help="seeds, at least 2 (default 6, full 24)")
    parser.add_argument("--only", metavar="CHANGE", help="one change by its name in the table")
    parser.add_argument("--override", action="append", default=[], metavar="PATH=VALUE")
    options = parser.parse_args()
    count = options.seeds if options.seeds is not None else 24 if options.full else 6
    if count < 2:
        parser.error(f"--seeds must be at least 2, was {count}")
    seeds = range(1, count + 1)
    for name in options.scenarios:
        known = changes(name, options.override)
        if options.only is not None and options.only not in known:
            parser.error(f"--only must be one of {', '.join(known)}, was {options.only!r}")
        base, rows = outcomes_of(name, options.override, seeds), []
        for change, overrides in known.items():
            if change == options.only or (options.only is None and (options.full or change != "accounts x 10")):
                rows += compare(change, base, outcomes_of(name, [*options.override, *overrides], seeds))
        print(f"{name}, {len(seeds)} seeds, twin T1")
        print(text(rows), flush=True)
    print("\n".join(f"{one.outcome}: {one.absolute:g} + {one.relative:g} of the base; {one.reason}"
                    for one in TOLERANCES))


if __name__ == "__main__":
    main()
