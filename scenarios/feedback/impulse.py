"""Impulse responses: what price, margin, depth and forced flow answer to a sale and to a purchase of stated size.

One state per seed is probed (:mod:`spirals.scenarios.feedback.probe`), on both sides; the answer is the mean over
seeds, so that it is not that of one population. With a single seed it is the mean over the forks of that state.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spirals.scenarios.feedback.probe import BUY, RESPONSES, SELL, Probe, Response, probe_state
from spirals.scenarios.runs.parts import Part, Parts, parts_here
from spirals.simulation.measures.intervals import Interval, fieller_interval, mean_interval

if TYPE_CHECKING:
    from spirals.scenarios.inputs.loader import Inputs

__all__ = ["SIDES", "Impulse", "ProbeAt", "answered", "impulse_document", "impulses"]

ANSWERED = "spirals.scenarios.feedback.impulse:answered"

SIDES = {"sell": SELL, "buy": BUY}


@dataclasses.dataclass(frozen=True)
class ProbeAt:
    """A probe whose size is a share of the opening open interest.

    Attributes
    ----------
    share : float
        [fraction of the opening open interest, at the mark of the moment]
    seconds, horizon_seconds : float
        [s] As of :class:`~spirals.scenarios.feedback.probe.Probe`.
    branches : int
        Pairs of forks per state.
    still : bool
        Whether the outside price stands still from the moment on.
    """

    share: float = 0.05
    seconds: float = 5.0
    horizon_seconds: float = 120.0
    branches: int = 2
    still: bool = True

    def of(self, core: Any, side: int) -> Probe:
        """Return the probe of one state."""
        lots = core.opening_open_interest[0] * core.contracts["lot_value"][0] * core.contracts["atom"][0]
        return Probe(self.share * float(lots * core.market.record["mark"][0]),
                     max(self.seconds, core.step_seconds), max(self.horizon_seconds, core.step_seconds), side,
                     self.branches, self.still)


@dataclasses.dataclass(frozen=True)
class Impulse:
    """The answer to a probe on one side.

    Attributes
    ----------
    side : str
        Name of :data:`SIDES`.
    at_seconds : float
        [s] Moment of the probe.
    size : float
        [quote] Mean over seeds.
    seconds : ndarray of shape (n,)
        [s] Since the start of the probe.
    mean, error : dict of str to ndarray of shape (n,)
        Mean and standard error by name of :data:`~spirals.scenarios.feedback.probe.RESPONSES`; over seeds, or over the
        forks of a single seed.
    opened, closed : Interval
        Loop gain by the open and the closed loop; over seeds the latter is a ratio of means, with Fieller's interval.
    """

    side: str
    at_seconds: float
    size: float
    seconds: NDArray[np.float64]
    mean: dict[str, NDArray[np.float64]]
    error: dict[str, NDArray[np.float64]]
    opened: Interval
    closed: Interval


def impulses(
    inputs: "Inputs", probe: ProbeAt, at_seconds: Sequence[float], seeds: Sequence[int],
    sides: Sequence[str] = ("sell", "buy"), parts: Parts = parts_here,
) -> list[Impulse]:
    """Return the answers of a scenario at some moments, moment by moment and side by side.

    Parameters
    ----------
    inputs : Inputs
        Of the scenario.
    probe : ProbeAt
    at_seconds : sequence of float
        [s] Increasing, each before the end of the scenario.
    seeds : sequence of int
        At least one.
    sides : sequence of str
        Names of :data:`SIDES`.
    parts : Parts
        Makes the answers of every seed.

    Raises
    ------
    InputError
        Parameters of the probe out of range.
    """
    asked = {"probe": dataclasses.asdict(probe), "at_seconds": list(at_seconds), "sides": list(sides)}
    found = [row["answers"] for row in parts(ANSWERED, [Part(inputs, seed, asked) for seed in seeds])]
    return [_pooled(side, at, [(one[place]["size"], Response.of_plain(one[place]["response"])) for one in found])
            for place, (at, side) in enumerate(itertools.product(at_seconds, sides))]


def answered(task: dict[str, Any]) -> dict[str, Any]:
    """Probe one run at some moments on some sides.

    Parameters
    ----------
    task : dict
        ``inputs`` (resolved), ``seed``, ``probe`` (fields of :class:`ProbeAt`), ``at_seconds``, ``sides``.

    Returns
    -------
    dict
        ``answers``, moment by moment and side by side: ``size`` and ``response``.
    """
    from spirals.agents.model import SpiralModel
    from spirals.scenarios.inputs.loader import Inputs, build_scenario

    probe, answers = ProbeAt(**task["probe"]), []
    core = SpiralModel(setup=build_scenario(Inputs(task["inputs"])), rng=task["seed"], collect_every=0).core
    for at in task["at_seconds"]:
        core.run(max(0, round(at / core.step_seconds) - core.step_index))
        for side in task["sides"]:
            one = probe.of(core, SIDES[side])
            answers.append({"size": one.size, "response": probe_state(core, one).plain()})
    return {"answers": answers}


def _pooled(side: str, at_seconds: float, found: list[tuple[float, Response]]) -> Impulse:
    responses = [response for _, response in found]
    if len(responses) == 1:
        (one,) = responses
        return Impulse(side, at_seconds, found[0][0], one.seconds, one.paths, one.errors, one.opened, one.closed)
    sizes, forced = np.array([size for size, _ in found]), np.array([one.paths["forced"][-1] for one in responses])
    stacked = {name: np.stack([one.paths[name] for one in responses]) for name in RESPONSES}
    return Impulse(
        side, at_seconds, float(sizes.mean()), responses[0].seconds,
        {name: paths.mean(axis=0) for name, paths in stacked.items()},
        {name: paths.std(axis=0, ddof=1) / np.sqrt(len(paths)) for name, paths in stacked.items()},
        mean_interval(np.array([one.opened.estimate for one in responses])),
        fieller_interval(forced, sizes + forced))


def impulse_document(
    scenario: str, overrides: Sequence[str], probe: ProbeAt, found: Sequence[Impulse]
) -> dict[str, Any]:
    """Return everything as plain data."""
    rows = []
    for one in found:
        gains: dict[str, float] = {}
        for name, interval in (("opened", one.opened), ("closed", one.closed)):
            gains |= {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}
        rows.append({
            "side": one.side, "at_seconds": one.at_seconds, "size": one.size, **gains,
            "stability_margin": 1.0 - one.opened.estimate, "seconds": one.seconds.tolist(),
            **{name: one.mean[name].tolist() for name in RESPONSES},
            **{f"{name}_error": one.error[name].tolist() for name in RESPONSES},
        })
    return {"scenario": scenario, "overrides": list(overrides), **dataclasses.asdict(probe), "units": RESPONSES,
            "responses": rows}
