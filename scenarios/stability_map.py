"""Stability map: a quantity of the loop over two levers, with the line at which the loop becomes unstable.

The plane is cut into squares; those whose corners lie on both sides of the boundary are cut again, so runs are spent
where the line is. Quantities, from a probe (:mod:`spirals.scenarios.probe`) at one moment of the scenario:

==========  ===========================================================================================  ==========
name        what                                                                                           boundary
==========  ===========================================================================================  ==========
gain        branching ratio of the open loop: forced orders that one unit sold sets off directly              1
closed      branching ratio of the closed loop, all generations up to the horizon                            1/2
growth      rate [1/s] at which the forced flow that the probe sets off grows, second half over first half    0
==========  ===========================================================================================  ==========

The probe meets an outside price that stands still from its moment on: the quantity is that of the state, not of what is
still to come.

Closed, half of what is sold in the end being forced is the mark that fits: on a finite population and horizon the
closed-loop ratio stays below 1 (``F / (Q + F)``), and F = Q is a sale that has set off another of its size.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from spirals.scenarios.lever_range import LeverRange
from spirals.simulation.errors import InputError
from spirals.simulation.measures.intervals import Interval, mean_interval

if TYPE_CHECKING:
    from spirals.scenarios.probe import Probe, Response
    from spirals.scenarios.scenario import Scenario

__all__ = ["BOUNDARIES", "MapQuestion", "Square", "StabilityMap", "quantity_of", "scenario_quantity", "stability_map"]

BOUNDARIES = {"gain": 1.0, "closed": 0.5, "growth": 0.0}
Place = tuple[int, int]
Segment = tuple[tuple[float, float], tuple[float, float]]


@dataclasses.dataclass(frozen=True)
class MapQuestion:
    """What is mapped and how finely.

    Attributes
    ----------
    quantity : str
        Name of :data:`BOUNDARIES`.
    cells : int
        Squares per lever before refinement, at least 1.
    refinements : int
        Times that a square on the boundary is cut into four, at least 0.
    """

    quantity: str = "gain"
    cells: int = 5
    refinements: int = 2

    def problems(self) -> list[str]:
        """Return every fault."""
        found = []
        if self.quantity not in BOUNDARIES:
            found.append(f"quantity must be one of {', '.join(BOUNDARIES)}, was {self.quantity!r}")
        if self.cells < 1:
            found.append(f"cells must be at least 1, was {self.cells!r}")
        if not 0 <= self.refinements <= 8:
            found.append(f"refinements must be between 0 and 8, was {self.refinements!r}")
        return found


@dataclasses.dataclass(frozen=True)
class Square:
    """A square of the map; its corners have been evaluated. Places count in the finest squares."""

    x: int
    y: int
    size: int

    @property
    def corners(self) -> tuple[Place, Place, Place, Place]:
        """The four corners, anticlockwise."""
        return ((self.x, self.y), (self.x + self.size, self.y), (self.x + self.size, self.y + self.size),
                (self.x, self.y + self.size))


@dataclasses.dataclass(frozen=True)
class StabilityMap:
    """The evaluated points, the squares and the boundary.

    Attributes
    ----------
    x, y : LeverRange
    question : MapQuestion
    fine : int
        Finest squares per lever: place k is ``k / fine`` of the range.
    points : dict of (int, int) to Interval
    squares : tuple of Square
        They cover the plane.
    boundary : tuple of segments
        Pairs of (x, y) places in [0, 1] of the ranges.
    """

    x: LeverRange
    y: LeverRange
    question: MapQuestion
    fine: int
    points: dict[Place, Interval]
    squares: tuple[Square, ...]
    boundary: tuple[Segment, ...]

    def values(self, place: Place) -> tuple[float, float]:
        """Return the values of the levers at a place."""
        return self.x.at(place[0] / self.fine), self.y.at(place[1] / self.fine)

    def boundary_values(self) -> list[tuple[float, float, float, float]]:
        """Return the segments in values of the levers: x, y of one end, x, y of the other."""
        return [(self.x.at(a[0]), self.y.at(a[1]), self.x.at(b[0]), self.y.at(b[1])) for a, b in self.boundary]


def stability_map(
    x: LeverRange, y: LeverRange, measured: Callable[[float, float], Interval], question: MapQuestion
) -> StabilityMap:
    """Evaluate a quantity over two levers, most densely where it crosses its boundary.

    Parameters
    ----------
    x, y : LeverRange
    measured : callable
        ``measured(x_place, y_place)``, places in [0, 1]; called once per point.
    question : MapQuestion

    Raises
    ------
    InputError
        Parameters out of range.
    """
    problems = question.problems()
    if problems:
        raise InputError(problems)
    scale = 2**question.refinements
    fine, level = question.cells * scale, BOUNDARIES[question.quantity]
    points: dict[Place, Interval] = {}

    def fill(square: Square) -> None:
        for place in square.corners:
            if place not in points:
                points[place] = measured(place[0] / fine, place[1] / fine)

    squares = [Square(i * scale, j * scale, scale) for j in range(question.cells) for i in range(question.cells)]
    for square in squares:
        fill(square)
    for _ in range(question.refinements):
        squares = [part for square in squares for part in _cut(square, _crossed(square, points, level))]
        for square in squares:
            fill(square)
    boundary = tuple(segment for square in squares for segment in _segments(square, points, level, fine))
    return StabilityMap(x, y, question, fine, points, tuple(squares), boundary)


def _crossed(square: Square, points: dict[Place, Interval], level: float) -> bool:
    over = [points[place].estimate >= level for place in square.corners]
    return any(over) and not all(over)


def _cut(square: Square, wanted: bool) -> list[Square]:
    if not wanted:
        return [square]
    half = square.size // 2
    return [Square(square.x + i * half, square.y + j * half, half) for j in range(2) for i in range(2)]


def _segments(square: Square, points: dict[Place, Interval], level: float, fine: int) -> Iterator[Segment]:
    """Yield the boundary inside a square: values are linear along its sides (marching squares)."""
    ends = []
    corners = square.corners
    for k, a in enumerate(corners):
        b = corners[(k + 1) % 4]
        first, second = points[a].estimate - level, points[b].estimate - level
        if (first >= 0.0) != (second >= 0.0):
            share = first / (first - second)
            ends.append(((a[0] + share * (b[0] - a[0])) / fine, (a[1] + share * (b[1] - a[1])) / fine))
    for k in range(0, len(ends) - 1, 2):
        yield ends[k], ends[k + 1]


def quantity_of(name: str, response: "Response", probe: "Probe") -> float:
    """Return a quantity of :data:`BOUNDARIES` from a response; growth is -inf when nothing was set off later on."""
    if name == "growth":
        forced = response.paths["forced"]
        half = len(forced) // 2
        early, late = float(forced[half - 1]), float(forced[-1] - forced[half - 1])
        if early <= 0.0 or late <= 0.0:
            return -math.inf if late <= 0.0 else math.inf
        return math.log(late / early) / (response.seconds[-1] - response.seconds[half - 1])
    return (response.opened if name == "gain" else response.closed).estimate


def scenario_quantity(
    build: Callable[[float, float], "Scenario"], question: MapQuestion, probe_at: Callable[[Any], "Probe"],
    at_seconds: float, seeds: list[int], told: Callable[[int], Any] = lambda done: None,
) -> Callable[[float, float], Interval]:
    """Return the function that probes a scenario at two places and returns mean and interval over seeds.

    A growth rate is cut at 1 per second on both sides: where a probe sets off nothing later on it would be infinite.

    Parameters
    ----------
    build : callable
        Scenario at places of the two levers.
    question : MapQuestion
    probe_at : callable
        The probe for a simulation at its moment.
    at_seconds : float
        [s] Moment of the probe.
    seeds : list of int
        The same at every point; at least one.
    told : callable
        Called with 1 after each point.
    """
    from spirals.agents.model import SpiralModel
    from spirals.scenarios.probe import probe_state

    def measured(x: float, y: float) -> Interval:
        found = []
        for seed in seeds:
            core = SpiralModel(setup=build(x, y), rng=seed, collect_every=0).core
            core.run(max(1, round(at_seconds / core.step_seconds)))
            probe = probe_at(core)
            found.append(quantity_of(question.quantity, probe_state(core, probe), probe))
        told(1)
        finite = np.clip(found, -1.0, 1.0) if question.quantity == "growth" else np.array(found)
        return mean_interval(finite)

    return measured
