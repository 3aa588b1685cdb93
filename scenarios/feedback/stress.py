"""Stress of a state: the forced flow that one further move of the outside price would start.

A fork meets an outside price that moves once, at the next step, and then stands still. A probe asks what a *sale* sets
off; this asks the same of a *move*, as an early warning must: where the next move comes from nobody knows, but what it
would do is in the state.
"""

from typing import TYPE_CHECKING

from spirals.simulation.copying import copy_into, fork
from spirals.simulation.measures.forced_flow import FORCED_CAUSES

if TYPE_CHECKING:
    from spirals.simulation.simulation import Simulation

__all__ = ["stress"]

BRANCHES = 1013   # forks draw as branches 1013 b + 1, 1013 b + 2 and so on, other ones than those of probes


def stress(
    core: "Simulation", move: float, horizon_seconds: float, branches: int = 2, worker: "Simulation | None" = None
) -> float:
    """Return the forced notional within a horizon after a move, as a share of the opening open interest.

    Parameters
    ----------
    core : Simulation
        Is left alone; the horizon is cut where its scenario ends.
    move : float
        [log price] Of the outside price.
    horizon_seconds : float
        [s]
    branches : int
        Forks over which is averaged, at least 1.
    worker : Simulation, optional
        A fork of the same run to work in; a fresh one by default.
    """
    worker = fork(core) if worker is None else worker
    steps = min(max(1, round(horizon_seconds / core.step_seconds)), core.n_steps - core.step_index)
    notional = float((core.opening_open_interest * core.contracts["lot_value"] * core.contracts["atom"]
                      * core.market.record["mark"]).sum())
    forced = 0.0
    for branch in range(1, branches + 1):
        copy_into(core, worker, core.branch * BRANCHES + branch)
        worker.market.hold(move)
        worker.route(core.setup.engine)
        worker.run(steps)
        rows = worker.recorder.steps[core.step_index + 1: core.step_index + steps + 1]
        causes = list(FORCED_CAUSES)
        forced += float(rows["bought_notional"][..., causes].sum() + rows["sold_notional"][..., causes].sum())
    return forced / branches / notional
