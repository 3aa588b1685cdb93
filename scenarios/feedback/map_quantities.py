"""Quantities of a stability map, each with the value at which the loop is taken to become unstable.

==========  ===========================================================================================  ==========
name        what                                                                                           boundary
==========  ===========================================================================================  ==========
but_for     share of the forced flow of the whole run that would not have come, had forced orders moved
            no price: ``1 - forced(T1) / forced(run)``, means over seeds, same draws (twin T1)               1/2
gain        branching ratio of the open loop: forced orders that one unit sold sets off directly              1
closed      branching ratio of the closed loop, all generations up to the horizon                            1/2
growth      rate [1/s] at which the forced flow that the probe sets off grows, second half over first half    0
==========  ===========================================================================================  ==========

*But-for share* needs no probe: it asks of the scenario's own shock how much of the selling was set off by selling. At
1/2 forced orders have set off as much again. It is an average over everybody and over the whole path, so it falls
again where the shock alone already takes everybody out: nobody is left to be set off.

The others come from a probe (:mod:`spirals.scenarios.feedback.probe`) at one moment and are those of the *state* then:
forks meet an outside price that stands still. They hang on the size of the probe. A small one is answered by nobody or
by one large account, and the paths of the two forks part anyway: the forced flow of two forks differs by one to three
per cent of the open interest however small the probe, so that noise falls as one over its size (``python -m
spirals.scenarios.feedback.probe_precision`` measures it). What a large one sets off grows less than in
proportion, so that the gain falls with size: the size is part of the question.

Closed, half of what is sold in the end being forced is the mark that fits: on a finite population and horizon the
closed-loop ratio stays below 1 (``F / (Q + F)``), and F = Q is a sale that has set off another of its size.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from spirals.scenarios.runs.parts import RUN, Part, Parts, parts_here
from spirals.simulation.measures.intervals import Interval, fieller_interval, mean_interval

if TYPE_CHECKING:
    from spirals.scenarios.feedback.probe import Probe, Response
    from spirals.scenarios.inputs.loader import Inputs
    from spirals.simulation.simulation import Simulation

__all__ = [
    "BOUNDARIES", "MapProbe", "but_for_share", "measured_but_for", "measured_by_probe", "probed", "quantity_of",
]

BOUNDARIES = {"but_for": 0.5, "gain": 1.0, "closed": 0.5, "growth": 0.0}
PROBED = "spirals.scenarios.feedback.map_quantities:probed"
Build = Callable[[float, float], "Inputs"]
Measured = Callable[[float, float], Interval]


@dataclasses.dataclass(frozen=True)
class MapProbe:
    """The probe of a map.

    Attributes
    ----------
    at_seconds : float
        [s] Its moment.
    share : float
        [fraction of the opening open interest] Its size.
    horizon_seconds : float
        [s] Of the response.
    side : int
        -1 sells, 1 buys.
    branches : int
        Pairs of forks per seed: four, because a seed costs about as many steps up to the moment as four pairs after
        it, and the forks of one state differ more than states do.
    """

    at_seconds: float
    share: float = 0.05
    horizon_seconds: float = 60.0
    side: int = -1
    branches: int = 4

    def of(self, core: "Simulation") -> "Probe":
        """Return the probe for a simulation at its moment."""
        from spirals.scenarios.feedback.impulse import ProbeAt

        seconds = min(5.0, self.horizon_seconds)
        return ProbeAt(self.share, seconds, self.horizon_seconds, self.branches).of(core, self.side)


def but_for_share(forced: ArrayLike, forced_twin: ArrayLike) -> Interval:
    """Return ``1 - mean(forced_twin) / mean(forced)`` with its interval of 95 % (Fieller, pairs over seeds).

    Parameters
    ----------
    forced, forced_twin : array_like of shape (n_seeds,)
        [quote] Forced notional of the runs and of their twins T1. Without any in the runs the share is zero.
    """
    runs, twins = np.asarray(forced, np.float64), np.asarray(forced_twin, np.float64)
    if not runs.any():
        return Interval(0.0, 0.0, 0.0, 0.0, len(runs))
    return fieller_interval(runs - twins, runs)


def measured_but_for(build: Build, seeds: list[int], parts: Parts = parts_here) -> Measured:
    """Return the function that runs a scenario and its twin T1 at two places and returns the but-for share.

    Parameters
    ----------
    build : callable
        Inputs at places of the two levers.
    seeds : list of int
        The same at every point; at least two for an interval.
    parts : Parts
        Does the runs.
    """

    def measured(x: float, y: float) -> Interval:
        inputs = build(x, y)
        outcomes = parts(RUN, [Part(inputs, seed, {"twins": ["T1"], "tables": []}) for seed in seeds])
        forced = np.array([one["forced_notional"] for one in outcomes])
        return but_for_share(forced, forced - np.array([one["excess_forced_notional"] for one in outcomes]))

    return measured


def quantity_of(name: str, response: "Response") -> float:
    """Return a probed quantity of :data:`BOUNDARIES`; growth is infinite where one half of the horizon is empty."""
    if name == "growth":
        forced = response.paths["forced"]
        half = len(forced) // 2
        early, late = float(forced[half - 1]), float(forced[-1] - forced[half - 1])
        if early <= 0.0 or late <= 0.0:
            return -math.inf if late <= 0.0 else math.inf
        return math.log(late / early) / (response.seconds[-1] - response.seconds[half - 1])
    return (response.opened if name == "gain" else response.closed).estimate


def measured_by_probe(
    build: Build, quantity: str, probe: MapProbe, seeds: list[int], parts: Parts = parts_here
) -> Measured:
    """Return the function that probes a scenario at two places and returns mean and interval over seeds.

    Parameters
    ----------
    build : callable
        Inputs at places of the two levers.
    quantity : str
        gain, closed or growth.
    probe : MapProbe
    seeds : list of int
        The same at every point; at least two for an interval.
    parts : Parts
        Makes the probes.
    """
    asked = {"quantity": quantity, "probe": dataclasses.asdict(probe)}

    def measured(x: float, y: float) -> Interval:
        inputs = build(x, y)
        found = parts(PROBED, [Part(inputs, seed, asked) for seed in seeds])
        return mean_interval(np.array([one["value"] for one in found], np.float64))

    return measured


def probed(task: dict[str, Any]) -> dict[str, float]:
    """Probe one run once.

    Parameters
    ----------
    task : dict
        ``inputs`` (resolved), ``seed``, ``quantity``, ``probe`` (fields of :class:`MapProbe`).

    Returns
    -------
    dict
        ``value``. A growth rate is cut at 1 per second on both sides: where a probe sets off nothing later on it would
        be infinite.
    """
    from spirals.agents.model import SpiralModel
    from spirals.scenarios.feedback.probe import open_loop_gain, probe_state
    from spirals.scenarios.inputs.loader import Inputs, build_scenario

    quantity, probe = task["quantity"], MapProbe(**task["probe"])
    core = SpiralModel(setup=build_scenario(Inputs(task["inputs"])), rng=task["seed"], collect_every=0).core
    core.run(max(1, round(probe.at_seconds / core.step_seconds)))
    one = probe.of(core)
    if quantity == "gain":
        return {"value": open_loop_gain(core, one).estimate}
    found = quantity_of(quantity, probe_state(core, one))
    return {"value": min(1.0, max(-1.0, found)) if quantity == "growth" else found}
