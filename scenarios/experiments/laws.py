"""Laws of liquidation spirals, measured through the real book beside their formulas.

Every function builds a controlled market (:mod:`spirals.scenarios.experiments.laws_book`), runs it and returns
:class:`Measured`: the mean over seeds, its standard error, and what the law says. Derivations: the docstrings.
``python -m spirals.scenarios.experiments.laws`` prints all of them.
"""

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from spirals.scenarios.experiments.laws_book import OPENING_TICKS, LadderMarket, MarginByPrice, controlled
from spirals.simulation.randomness import generator
from spirals.simulation.simulation import Simulation

__all__ = [
    "Measured", "cascade_sizes", "fixed_point", "gain", "generalised_poisson", "poisson_thresholds", "refill",
]

SPACING = 5   # [ticks] price move of one liquidation


@dataclasses.dataclass(frozen=True)
class Measured:
    """What a run gave beside what the law says."""

    case: str
    value: float
    error: float
    expected: float

    def __str__(self) -> str:
        return f"{self.case:44s} {self.value:9.4f} ({self.error:.4f})  law {self.expected:9.4f}"


def gain(maintenance: float, elasticity: float, *, static_gain: float = 0.3, shock: int = 200) -> Measured:
    """Amplification ``1 / (1 - g)`` of a small sale, ``g = (lambda / D) [1 + e m / (1 - m)]``.

    An account's ratio r of equity to notional moves by ``(1 - r) d ln p``; it is due at r = m, and m itself moves
    by ``-e m d ln p``. So a fall by d ln p reaches as many accounts as one by ``[1 + e m / (1 - m)] d ln p`` would
    under a fixed rate. Thresholds lie at equal distances, one liquidation moves the price by one tick; one round
    per step, so that the margin of each round is that of its price.
    """
    thresholds = np.asarray(OPENING_TICKS - (np.arange(2000) + 0.5) / static_gain, np.float64)
    people = LadderMarket(thresholds, 1, maintenance, 1, 3000, sale=shock)
    run = controlled(people, 60, margin=MarginByPrice(maintenance, elasticity), max_rounds=1)
    law = static_gain * (1.0 + elasticity * maintenance / (1.0 - maintenance))
    return Measured(f"gain, m = {maintenance:g}, e = {elasticity:g}", _fall(run) / shock, 0.0, 1.0 / (1.0 - law))


def refill(n: float, decay: float, *, ramp: int = 400, steps: int = 200, seeds: int = 24) -> Measured:
    """Amplification of a ramp where impact decays: ``1 + (n / kT) (1 - exp(-kT / (1 - n)))``, `decay` = kT.

    Thresholds are Poisson with density n / 5 per tick and each liquidation moves the price by 5 ticks. In the mean
    the impact I obeys ``dI (1 - n) = n dX - k I dt`` on a ramp X, which the formula solves.
    """
    keep, found = math.exp(-decay / steps), []
    fall = np.concatenate([[0.0], np.linspace(ramp / steps, ramp, steps)])
    for seed in range(1, seeds + 1):
        thresholds = poisson_thresholds(n / SPACING, ramp * 12, seed)
        people = LadderMarket(thresholds, SPACING, 0.015, 1, 600, fall=fall, keep=keep)
        found.append(_fall(controlled(people, steps, seed=seed)) / ramp)
    law = 1.0 + n / decay * (1.0 - math.exp(-decay / (1.0 - n)))
    return Measured(f"refill, n = {n:g}, kappa T = {decay:g}", *_mean(found), law)


def fixed_point(law: str, accounts: int, *, seeds: int = 24, shock: int = 1000) -> Measured:
    """Root mean square distance [ticks] of the final price from ``p* = p0 - shock - F(p*) / D``.

    F is the *expected* position of thresholds above p for the distribution `law` ("normal" or "uniform"), with
    10,000 lots in all, D = 1 lot per tick. The N drawn thresholds put ``sqrt(s (1 - s) / N)`` of noise on the share
    s that is reached, and the feedback F' / D = g carries it on: the distance is that noise over 1 - g.
    """
    total, found = 10_000, []
    depth = np.arange(0.0, 2.0 * total, 0.25)            # fall of the price below the opening
    share = _share(law, depth)
    reached = int(np.argmax(depth >= shock + total * share))
    expected, below = float(depth[reached]), float(share[reached])
    slope = total * float(share[reached + 4] - share[reached]) / float(depth[reached + 4] - depth[reached])
    spread = total * math.sqrt(below * (1.0 - below) / accounts) / (1.0 - slope)
    for seed in range(1, seeds + 1):
        draws = generator(seed, f"laws.{law}").random(accounts)
        thresholds = OPENING_TICKS - np.interp(draws, share, depth)
        people = LadderMarket(thresholds, total // accounts, 0.015, 1, total + shock + 100, sale=shock)
        found.append((_fall(controlled(people, 2, seed=seed)) - expected) ** 2)
    mean, error = _mean(found)
    distance = math.sqrt(mean)
    return Measured(f"distance from the fixed point, {law}, N = {accounts}", distance, error / (2.0 * distance), spread)


def cascade_sizes(n: float, *, shock: int = 25, seeds: int = 400) -> tuple[NDArray[np.int64], float]:
    """Return the numbers of liquidations after a sale that moves the price by `shock` ticks, and their theta.

    With thresholds Poisson at density n / 5 per tick and 5 ticks per liquidation the sizes are generalised Poisson
    with ``theta = shock n / 5`` (:func:`generalised_poisson`).
    """
    sizes = []
    for seed in range(1, seeds + 1):
        thresholds = poisson_thresholds(n / SPACING, 3000, seed)
        people = LadderMarket(thresholds, SPACING, 0.015, 1, 3500, sale=shock)
        run = controlled(people, 2, seed=seed)
        sizes.append((_fall(run) - shock) / SPACING)
    return np.rint(sizes).astype(np.int64), shock * n / SPACING


def generalised_poisson(n: float, theta: float, most: int) -> NDArray[np.float64]:
    """Return ``P(S = s) = theta (theta + s n)^(s-1) exp(-theta - s n) / s!`` for s = 0 .. `most` (Consul 1989)."""
    sizes = np.arange(most + 1)
    logs = [math.log(theta) + (s - 1) * math.log(theta + s * n) - theta - s * n - math.lgamma(s + 1) for s in sizes]
    return np.exp(logs)


def poisson_thresholds(density: float, reach: int, seed: int) -> NDArray[np.float64]:
    """Return thresholds of a Poisson process of that density over `reach` ticks below the opening."""
    rng = generator(seed, "laws.thresholds")
    return OPENING_TICKS - np.sort(rng.random(rng.poisson(density * reach))) * reach


def _share(law: str, depth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of thresholds within a fall of `depth` ticks."""
    if law == "uniform":
        return np.clip(depth / 16_000.0, 0.0, 1.0)
    share = np.array([0.5 * (1.0 + math.erf((d - 6_000.0) / 6_000.0 / math.sqrt(2.0))) for d in depth])
    return np.asarray((share - share[0]) / (1.0 - share[0]))


def _fall(run: Simulation) -> float:
    """Return how far the mark has fallen since the opening [ticks]."""
    return OPENING_TICKS - float(run.market.record["mark"][0])


def _mean(found: list[float]) -> tuple[float, float]:
    return float(np.mean(found)), float(np.std(found, ddof=1) / math.sqrt(len(found)))


def main() -> None:
    """Print every law beside its measurement."""
    for maintenance in (0.004, 0.015, 0.06):
        for elasticity in (0.0, 14.0):
            print(gain(maintenance, elasticity))
    for decay in (1e-3, 0.5, 2.0, 10.0):
        print(refill(0.6, decay))
    for law in ("uniform", "normal"):
        for accounts in (100, 1_000, 10_000):
            print(fixed_point(law, accounts))
    for n in (0.3, 0.6, 0.8):
        sizes, theta = cascade_sizes(n)
        share, expected = float(np.mean(sizes == 0)), math.exp(-theta)
        error = math.sqrt(expected * (1.0 - expected) / len(sizes))
        print(Measured(f"no liquidation at all, n = {n:g}", share, error, expected))
        print(Measured(f"amplification of a cascade, n = {n:g}", *_mean(list(1.0 + sizes * n / theta)), 1 / (1 - n)))


if __name__ == "__main__":
    main()
