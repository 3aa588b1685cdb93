"""Genealogy of a run: its liquidations, who set off whom, and what twin T1 says of each."""

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from spirals.simulation.measures.genealogy import Genealogy, genealogy

if TYPE_CHECKING:
    from spirals.scenarios.inputs.scenario import Scenario
    from spirals.simulation.measures.record import RunRecord
    from spirals.simulation.phase_log import PhaseLog
    from spirals.simulation.simulation import Simulation

__all__ = ["family", "trace_run"]


def trace_run(scenario: "Scenario", seed: int = 0) -> Genealogy:
    """Run a scenario and its twin T1 and return the family tree of the liquidations.

    Parameters
    ----------
    scenario : Scenario
    seed : int
    """
    from spirals.agents.model import SpiralModel
    from spirals.simulation.engine import TWINS
    from spirals.simulation.open_loop import Taping
    from spirals.simulation.phase_log import PhaseLog

    log, tape = PhaseLog(), Taping()
    model = SpiralModel(setup=scenario, rng=seed, collect_every=0, trades=True, loop=log)
    model.run()
    switches: Any = TWINS["T1"][1]
    engine = dataclasses.replace(scenario.engine, **switches)
    twin = SpiralModel(setup=dataclasses.replace(scenario, engine=engine), rng=seed, collect_every=0, loop=tape)
    twin.run()
    return family(model.core, log, twin.core.record(), tape.tape)


def family(run: "Simulation", log: "PhaseLog", twin: "RunRecord", tape: Any) -> Genealogy:
    """Return the family tree of a finished run.

    Parameters
    ----------
    run : Simulation
        With ``trades=True`` and the loop `log`.
    log : PhaseLog
    twin : RunRecord
        Its twin T1.
    tape : ndarray, TAPE
        What the twin recorded.
    """
    recorder = run.recorder
    kept = np.array(recorder.trade_steps, np.int64).reshape(-1, 2)
    return genealogy(run.record(), twin, log.phases, recorder.trades.rows, np.repeat(kept[:, 0], kept[:, 1]),
                     tape["mark"])
