"""Critical shock: the smallest shock at which a loss beyond a tolerance becomes as likely as stated.

A loss need not be monotone in the shock (a deeper fall can end sooner, or call people earlier), so the whole range is
scanned first; then the first crossing is narrowed by bisection on the *probability*, with the same seeds at every
shock. Its interval inverts Wilson's interval for a share: from the first shock at which the probability could be
that large to the first at which it must be.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spirals.scenarios.inputs.lever_range import LeverRange
from spirals.scenarios.runs.parts import RUN, Part, Parts, parts_here
from spirals.simulation.errors import InputError
from spirals.simulation.measures.intervals import (
    Interval,
    mean_interval,
    paired_difference,
    wilson_interval,
)

__all__ = ["Critical", "CriticalQuestion", "CurvePoint", "critical_shock", "scan", "wilson_interval"]

Losses = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class CriticalQuestion:
    """What counts as too much, and how much effort goes into it.

    Attributes
    ----------
    tolerance : float
        In the unit of the loss: more than this is too much.
    probability : float
        In (0, 1): how likely too much must be at the critical shock.
    points : int
        Of the scan, at least 3.
    resolution : float
        [fraction of the range] at which bisection ends, in (0, 1).
    """

    tolerance: float
    probability: float = 0.5
    points: int = 9
    resolution: float = 0.005

    def problems(self) -> list[str]:
        """Return every fault."""
        found = [f"{name} must lie between 0 and 1, was {getattr(self, name)!r}"
                 for name in ("probability", "resolution") if not 0.0 < getattr(self, name) < 1.0]
        if not math.isfinite(self.tolerance):
            found.append(f"tolerance must be a number, was {self.tolerance!r}")
        if self.points < 3:
            found.append(f"points must be at least 3, was {self.points!r}")
        return found


@dataclasses.dataclass(frozen=True)
class CurvePoint:
    """What one shock does.

    Attributes
    ----------
    value : float
        Of the lever.
    loss : Interval
        Mean over seeds.
    exceeds : Interval
        Share of seeds whose loss exceeds the tolerance, with Wilson's interval; a loss that is NaN does not.
    scanned : bool
        Of the scan, not of the bisection.
    """

    value: float
    loss: Interval
    exceeds: Interval
    scanned: bool


@dataclasses.dataclass(frozen=True)
class Critical:
    """The critical shock and the curve it was found on.

    Attributes
    ----------
    estimate : float
        Smallest shock seen at which the share reaches the probability.
    low, high : float
        Interval of 95 %; `high` is NaN where even the largest shock leaves it open.
    curve : tuple of CurvePoint
        From the smallest shock to the largest.
    crossings : tuple of float
        Every shock of the scan at which the share has changed sides: more than one means that "smallest" matters.
    falls : tuple of (float, float)
        Neighbours of the scan between which the mean loss falls by more than its noise.
    evaluations : int
        Shocks tried; each costs one run per seed.
    """

    estimate: float
    low: float
    high: float
    curve: tuple[CurvePoint, ...]
    crossings: tuple[float, ...]
    falls: tuple[tuple[float, float], ...]
    evaluations: int


def scan(lever: LeverRange, losses: Callable[[float], Losses], question: CriticalQuestion) -> "Curve":
    """Return the curve at evenly spaced shocks."""
    curve = Curve(lever, losses, question)
    for place in np.linspace(0.0, 1.0, question.points):
        curve.at(float(place))
    return curve


def critical_shock(lever: LeverRange, losses: Callable[[float], Losses], question: CriticalQuestion) -> Critical:
    """Find the smallest shock at which a loss beyond the tolerance is as likely as asked.

    Parameters
    ----------
    lever : LeverRange
        From the smallest shock to the largest.
    losses : callable
        ``losses(place)`` returns the losses at a place in [0, 1] of the lever, one per seed, the same seeds every time.
    question : CriticalQuestion

    Raises
    ------
    InputError
        Parameters out of range, or a critical shock outside the lever's range.
    """
    problems = question.problems()
    if problems:
        raise InputError(problems)
    curve = scan(lever, losses, question)
    _refuse_outside(lever, curve, question)
    places = sorted(curve.points)
    estimate = curve.crossing(places, lambda one: one.estimate)
    low, high = (curve.crossing(places, edge) for edge in (lambda one: one.high, lambda one: one.low))
    return Critical(
        lever.at(estimate), lever.at(low), math.nan if math.isnan(high) else lever.at(high), curve.table(places),
        _crossings(curve, places), _falls(curve, places), len(curve.points))


class Curve:
    """Losses by place, each place run once.

    Parameters
    ----------
    lever : LeverRange
    losses : callable
    question : CriticalQuestion
    """

    def __init__(self, lever: LeverRange, losses: Callable[[float], Losses], question: CriticalQuestion) -> None:
        self.lever, self.losses, self.question = lever, losses, question
        self.points: dict[float, Losses] = {}

    def at(self, place: float) -> Interval:
        """Return the share of losses beyond the tolerance."""
        if place not in self.points:
            self.points[place] = np.asarray(self.losses(place), np.float64)
        found = self.points[place]
        return wilson_interval(int((found > self.question.tolerance).sum()), len(found))

    def crossing(self, places: list[float], edge: Callable[[Interval], float]) -> float:
        """Return the first place at which `edge` of the share reaches the probability; NaN if none does."""
        wanted = self.question.probability
        over = [edge(self.at(place)) >= wanted for place in places]
        if True not in over:
            return math.nan
        first = over.index(True)
        if first == 0:
            return places[0]
        below, above = places[first - 1], places[first]
        while above - below > self.question.resolution:
            middle = 0.5 * (below + above)
            if edge(self.at(middle)) >= wanted:
                above = middle
            else:
                below = middle
        return above

    def table(self, scanned: list[float]) -> tuple[CurvePoint, ...]:
        """Return every point, smallest shock first."""
        return tuple(CurvePoint(self.lever.at(place), mean_interval(self.points[place]), self.at(place),
                                place in scanned) for place in sorted(self.points))


def _refuse_outside(lever: LeverRange, curve: Curve, question: CriticalQuestion) -> None:
    shares = {place: curve.at(place).estimate for place in sorted(curve.points)}
    given = ", ".join(f"{share:.2f} at {lever.at(place):.6g}" for place, share in shares.items())
    if shares[0.0] >= question.probability:
        raise InputError([f"critical shock below the range of {lever.path}; allowed: a first end at which the "
                          f"probability is below {question.probability:g}; given: {given}"])
    if max(shares.values()) < question.probability:
        raise InputError([f"critical shock beyond the range of {lever.path}; allowed: a range in which the probability "
                          f"reaches {question.probability:g}; given: {given}"])


def _crossings(curve: Curve, places: list[float]) -> tuple[float, ...]:
    over = [curve.at(place).estimate >= curve.question.probability for place in places]
    return tuple(curve.lever.at(places[k]) for k in range(1, len(places)) if over[k] != over[k - 1])


def _falls(curve: Curve, places: list[float]) -> tuple[tuple[float, float], ...]:
    found = []
    for first, second in itertools.pairwise(places):
        if paired_difference(curve.points[second], curve.points[first]).high < 0.0:
            found.append((curve.lever.at(first), curve.lever.at(second)))
    return tuple(found)


def scenario_losses(
    source: str | Path, lever: LeverRange, outcome: str, *, overrides: tuple[str, ...] = (), replications: int = 20,
    seed: int = 0, parts: Parts = parts_here,
) -> Callable[[float], Losses]:
    """Return the function that runs a scenario at a place of a lever and returns one outcome per seed.

    Parameters
    ----------
    source : str or Path
    lever : LeverRange
    outcome : str
        Name of ``spirals list measures``; one against twin T1 runs the twin as well.
    overrides : tuple of str
    replications : int
    seed : int
        Root of the seeds.
    parts : Parts
        Does the runs.
    """
    from spirals.scenarios.inputs.design import replication_seed
    from spirals.scenarios.inputs.loader import resolve_scenario
    from spirals.simulation.measures.catalogue import TWIN_MEASURES

    asked = {"twins": ["T1"] if outcome in TWIN_MEASURES else [], "tables": []}
    seeds = [replication_seed(seed, replication) for replication in range(replications)]

    def losses(place: float) -> Losses:
        inputs = resolve_scenario(source, [*overrides, lever.override(place)], allow_code=True)
        found = parts(RUN, [Part(inputs, one, asked) for one in seeds])
        return np.array([one[outcome] for one in found], np.float64)

    return losses
