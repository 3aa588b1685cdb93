"""Event calibration: the method of simulated moments on one crash, its prediction for another.

Every simulation at given parameters has its own exogenous path, deconvolved from the event's bars at these
parameters, so that parameters are told apart by the flow that goes with the price, never by the price itself. The
same seeds are used everywhere (common random numbers).

One iteration: simulate a two-level design around the current point, fit a plane to each moment, take a damped
Gauss-Newton step (Levenberg) within the directions that the moments see, and accept it only when simulations at the
new point are nearer to the event. What the moments do not see stays where the scenario had it. The reported Jacobian
is the last design's. After McFadden (1989) and Gourieroux, Monfort and Renault (1993).
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spirals.scenarios.deconvolution import deconvolve
from spirals.scenarios.event_facts import NotScored, observed_moments
from spirals.scenarios.event_moments import (
    EventMoment,
    FlowBars,
    Windows,
    event_bars,
    simulated_bars,
    simulated_moments,
    summary,
)
from spirals.scenarios.identifiability import Identification, fitted_plane, identify, two_level_design
from spirals.scenarios.loader import load_scenario
from spirals.simulation.errors import InputError

if TYPE_CHECKING:
    from spirals.scenarios.scenario import Scenario

__all__ = [
    "BEHAVIOUR", "Event", "EventFit", "FreeParameter", "Score", "Scored", "as_overrides", "fit_event", "open_event",
    "predict", "simulate",
]

SPREADS = (0.25, 0.15)    # half-width of the design in units of a range: first iteration, later ones
LONGEST_STEP = 0.4        # of one parameter in one iteration, in units of its range
DAMPING = 1.0             # Levenberg, in squared standard errors per squared range
SHORTER = (1.0, 0.5, 0.25)
MATCHED = 1.96            # standard errors within which a moment counts as matched


@dataclasses.dataclass(frozen=True)
class FreeParameter:
    """A behaviour parameter with the range it may take.

    Attributes
    ----------
    path : str
        As in ``-s PATH=VALUE``.
    low, high : float
    logarithmic : bool
        Whether the range is crossed in logs.
    label : str
        In tables.
    """

    path: str
    low: float
    high: float
    logarithmic: bool
    label: str

    def value(self, unit: float) -> float:
        """Return the parameter at a place in its range, 0 to 1; rounded, so that it prints short."""
        if self.logarithmic:
            found = self.low * (self.high / self.low) ** unit
        else:
            found = self.low + unit * (self.high - self.low)
        return float(f"{found:.6g}")

    def unit(self, value: float) -> float:
        """Return the place of a value in the range; values outside it go to its ends."""
        value = min(max(value, self.low), self.high)
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


BEHAVIOUR = (
    FreeParameter("price_feed.index_feedback", 0.0, 0.8, False, "kappa"),
    FreeParameter("population.leverage_multiplier", 0.5, 2.0, True, "leverage"),
    FreeParameter("depth.volatility_elasticity", 0.0, 1.6, False, "depth elasticity"),
    FreeParameter("makers.withdraw_multiple", 1.5, 24.0, True, "maker withdrawal"),
    FreeParameter("background.order_rate", 0.2, 20.0, True, "order rate"),
    FreeParameter("background.activity_elasticity", 0.0, 1.6, False, "activity elasticity"),
    FreeParameter("background.anchor_bias", 0.0, 0.5, False, "anchor bias"),
)


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


@dataclasses.dataclass(frozen=True)
class EventFit:
    """A fit.

    Attributes
    ----------
    event : Event
    parameters : tuple of FreeParameter
    start, estimate : ndarray of shape (n_parameters,)
        Values of the parameters.
    seeds : tuple of int
    before, after : Scored
        At the scenario's own values and at the estimate.
    objective : list of float
        Weighted squared distance at the start and after each iteration, weights of the last design.
    identification : Identification
        At the centre of the last design.
    j_statistic, j_freedom : float, int
        Squared distance at the estimate in the full covariance of observed less simulated, and moments less directions
        seen. The estimate minimises a simpler distance (variances alone), so that J is, if anything, too large.
    evaluations : int
        Simulations with a deconvolution each.
    """

    event: Event
    parameters: tuple[FreeParameter, ...]
    start: NDArray[np.float64]
    estimate: NDArray[np.float64]
    seeds: tuple[int, ...]
    before: Scored
    after: Scored
    objective: list[float]
    identification: Identification
    j_statistic: float
    j_freedom: int
    evaluations: int

    @property
    def at_bound(self) -> tuple[str, ...]:
        """Parameters whose estimate is an end of their range."""
        units = [parameter.unit(value) for parameter, value in zip(self.parameters, self.estimate, strict=True)]
        return tuple(parameter.label for parameter, unit in zip(self.parameters, units, strict=True)
                     if not 1e-3 < unit < 1.0 - 1e-3)

    @property
    def overrides(self) -> list[str]:
        """The estimate as ``PATH=VALUE``: what another event is run with."""
        return as_overrides(self.parameters, self.estimate)


def open_event(scenario: str, overrides: Sequence[str] = ()) -> Event:
    """Load an event; raises InputError with every problem of scenario and bars."""
    loaded = load_scenario(scenario, list(overrides))
    if len(loaded.instruments) != 1:
        raise InputError([f"instruments must be one for an event fit, were {len(loaded.instruments)}"])
    bars, first = event_bars(loaded)
    moments, spans, facts = observed_moments(loaded, bars)
    return Event(loaded, scenario, tuple(overrides), bars, first, spans, moments, facts.not_scored)


def as_overrides(parameters: Sequence[FreeParameter], values: Sequence[float] | NDArray[np.float64]) -> list[str]:
    return [f"{parameter.path}={float(value)!r}" for parameter, value in zip(parameters, values, strict=True)]


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


def fit_event(
    event: Event, parameters: Sequence[FreeParameter] = BEHAVIOUR, *, seeds: Sequence[int] = (0, 1),
    iterations: int = 2, thin: bool = False, say: Callable[[str], None] = lambda line: None,
) -> EventFit:
    """Fit behaviour parameters to the moments of one event.

    Parameters
    ----------
    event : Event
    parameters : sequence of FreeParameter
    seeds : sequence of int
        At least two: the spread between them is the simulation error.
    iterations : int
        Designs; each is followed by a step.
    thin : bool
        Each seed simulates one half of a design instead of all of it (the halves are orthogonal blocks).
    say : callable
        Told of progress, one line at a time.

    Raises
    ------
    InputError
        With every problem of the arguments.
    """
    _check(event, parameters, seeds, iterations)
    search = _Search(event, tuple(parameters), tuple(seeds), thin, say)
    start = [_current(event.scenario, parameter.path) for parameter in parameters]
    point = np.array([parameter.unit(value) for parameter, value in zip(parameters, start, strict=True)])
    before = search.scored(point)
    now, states = before, [point]
    for iteration in range(iterations):
        say(f"iteration {iteration + 1} of {iterations}: design around {search.text(point)}")
        plane = search.plane(point, SPREADS[min(iteration, len(SPREADS) - 1)])
        point, now = search.step(point, now, plane)
        states.append(point)
    objective = [search.objective(search.scored(state), plane.covariance) for state in states]
    known = plane.identification
    return EventFit(
        event, tuple(parameters), np.array(start), search.values(point), tuple(seeds), before, now, objective, known,
        search.j_statistic(now, plane.covariance), len(known.moments) - known.rank, search.evaluations,
    )


@dataclasses.dataclass(frozen=True)
class _Plane:
    """Moments near a point.

    `covariance` is that of observed less simulated: of the event, the larger of the jackknife's variance and that of
    one simulation about the plane; of the simulation, the latter over the number of seeds.
    """

    covariance: NDArray[np.float64]
    identification: Identification


class _Search:
    """Simulations of one fit, remembered by point and seed."""

    def __init__(
        self, event: Event, parameters: tuple[FreeParameter, ...], seeds: tuple[int, ...], thin: bool,
        say: Callable[[str], None],
    ) -> None:
        self.event, self.parameters, self.seeds, self.thin, self.say = event, parameters, seeds, thin, say
        self.aims = event.used("fitted")
        self.known: dict[tuple[float, ...], Scored] = {}
        self.evaluations = 0

    def values(self, point: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([parameter.value(unit) for parameter, unit in zip(self.parameters, point, strict=True)])

    def text(self, point: NDArray[np.float64]) -> str:
        return ", ".join(f"{parameter.label} {value:.3g}"
                         for parameter, value in zip(self.parameters, self.values(point), strict=True))

    def scored(self, point: NDArray[np.float64]) -> Scored:
        key = tuple(self.values(point).tolist())
        if key not in self.known:
            self.evaluations += len(self.seeds)
            self.known[key] = predict(self.event, as_overrides(self.parameters, key), self.seeds)
        return self.known[key]

    def plane(self, centre: NDArray[np.float64], spread: float) -> _Plane:
        """Simulate a two-level design around a point, kept inside the ranges, and fit a plane."""
        signs = two_level_design(len(self.parameters))
        half = len(signs) // 2
        points, blocks, values = [], [], []
        for k, seed in enumerate(self.seeds):
            rows = range(half * (k % 2), half * (k % 2 + 1)) if self.thin else range(len(signs))
            for row in rows:
                place = np.clip(centre + spread * signs[row], 0.0, 1.0)
                found, _ = simulate(self.event, as_overrides(self.parameters, self.values(place)), seed)
                points.append(place)
                blocks.append(k)
                values.append([found[aim.name] for aim in self.aims])
            self.say(f"seed {seed}: {len(rows)} points simulated")
        self.evaluations += len(points)
        _, slope, error, noise = fitted_plane(np.array(points), centre, np.array(blocks), np.array(values))
        # The event is one draw as well: its moments vary no less than one simulation's, however alike its minutes are.
        own = np.maximum([aim.error**2 for aim in self.aims], np.diag(noise))
        covariance = noise / len(self.seeds) + np.diag(own)
        labels = [parameter.label for parameter in self.parameters]
        return _Plane(covariance, identify([aim.name for aim in self.aims], labels, slope, error, covariance))

    def step(
        self, point: NDArray[np.float64], now: Scored, plane: _Plane
    ) -> tuple[NDArray[np.float64], Scored]:
        """Return the first of three ever shorter Gauss-Newton steps that brings the moments nearer, or no step."""
        known = plane.identification
        basis = known.directions[:, known.seen]
        slopes = np.sqrt(known.weight)[:, None] * known.jacobian @ basis
        gap = np.sqrt(known.weight) * self._gap(now)
        normal = slopes.T @ slopes + DAMPING * np.eye(basis.shape[1])
        move = -basis @ np.linalg.solve(normal, slopes.T @ gap)
        move *= min(1.0, LONGEST_STEP / max(float(np.abs(move).max()), 1e-12))
        best = self.objective(now, plane.covariance)
        for factor in SHORTER:
            trial = np.clip(point + factor * move, 0.0, 1.0)
            if np.array_equal(self.values(trial), self.values(point)):
                break
            found = self.scored(trial)
            objective = self.objective(found, plane.covariance)
            self.say(f"step x {factor:g}: {best:.1f} to {objective:.1f}")
            if objective < best:
                return trial, found
        return point, now

    def objective(self, found: Scored, covariance: NDArray[np.float64]) -> float:
        """Return the sum of squared gaps over their variances."""
        return float((self._gap(found) ** 2 / np.diag(covariance)).sum())

    def j_statistic(self, found: Scored, covariance: NDArray[np.float64]) -> float:
        gap = self._gap(found)
        return float(gap @ np.linalg.solve(covariance, gap))

    def _gap(self, found: Scored) -> NDArray[np.float64]:
        means = {score.moment.name: score.simulated for score in found.scores}
        return np.array([means[aim.name] - aim.observed for aim in self.aims])


def _current(scenario: "Scenario", path: str) -> float:
    value: Any = scenario
    for name in path.split("."):
        value = getattr(value, name)
    return float(value)


def _check(event: Event, parameters: Sequence[FreeParameter], seeds: Sequence[int], iterations: int) -> None:
    found = []
    n_moments = len(event.used("fitted"))
    if not 1 <= len(parameters) <= n_moments:
        found.append(f"parameters must be 1 to {n_moments}, the number of moments, were {len(parameters)}")
    for parameter in parameters:
        try:
            _current(event.scenario, parameter.path)
        except (AttributeError, TypeError, ValueError):
            found.append(f"parameter must be a number of the scenario, was {parameter.path!r}")
        if not parameter.low < parameter.high or (parameter.logarithmic and parameter.low <= 0.0):
            found.append(f"range of {parameter.path} must rise, above 0 in logs, was {parameter.low} to "
                         f"{parameter.high}")
    if len(set(seeds)) < max(len(seeds), 2):
        found.append(f"seeds must be at least two different ones, were {', '.join(map(str, seeds))}")
    if iterations < 1:
        found.append(f"iterations must be at least 1, was {iterations!r}")
    if found:
        raise InputError(found)
