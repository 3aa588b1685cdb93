"""A cascade of liquidations in a linear book: thresholds are a Poisson process in price, every liquidation moves it on.

Distances are falls of the price from where it started; `density` thresholds per unit of it. The crossing of
thresholds is simulated one by one; no offspring distribution enters.
"""

import math

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.kernel import kernel
from spirals.simulation.randomness import exponential, stream_key, uniforms

__all__ = ["CascadeParticles", "cascade_sizes", "ramp_falls"]


@kernel
def cascade_sizes(key, density, impact, shock, runs, seeds, most):
    """Simulate cascades after one exogenous fall, or (`shock` 0, `seeds` 1) after one seed liquidation.

    Parameters: `key` of a stream; `density` of thresholds; `impact` of a liquidation on the price; exogenous
    fall `shock`; number of `runs`; `seeds` liquidations given; a cascade of `most` is cut.

    Returns int64 of shape (runs, 2): liquidations in all, and those whose threshold a liquidation crossed, not the
    shock.
    """
    sizes = np.zeros((runs, 2), np.int64)
    for run in range(runs):
        reached = shock + seeds * impact   # how far the price will have fallen when all known moves are made
        place = 0.0                        # the last threshold looked at
        count = seeds
        children = 0
        block = 0
        second = 0.0
        while count < most:
            if block % 2 == 0:
                first, second = uniforms(key, run, 0, block)
            else:
                first = second
            block += 1
            place += exponential(first) / density
            if place > reached:
                break
            count += 1
            if place > shock:
                children += 1
            reached += impact
        sizes[run, 0] = count
        sizes[run, 1] = children
    return sizes


@kernel
def ramp_falls(key, density, impact, decay, shock, seconds, runs, most):
    """Return the price fall at the end of an exogenous ramp, per run, when impact decays at rate `decay` per second.

    The exogenous price falls by `shock` in `seconds`, linearly; each liquidation moves the price by `impact` at once,
    which then decays. Between two liquidations the fall is ``x(s) = a + v s + D exp(-decay s)``, convex: the
    next crossing is found by Newton's method from above, where it converges monotonically.
    """
    falls = np.zeros(runs)
    speed = shock / seconds
    for run in range(runs):
        now = 0.0
        displaced = 0.0
        place = 0.0
        block = 0
        while block < most:
            place += exponential(uniforms(key, run, 0, block)[0]) / density
            block += 1
            gap = place - speed * now      # what displacement and further ramp have to make up
            wait = 0.0
            if gap > displaced:
                wait = (gap - min(displaced, 0.0)) / speed
                for _ in range(100):
                    left = displaced * math.exp(-decay * wait)
                    slope = speed - decay * left
                    value = speed * wait + left - gap
                    if slope <= 0.0:
                        break
                    wait -= value / slope
                    if abs(value) < 1e-12 * shock:
                        break
            if now + wait >= seconds:
                break
            displaced = displaced * math.exp(-decay * wait) + impact
            now += wait
        falls[run] = shock + displaced * math.exp(-decay * (seconds - now))
    return falls


class CascadeParticles:
    """Cascades from one seed liquidation, as particles for splitting; the score is the number of liquidations.

    State of a particle: its score, and how far the price will still fall beyond the last threshold that it
    crossed. Scores are whole numbers, so ties are the rule.

    Parameters
    ----------
    count : int
    density, impact : float
    key : uint64
        Stream of this population.
    most : int
        Largest level that will be asked for.
    """

    def __init__(self, count: int, density: float, impact: float, key: np.uint64, most: int) -> None:
        self.density, self.impact, self.key = density, impact, key
        self.score = np.ones(count, np.int64)
        self.alive = np.ones(count, np.bool_)
        self.slack = np.zeros((count, most + 2))   # at every score, for going back to it
        self.slack[:, 1] = impact
        self.branch = np.arange(count)
        self.draws = np.zeros(count, np.int64)
        self.branches = count

    def __len__(self) -> int:
        return len(self.score)

    def scores(self) -> NDArray[np.float64]:
        """Return the sizes so far."""
        return self.score.astype(np.float64)

    def advance(self, rows: NDArray[np.int64], level: float) -> None:
        """Carry on until the size is at least `level` or the cascade ends."""
        wanted = min(math.ceil(level), self.slack.shape[1] - 1)
        advance_cascades(self.key, self.density, self.impact, rows, wanted, self.score, self.alive, self.slack,
                         self.branch, self.draws)

    def copy(self, sources: NDArray[np.int64], targets: NDArray[np.int64], level: float) -> None:
        """Copy states as of the first time at `level`; targets draw from branches of their own."""
        at = math.ceil(level)
        self.score[targets] = at
        self.slack[targets, at] = self.slack[sources, at]
        self.alive[targets] = True
        self.branch[targets] = self.branches + np.arange(len(targets))
        self.draws[targets] = 0
        self.branches += len(targets)


@kernel
def advance_cascades(key, density, impact, rows, wanted, score, alive, slack, branch, draws):
    """Carry on the particles `rows` until their score is `wanted` or no further threshold is crossed."""
    for k in range(len(rows)):
        row = rows[k]
        while alive[row] and score[row] < wanted:
            gap = exponential(uniforms(key, branch[row], 1, draws[row])[0]) / density
            draws[row] += 1
            left = slack[row, score[row]] - gap
            if left < 0.0:
                alive[row] = False
            else:
                score[row] += 1
                slack[row, score[row]] = left + impact


def stream(seed: int, purpose: str) -> np.uint64:
    """Return the key of a stream of this model."""
    return stream_key(seed, f"validation.cascade.{purpose}")
