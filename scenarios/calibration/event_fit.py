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
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from spirals.scenarios.calibration.event_behaviour import BEHAVIOUR, FreeParameter, as_overrides, current_value
from spirals.scenarios.calibration.event_scores import MATCHED, Event, Score, Scored, open_event, predict, simulate
from spirals.scenarios.calibration.event_search import Search
from spirals.scenarios.calibration.identifiability import Identification
from spirals.simulation.errors import InputError

__all__ = [
    "BEHAVIOUR", "MATCHED", "Event", "EventFit", "FreeParameter", "Score", "Scored", "as_overrides", "fit_event",
    "open_event", "predict", "simulate",
]

SPREADS = (0.25, 0.15)    # half-width of the design in units of a range: first iteration, later ones


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
    search = Search(event, tuple(parameters), tuple(seeds), thin, say)
    start = [current_value(event.scenario, parameter.path) for parameter in parameters]
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


def _check(event: Event, parameters: Sequence[FreeParameter], seeds: Sequence[int], iterations: int) -> None:
    found = []
    n_moments = len(event.used("fitted"))
    if not 1 <= len(parameters) <= n_moments:
        found.append(f"parameters must be 1 to {n_moments}, the number of moments, were {len(parameters)}")
    for parameter in parameters:
        try:
            current_value(event.scenario, parameter.path)
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
