"""How precise is a gain by probes, and why: its noise over the size of the probe, over forks and over seeds.

``python -m spirals.scenarios.feedback.probe_precision flash-crash --at 420`` prints for every size the mean gain of
the open loop with its standard error, the standard deviation over the forks of one state and over states (seeds), and
the first of them times the size: the noise of the forced flow itself, in shares of the open interest. Where that is
the same for every size, it is no property of the probe: two forks part whatever sets them apart, and small probes
drown in it.
"""

import argparse
import dataclasses
import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.errors import InputError

if TYPE_CHECKING:
    from spirals.scenarios.feedback.map_quantities import MapProbe
    from spirals.scenarios.inputs.scenario import Scenario

__all__ = ["Precision", "gains_by_size", "main", "precision", "precision_table"]

SIZES = (0.005, 0.01, 0.02, 0.05, 0.1)   # [fraction of the opening open interest]


@dataclasses.dataclass(frozen=True)
class Precision:
    """Mean gain over states and its sources of noise.

    Attributes
    ----------
    mean, error : float
        [ratio] Mean over states, its standard error.
    forks : float
        [ratio] Standard deviation over the forks of one state.
    states : float
        [ratio] Standard deviation over states of what infinitely many forks would give; 0 where forks explain all.
    """

    mean: float
    error: float
    forks: float
    states: float


def precision(gains: NDArray[np.float64]) -> Precision:
    """Return mean and components of variance of gains of shape (states, forks), at least two of each."""
    count, forks = gains.shape
    within = float(gains.var(axis=1, ddof=1).mean())
    over = float(gains.mean(axis=1).var(ddof=1))
    return Precision(float(gains.mean()), math.sqrt(over / count), math.sqrt(within),
                     math.sqrt(max(0.0, over - within / forks)))


def gains_by_size(
    scenario: "Scenario", probe: "MapProbe", sizes: Sequence[float], seeds: Sequence[int]
) -> dict[float, NDArray[np.float64]]:
    """Return gains of shape (seeds, branches) by size of the probe, from the same states."""
    from spirals.agents.model import SpiralModel
    from spirals.scenarios.feedback.probe import open_loop_gains
    from spirals.simulation.copying import fork

    found: dict[float, list[NDArray[np.float64]]] = {size: [] for size in sizes}
    for seed in seeds:
        core = SpiralModel(setup=scenario, rng=seed, collect_every=0).core
        core.run(max(1, round(probe.at_seconds / core.step_seconds)))
        worker = fork(core)
        for size in sizes:
            one = dataclasses.replace(probe, share=size).of(core)
            found[size].append(open_loop_gains(core, one, worker))
    return {size: np.array(rows) for size, rows in found.items()}


def precision_table(found: dict[float, NDArray[np.float64]]) -> str:
    """Return the answer as a table, one row per size."""
    lines = [f"{'probe':>8s} {'gain':>7s} {'s.e.':>7s} {'s.d. forks':>11s} {'s.d. states':>12s} {'forks x size':>13s}"]
    for size, gains in found.items():
        one = precision(gains)
        lines.append(f"{100.0 * size:6.2f} % {one.mean:7.3f} {one.error:7.3f} {one.forks:11.3f} {one.states:12.3f} "
                     f"{100.0 * one.forks * size:11.2f} %")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table for one scenario; 2 for bad input."""
    parser = argparse.ArgumentParser(description="noise of the gain by probes over size, forks and seeds")
    parser.add_argument("scenario", nargs="?", default="flash-crash")
    parser.add_argument("--override", action="append", default=[], metavar="PATH=VALUE")
    parser.add_argument("--at", type=float, default=420.0, help="[s] moment of the probe")
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--branches", type=int, default=4)
    options = parser.parse_args(arguments)
    from spirals.scenarios.feedback.map_quantities import MapProbe
    from spirals.scenarios.inputs.design import replication_seed
    from spirals.scenarios.inputs.loader import load_scenario

    try:
        if options.runs < 2:
            raise InputError([f"runs must be at least 2, was {options.runs}"])
        found = gains_by_size(load_scenario(options.scenario, options.override),
                              MapProbe(options.at, branches=options.branches), SIZES,
                              [replication_seed(0, k) for k in range(options.runs)])
    except InputError as error:
        print("\n".join(error.problems), file=sys.stderr)
        return 2
    print(precision_table(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
