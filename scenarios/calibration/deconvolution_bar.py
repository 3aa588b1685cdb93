"""The search inside one bar: trials of the exogenous path from one saved state of the simulation."""

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from spirals.simulation.simulation import Simulation

__all__ = ["BarSearch", "Rules", "logs"]

AIM = 0.05          # a bar is left alone once its residual is below this part of the tolerance
LESS_BOLD = 0.7     # factor on the correction after a trial that was no better
SCANNED = (-1.0, -0.5, -0.25, 0.25, 0.5, 1.0)   # levels tried where the search fails, in units of the free room


@dataclasses.dataclass(frozen=True)
class Rules:
    """What is matched, how closely, with what freedom, in how many trials."""

    price: str
    tolerance: float
    slack: float
    iterations: int


class BarSearch:
    """Finds the exogenous log path over the rows of one bar; the simulation stands at the row before.

    Parameters
    ----------
    core : Simulation
    path : ndarray of shape (n_steps + 1, 1)
        [quote] The exogenous prices that `core` reads; rows of this bar are overwritten.
    rows : ndarray of int
        Rows of the bar.
    wanted : ndarray of shape (n_rows,)
        [log] A path through the bar, from the bridge.
    bar : ndarray of shape (4,)
        [log] Open, high, low, close.
    before : float
        [log] Close of the bar before.
    rules : Rules

    Attributes
    ----------
    trials : int
        Simulations of the bar so far.
    """

    def __init__(
        self, core: "Simulation", path: NDArray[np.float64], rows: NDArray[np.int64], wanted: NDArray[np.float64],
        bar: NDArray[np.float64], before: float, rules: Rules,
    ) -> None:
        self.core, self.path, self.rows, self.rules = core, path, rows, rules
        self.wanted, self.bar, self.before = wanted, bar, before
        self.start = math.log(path[rows[0] - 1, 0])
        self.low = self.start + min(bar[2] - before, 0.0) - rules.slack
        self.high = self.start + max(bar[1] - before, 0.0) + rules.slack
        self.saved: dict[str, NDArray[Any]] = {name: array.copy() for name, array in core.arrays().items()}
        self.trials = 0
        self.error = math.inf
        self.best = wanted
        self.reached = np.array([[math.inf, -math.inf]] * 3)   # lowest, highest high, low and close of all trials

    def solve(self) -> str:
        """Search, leave the simulation at the end of the bar on the best path, and return the verdict."""
        gap = self.start - self.before
        for shape in (self.wanted + gap, self._straight() + gap):
            if self.error > self.rules.tolerance:
                self._improve(shape)
        if self.error > self.rules.tolerance:
            self._scan()
            self._improve(self.best)
        self._simulate(self.best)
        if self.error <= self.rules.tolerance:
            return "met"
        aims, tolerance = self.bar[1:], self.rules.tolerance
        crossed = (self.reached[:, 0] <= aims + tolerance) & (self.reached[:, 1] >= aims - tolerance)
        return "not together" if crossed.all() else "unreachable"

    def _improve(self, shape: NDArray[np.float64]) -> None:
        """Correct a path by its own residuals, at the times of the simulated high and low and at the close."""
        trial, boldness = shape, 1.0
        local, kept, seen = self._try(trial)
        best = trial
        for _ in range(self.rules.iterations - 1):
            if local <= AIM * self.rules.tolerance:
                break
            at = {-1: 0.0, int(seen.argmax()): kept[0], int(seen.argmin()): kept[1], len(seen) - 1: kept[2]}
            knots = sorted(at)
            correction = np.interp(np.arange(len(seen)), knots, [at[knot] for knot in knots])
            trial = best + boldness * correction
            error, residual, simulated = self._try(trial)
            if error < local:
                local, best, kept, seen = error, trial, residual, simulated
            else:
                boldness *= LESS_BOLD

    def _scan(self) -> None:
        """Try no move at all, and levels from the lowest to the highest that the slack allows."""
        still = np.full(len(self.rows), self.start)
        self._try(still)
        base, room = self.best, self.high - self.low
        for level in SCANNED:
            self._try(base + level * room)

    def _try(self, trial: NDArray[np.float64]) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        """Simulate the bar on a trial path; return its error, residuals and simulated log prices."""
        np.clip(trial, self.low, self.high, out=trial)
        simulated = self._simulate(trial)
        found = np.array([simulated.max(), simulated.min(), simulated[-1]])
        self.reached[:, 0] = np.minimum(self.reached[:, 0], found)
        self.reached[:, 1] = np.maximum(self.reached[:, 1], found)
        residual = self.bar[1:] - found
        error = float(np.abs(residual).max())
        if error < self.error:
            self.error, self.best = error, trial.copy()
        return error, residual, simulated

    def _simulate(self, trial: NDArray[np.float64]) -> NDArray[np.float64]:
        core, rows = self.core, self.rows
        if self.trials:
            core.restore(self.saved)
        self.trials += 1
        self.path[rows, 0] = [math.exp(value) for value in trial.tolist()]
        core.run(len(rows))
        return logs(core.recorder.steps[self.rules.price][rows, 0])

    def _straight(self) -> NDArray[np.float64]:
        """Return straight lines through the high, the low and the close of the wanted path."""
        last = len(self.wanted) - 1
        at = {-1: self.before, int(self.wanted.argmax()): self.bar[1], int(self.wanted.argmin()): self.bar[2],
              last: self.bar[3]}
        knots = sorted(at)
        return np.interp(np.arange(last + 1), knots, [at[knot] for knot in knots])


def logs(values: ArrayLike) -> NDArray[np.float64]:
    """Return natural logarithms, element by element with `math.log`, the same on every machine."""
    given = np.asarray(values, np.float64)
    return np.array([math.log(value) if value > 0.0 else math.nan for value in given.ravel().tolist()]).reshape(
        given.shape)
