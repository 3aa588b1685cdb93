"""Probes: the loop gain of a state, by intervention.

From one state two forks run on with the same draws; one of them also meets a *probe*, market orders of a stated size
spread over a stated time. The difference is the response. Averaged over forks with other draws, because to a very
small order the response is a step function.

- *Closed loop*: what forced orders F within the horizon come on top of the probe Q. ``n = F / (Q + F)``, so that
  ``1 / (1 - n) = (Q + F) / Q``.
- *Open loop*: the same with forced orders filled at the mark by the warehouse (twin T2), so that the first generation
  moves nothing: ``n = F1 / Q``, the integral of the first-generation kernel up to the horizon.

A linear loop gives the same number twice. The *stability margin* of a state is ``1 - n`` of the open loop: at zero a
sale sets off a sale of its own size. On a finite population n above 1 is no divergence: it ends when those who can
be liquidated are gone.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.copying import copy_into, fork
from spirals.simulation.engine import TWINS, Engine
from spirals.simulation.errors import InputError
from spirals.simulation.market.view import MarketState
from spirals.simulation.measures.forced_flow import FORCED_CAUSES
from spirals.simulation.measures.intervals import Interval, mean_interval
from spirals.simulation.open_loop import ClosedLoop

if TYPE_CHECKING:
    from spirals.simulation.market.market import Market
    from spirals.simulation.simulation import Simulation

__all__ = [
    "RESPONSES", "Probe", "Response", "open_loop_gain", "open_loop_gains", "probe_state", "series", "stability_path",
]

RESPONSES = {
    "mark": "log price", "mid": "log price", "initial_rate": "fraction of notional",
    "depth": "log of depth within 1 % on the side that is hit", "forced": "quote, cumulative, in the probe's direction",
}
SELL, BUY = -1, 1
BRANCHES = 1009   # forks of branch b draw as branches 1009 b + 1, 1009 b + 2 and so on


@dataclasses.dataclass(frozen=True)
class Probe:
    """Size, time and horizon of a probe.

    Attributes
    ----------
    size : float
        [quote] in all, above 0.
    seconds : float
        [s] over which it is spread, at least a step.
    horizon_seconds : float
        [s] after its start up to which the response counts.
    side : int
        -1 sells, 1 buys.
    branches : int
        Pairs of forks, at least 2.
    still : bool
        Forks meet an outside price that stands still from the state on, instead of the path to come: what is known at
        the state, as an early warning must.
    """

    size: float
    seconds: float = 5.0
    horizon_seconds: float = 60.0
    side: int = SELL
    branches: int = 4
    still: bool = False

    def problems(self) -> list[str]:
        """Return every fault of the parameters."""
        found = [f"probe {name} must be above 0, was {getattr(self, name)!r}"
                 for name in ("size", "seconds", "horizon_seconds") if not getattr(self, name) > 0.0]
        if self.side not in (SELL, BUY):
            found.append(f"probe side must be -1 (sell) or 1 (buy), was {self.side!r}")
        if self.branches < 2:
            found.append(f"probe branches must be at least 2, was {self.branches!r}")
        if not found and self.seconds > self.horizon_seconds:
            found.append(f"probe seconds must not exceed horizon_seconds ({self.horizon_seconds:g}), "
                         f"was {self.seconds:g}")
        return found


@dataclasses.dataclass(frozen=True)
class Response:
    """What a probe sets off, mean over branches.

    Attributes
    ----------
    step : int
        Of the state.
    seconds : ndarray of shape (n,)
        [s] since the start of the probe.
    paths : dict of str to ndarray of shape (n,)
        Names and units: :data:`RESPONSES`.
    errors : dict of str to ndarray of shape (n,)
        Standard errors over branches.
    closed, opened : Interval
        Branching ratio n by the closed and by the open loop, over branches.
    """

    step: int
    seconds: NDArray[np.float64]
    paths: dict[str, NDArray[np.float64]]
    errors: dict[str, NDArray[np.float64]]
    closed: Interval
    opened: Interval

    @property
    def stability_margin(self) -> float:
        """``1 - n`` of the open loop."""
        return 1.0 - self.opened.estimate

    def plain(self) -> dict[str, Any]:
        """Return everything as plain data."""
        arrays = {name: {key: each.tolist() for key, each in getattr(self, name).items()}
                  for name in ("paths", "errors")}
        return {"step": self.step, "seconds": self.seconds.tolist(), **arrays,
                "closed": dataclasses.asdict(self.closed), "opened": dataclasses.asdict(self.opened)}

    @classmethod
    def of_plain(cls, found: Mapping[str, Any]) -> "Response":
        """Return the response that :meth:`plain` describes; None stands for NaN."""
        paths, errors = ({key: np.array(each, np.float64) for key, each in found[name].items()}
                         for name in ("paths", "errors"))
        return cls(found["step"], np.array(found["seconds"], np.float64), paths, errors, _interval(found["closed"]),
                   _interval(found["opened"]))


def _interval(found: Mapping[str, Any]) -> Interval:
    filled: dict[str, Any] = {name: math.nan if value is None else value for name, value in found.items()}
    return Interval(**filled)


class _Probing(ClosedLoop):
    """A closed loop with additional scripted orders up to a step."""

    def __init__(self, per_step: float, last: int) -> None:
        self.per_step, self.last = per_step, last

    def attach(self, market: "Market") -> None:
        super().attach(market)
        self.scripted = market.flow_notional

    def before(self, step: int) -> None:
        self.market.flow_notional = self.scripted   # a market without scripted flow never reads it anew

    def advanced(self, step: int) -> MarketState:
        if step <= self.last:
            flow = self.market.flow_notional.copy()
            flow[0] += self.per_step
            self.market.flow_notional = flow
        return self.market.state


def probe_state(core: "Simulation", probe: Probe) -> Response:
    """Return the response of a state to a probe in the first instrument; the run itself is left alone.

    Parameters
    ----------
    core : Simulation
        Not at its last step; the horizon is cut where the scenario ends.
    probe : Probe

    Raises
    ------
    InputError
        Parameters out of range, or a run that is at its end.
    """
    steps = _horizon(core, probe)
    worker = fork(core)
    closed, opened, paths = [], [], []
    for branch in range(1, probe.branches + 1):
        response, first = (_difference(core, worker, core.branch * BRANCHES + branch, probe, steps, engine)
                           for engine in (core.setup.engine, _beside_book(core)))
        paths.append(response)
        forced = float(response["forced"][-1])
        closed.append(forced / (probe.size + forced) if probe.size + forced > 0.0 else math.nan)
        opened.append(float(first["forced"][-1]) / probe.size)
    stacked = {name: np.stack([path[name] for path in paths]) for name in RESPONSES}
    mean = {name: each.mean(axis=0) for name, each in stacked.items()}
    errors = {name: each.std(axis=0, ddof=1) / math.sqrt(len(each)) for name, each in stacked.items()}
    seconds = np.arange(1, steps + 1, dtype=np.float64) * core.step_seconds
    return Response(core.step_index, seconds, mean, errors, mean_interval(np.array(closed)),
                    mean_interval(np.array(opened)))


def open_loop_gain(core: "Simulation", probe: Probe, worker: "Simulation | None" = None) -> Interval:
    """Return the branching ratio of the open loop alone, at half the cost of :func:`probe_state`.

    Parameters
    ----------
    core : Simulation
    probe : Probe
    worker : Simulation, optional
        A fork of the same run to work in; a fresh one by default.

    Raises
    ------
    InputError
        As :func:`probe_state`.
    """
    return mean_interval(open_loop_gains(core, probe, worker))


def open_loop_gains(
    core: "Simulation", probe: Probe, worker: "Simulation | None" = None
) -> NDArray[np.float64]:
    """Return the same branch by branch, shape (branches,)."""
    steps = _horizon(core, probe)
    worker = fork(core) if worker is None else worker
    engine = _beside_book(core)
    forced = [_difference(core, worker, core.branch * BRANCHES + branch, probe, steps, engine)["forced"][-1]
              for branch in range(1, probe.branches + 1)]
    return np.array(forced) / probe.size


def _horizon(core: "Simulation", probe: Probe) -> int:
    """Return the steps up to the horizon of a probe that can be made; raises InputError for one that cannot."""
    problems = probe.problems()
    if core.step_index >= core.n_steps:
        problems.append("the run is at its end: nothing can be probed")
    if problems:
        raise InputError(problems)
    return min(max(1, round(probe.horizon_seconds / core.step_seconds)), core.n_steps - core.step_index)


def _difference(
    core: "Simulation", worker: "Simulation", branch: int, probe: Probe, steps: int, engine: Engine
) -> dict[str, NDArray[np.float64]]:
    """Run copies of the state on, with the probe and without; return their paths' differences."""
    count = min(steps, max(1, round(probe.seconds / core.step_seconds)))
    probing = _Probing(probe.side * probe.size / count, core.step_index + count)
    with_, without = (_paths(core, worker, branch, steps, engine, loop, probe) for loop in (probing, ClosedLoop()))
    return {name: with_[name] - without[name] for name in RESPONSES}


def _paths(
    core: "Simulation", worker: "Simulation", branch: int, steps: int, engine: Engine, loop: ClosedLoop, probe: Probe
) -> dict[str, NDArray[np.float64]]:
    side = probe.side
    copy_into(core, worker, branch)
    if probe.still:
        worker.market.hold()
    worker.route(engine)
    worker.loop = loop
    loop.attach(worker.market)
    worker.run(steps)
    rows = worker.recorder.steps[core.step_index + 1: core.step_index + steps + 1, 0]
    causes = list(FORCED_CAUSES)
    bought = (rows["bought_notional"][:, causes] - rows["sold_notional"][:, causes]).sum(axis=1)
    depth = rows["depth_bid" if side == SELL else "depth_ask"][:, 2]
    return {"mark": np.log(rows["mark"]), "mid": np.log(rows["mid"]), "initial_rate": rows["initial_rate"].copy(),
            "depth": np.log(np.maximum(depth, 1.0)), "forced": np.cumsum(side * bought)}


def _beside_book(core: "Simulation") -> Engine:
    switches: Any = TWINS["T2"][1]
    engine: Engine = dataclasses.replace(core.setup.engine, **switches)
    return engine


def stability_path(core: "Simulation", probe: Probe, every_seconds: float) -> list[Response]:
    """Run on to the end, probing every so often; return the responses in order of time.

    Parameters
    ----------
    core : Simulation
        Is run to its end.
    probe : Probe
    every_seconds : float
        [s] at least a step.
    """
    gap = max(1, round(every_seconds / core.step_seconds))
    found: list[Response] = []
    while core.step_index + gap < core.n_steps:
        core.run(gap)
        found.append(probe_state(core, probe))
    core.run()
    return found


def series(responses: Sequence[Response]) -> NDArray[np.float64]:
    """Return step, open-loop n, closed-loop n, one row per response, shape (n, 3)."""
    return np.array([[one.step, one.opened.estimate, one.closed.estimate] for one in responses])
