"""An event and its simulations: each on a path solved from the bars at its own parameters, scored moment by moment."""

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spirals.scenarios.calibration.deconvolution import deconvolve
from spirals.scenarios.calibration.event_facts import NotScored, observed_moments
from spirals.scenarios.calibration.event_moments import (
    EventMoment,
    FlowBars,
    Windows,
    event_bars,
    simulated_bars,
    simulated_moments,
    summary,
)
from spirals.scenarios.inputs.loader import load_scenario
from spirals.simulation.errors import InputError

if TYPE_CHECKING:
    from spirals.scenarios.inputs.scenario import Scenario

__all__ = ["MATCHED", "Event", "Score", "Scored", "open_event", "predict", "simulate"]

MATCHED = 1.96            # standard errors within which a moment counts as matched


@dataclasses.dataclass(frozen=True)
class Event:
    """One event: its scenario, what it changes in it, its bars, windows and moments."""

    scenario: "Scenario"
    source: str
    overrides: tuple[str, ...]
    bars: FlowBars
    first_rows: NDArray[np.int64]
    spans: Windows
    moments: tuple[EventMoment, ...]
    not_scored: tuple[NotScored, ...]

    @property
    def name(self) -> str:
        return self.scenario.name

    def used(self, *uses: str) -> list[EventMoment]:
        return [moment for moment in self.moments if moment.use in uses]


@dataclasses.dataclass(frozen=True)
class Score:
    """Observed and simulated moment side by side.

    Attributes
    ----------
    moment : EventMoment
    simulated, simulated_error : float
        Mean and standard error over seeds.
    """

    moment: EventMoment
    simulated: float
    simulated_error: float

    @property
    def distance(self) -> float:
        """Simulated less observed in joint standard errors."""
        own = 0.0 if math.isnan(self.simulated_error) else self.simulated_error
        return (self.simulated - self.moment.observed) / max(math.hypot(self.moment.error, own), 1e-12)

    @property
    def matched(self) -> bool:
        return abs(self.distance) <= MATCHED


@dataclasses.dataclass(frozen=True)
class Scored:
    """The simulations of an event at one point, summed up.

    Attributes
    ----------
    scores : tuple of Score
    missed_bars : tuple of int
        Per seed: bars that no exogenous path reproduced; where there are any, the flow belongs to another path.
    rows : tuple of dict
        Moments of each seed.
    """

    scores: tuple[Score, ...]
    missed_bars: tuple[int, ...]
    rows: tuple[dict[str, float], ...]

    def count(self, *uses: str) -> tuple[int, int]:
        """Return how many moments of these uses are matched, and how many there are."""
        found = [score.matched for score in self.scores if score.moment.use in uses]
        return sum(found), len(found)


def open_event(scenario: str, overrides: Sequence[str] = ()) -> Event:
    """Load an event; raises InputError with every problem of scenario and bars."""
    loaded = load_scenario(scenario, list(overrides))
    if len(loaded.instruments) != 1:
        raise InputError([f"instruments must be one for an event fit, were {len(loaded.instruments)}"])
    bars, first = event_bars(loaded)
    moments, spans, facts = observed_moments(loaded, bars)
    return Event(loaded, scenario, tuple(overrides), bars, first, spans, moments, facts.not_scored)


def simulate(event: Event, overrides: Sequence[str], seed: int) -> tuple[dict[str, float], int]:
    """Deconvolve the event at these inputs, run the path with its trades, and return moments and bars missed."""
    from spirals.agents.model import SpiralModel

    scenario = load_scenario(event.source, [*event.overrides, *overrides])
    found = deconvolve(scenario, seed=seed)
    model = SpiralModel(setup=dataclasses.replace(scenario, outside_world=found.world), rng=seed, collect_every=0,
                        trades=True)
    model.run(scenario.steps)
    recorded = model.core.recorder.arrays()
    record = model.core.record()
    bars = simulated_bars(record, recorded["trades"], recorded["trade_steps"], event.first_rows)
    return simulated_moments(record, bars, event.spans, event.first_rows), found.missed


def predict(event: Event, overrides: Sequence[str], seeds: Sequence[int]) -> Scored:
    """Simulate an event with given behaviour; nothing is fitted."""
    rows, missed = zip(*(simulate(event, overrides, seed) for seed in seeds), strict=True)
    means = summary(rows)
    return Scored(tuple(Score(moment, *means[moment.name]) for moment in event.moments), tuple(missed), tuple(rows))
