"""Scores of a state that might warn of a cascade, all known at that moment.

==========  ==================================================================================================
name        what
==========  ==================================================================================================
stress      share of the open interest that one further move of the outside price would have forced within the
            horizon, the larger of a fall and a rise (:mod:`spirals.scenarios.feedback.stress`)
gain        branching ratio of the open loop, the larger of a sale's and a purchase's: one minus the stability margin,
            for two sizes of the probe (gain_5 and gain_20: 5 and 20 % of the opening open interest)
volatility  [per sqrt day] the estimate that the margin policy reads
leverage    notional over equity of the traders
margin_use  their maintenance margin over their equity
==========  ==================================================================================================

Probes and moves meet an outside price that otherwise stands still: a fork on the path to come would know the next
seconds.
"""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from spirals.scenarios.feedback.stress import stress
from spirals.simulation.state import Kind

if TYPE_CHECKING:
    from spirals.scenarios.inputs.scenario import Scenario
    from spirals.simulation.simulation import Simulation

__all__ = ["SCORE_NAMES", "Looking", "opened", "scores_of"]

PROBES = {"gain_5": 0.05, "gain_20": 0.2}   # [fraction of opening open interest]
SCORE_NAMES = ("stress", *PROBES, "volatility", "leverage", "margin_use")


@dataclasses.dataclass(frozen=True)
class Looking:
    """When to look, with which move, and what counts as a cascade.

    Attributes
    ----------
    within_seconds : float
        [s] T: how far ahead a warning counts.
    every_seconds : float
        [s] Between two looks.
    material : float
        [fraction of opening open interest] Liquidated notional from which a cascade is material.
    begins : float
        [log price] Distance of the outside price from its opening, either way, at which a crash is said to begin.
    move : float
        [log price] Of the stress.
    horizon_seconds : float
        [s] Of probes and move.
    branches : int
        Forks (pairs for the probe) per side.
    """

    within_seconds: float = 60.0
    every_seconds: float = 30.0
    material: float = 0.01
    begins: float = 0.01
    move: float = 0.02
    horizon_seconds: float = 30.0
    branches: int = 2

    def problems(self) -> list[str]:
        """Return every fault."""
        found = [f"{field.name} must be above 0, was {getattr(self, field.name)!r}"
                 for field in dataclasses.fields(self) if not getattr(self, field.name) > 0]
        return found + ([] if self.branches >= 2 else [f"branches must be at least 2, was {self.branches!r}"])


def opened(scenario: "Scenario", seed: int) -> "Simulation":
    """Return the simulation of a scenario at its opening."""
    from spirals.agents.model import SpiralModel

    return SpiralModel(setup=scenario, rng=seed, collect_every=0).core


def scores_of(core: "Simulation", worker: "Simulation", looking: Looking) -> list[float]:
    """Return the scores of a state in the order of :data:`SCORE_NAMES`.

    Parameters
    ----------
    core : Simulation
        Is left alone.
    worker : Simulation
        A fork of the same run to work in.
    looking : Looking
    """
    from spirals.scenarios.feedback.probe import BUY, SELL, Probe, open_loop_gain

    notional = float((core.opening_open_interest * core.contracts["lot_value"] * core.contracts["atom"]
                      * core.market.record["mark"]).sum())
    stresses = [stress(core, side * looking.move, looking.horizon_seconds, looking.branches, worker)
                for side in (SELL, BUY)]
    probes = [[Probe(share * notional, min(5.0, looking.horizon_seconds), looking.horizon_seconds, side,
                     looking.branches, still=True) for side in (SELL, BUY)] for share in PROBES.values()]
    gains = [max(open_loop_gain(core, probe, worker).estimate for probe in pair) for pair in probes]
    traders = core.accounts["kind"] == Kind.TRADER
    money = core.accounts[traders]
    value = np.abs(core.positions["lots"][traders]) * (core.contracts["lot_value"] * core.market.record["mark"])
    equity = max(float(money["equity"].sum()), 1.0)
    return [max(stresses), *gains, float(core.market.record["volatility"][0]), float(value.sum()) / equity,
            float(money["maintenance_margin"].sum()) / equity]
