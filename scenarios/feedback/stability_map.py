"""Stability map: a quantity of the loop over two levers, with the line at which the loop becomes unstable.

The plane is cut into squares; those through which the boundary is known to pass (one corner lies above it, one below,
by their intervals) are cut again, so runs are spent where the line is, and not on noise. Quantities and their
boundaries: :mod:`spirals.scenarios.feedback.map_quantities`. Beside the boundary of the estimates stand those of the
lower and of the upper ends of their intervals: between them the side is not determined.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator

from spirals.scenarios.feedback.map_quantities import BOUNDARIES
from spirals.scenarios.inputs.lever_range import LeverRange
from spirals.simulation.errors import InputError
from spirals.simulation.measures.intervals import Interval

__all__ = ["LINES", "MapQuestion", "Square", "StabilityMap", "side_of", "stability_map"]

LINES = ("estimate", "low", "high")   # of the intervals: where each of them meets the boundary
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

    quantity: str = "but_for"
    cells: int = 4
    refinements: int = 1

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
    edges : dict of str to tuple of segments
        The same for the lower and the upper ends of the intervals, ``low`` and ``high``.
    """

    x: LeverRange
    y: LeverRange
    question: MapQuestion
    fine: int
    points: dict[Place, Interval]
    squares: tuple[Square, ...]
    boundary: tuple[Segment, ...]
    edges: dict[str, tuple[Segment, ...]]

    def values(self, place: Place) -> tuple[float, float]:
        """Return the values of the levers at a place."""
        return self.x.at(place[0] / self.fine), self.y.at(place[1] / self.fine)

    def boundary_values(self, line: str = "estimate") -> list[tuple[float, float, float, float]]:
        """Return the segments of one of :data:`LINES` in values of the levers: x, y of one end, x, y of the other."""
        segments = self.edges.get(line, self.boundary)
        return [(self.x.at(a[0]), self.y.at(a[1]), self.x.at(b[0]), self.y.at(b[1])) for a, b in segments]


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
    lines = {name: _line(squares, points, name, level, fine) for name in LINES}
    return StabilityMap(x, y, question, fine, points, tuple(squares), lines.pop("estimate"), lines)


def side_of(one: Interval, level: float) -> int:
    """Return 1 where the whole interval lies at or above the level, -1 where it lies below, else 0: not determined."""
    return int(one.low >= level) - int(one.high < level)


def _crossed(square: Square, points: dict[Place, Interval], level: float) -> bool:
    sides = {side_of(points[place], level) for place in square.corners}
    return {-1, 1} <= sides


def _cut(square: Square, wanted: bool) -> list[Square]:
    if not wanted:
        return [square]
    half = square.size // 2
    return [Square(square.x + i * half, square.y + j * half, half) for j in range(2) for i in range(2)]


def _line(
    squares: list[Square], points: dict[Place, Interval], name: str, level: float, fine: int
) -> tuple[Segment, ...]:
    """Return where the estimates, or one end of the intervals, meet the level."""
    values = {place: getattr(one, name) for place, one in points.items()}
    return tuple(segment for square in squares for segment in _segments(square, values, level, fine))


def _segments(square: Square, values: dict[Place, float], level: float, fine: int) -> Iterator[Segment]:
    """Yield the line inside a square: values are linear along its sides (marching squares)."""
    ends = []
    corners = square.corners
    for k, a in enumerate(corners):
        b = corners[(k + 1) % 4]
        first, second = values[a] - level, values[b] - level
        if (first >= 0.0) != (second >= 0.0) and math.isfinite(first - second):
            share = first / (first - second)
            ends.append(((a[0] + share * (b[0] - a[0])) / fine, (a[1] + share * (b[1] - a[1])) / fine))
    for k in range(0, len(ends) - 1, 2):
        yield ends[k], ends[k + 1]
