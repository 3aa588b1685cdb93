"""Search of an event fit: designs around a point, the plane through their moments, and damped steps."""

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from spirals.scenarios.calibration.event_behaviour import FreeParameter, as_overrides
from spirals.scenarios.calibration.event_scores import Event, Scored, predict, simulate
from spirals.scenarios.calibration.identifiability import Identification, fitted_plane, identify, two_level_design

__all__ = ["Plane", "Search"]

LONGEST_STEP = 0.4        # of one parameter in one iteration, in units of its range
DAMPING = 1.0             # Levenberg, in squared standard errors per squared range
SHORTER = (1.0, 0.5, 0.25)


@dataclasses.dataclass(frozen=True)
class Plane:
    """Moments near a point.

    `covariance` is that of observed less simulated: of the event, the larger of the jackknife's variance and that of
    one simulation about the plane; of the simulation, the latter over the number of seeds.
    """

    covariance: NDArray[np.float64]
    identification: Identification


class Search:
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

    def plane(self, centre: NDArray[np.float64], spread: float) -> Plane:
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
        return Plane(covariance, identify([aim.name for aim in self.aims], labels, slope, error, covariance))

    def step(
        self, point: NDArray[np.float64], now: Scored, plane: Plane
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
