"""The exact law of a market maker whose quotes depend on inventory and time only.

Avellaneda and Stoikov (2008), "High-frequency trading in a limit order book", with time in steps. Fills depend on
the distance of a quote from the mid and not on the mid, so inventory is a Markov chain of its own, and the mid
moves on independently of it. The law knows nothing of a book or of draws.
"""

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["Law", "MakerLaw", "maker_law"]

ORDERS = 5   # moments 0 .. 4


@dataclasses.dataclass(frozen=True)
class Law:
    """Moments of one random variable.

    Attributes
    ----------
    mean, sd : float
    fourth : float
        Fourth central moment.
    """

    mean: float
    sd: float
    fourth: float

    @classmethod
    def of(cls, raw: NDArray[np.float64]) -> "Law":
        """Return the law with moments ``E[X^j]``, j = 0 .. 4."""
        mean = float(raw[1])
        second, fourth = (
            sum(math.comb(j, i) * (-mean) ** (j - i) * float(raw[i]) for i in range(j + 1)) for j in (2, 4))
        return cls(mean, math.sqrt(max(second, 0.0)), fourth)

    def mean_error(self, count: int) -> float:
        """Return the standard error of the mean of `count` draws."""
        return self.sd / math.sqrt(count)

    def sd_error(self, count: int) -> float:
        """Return the standard error of their standard deviation, ``sqrt((m4 - sd^4) / n) / (2 sd)``; 0 without any."""
        if self.sd == 0.0:
            return 0.0
        return math.sqrt(max(self.fourth - self.sd**4, 0.0) / count) / (2.0 * self.sd)


@dataclasses.dataclass(frozen=True)
class MakerLaw:
    """Law of the P&L [money] and of the inventory [lots] at the end."""

    profit: Law
    inventory: Law


def maker_law(
    gamma: float, volatility: float, k: float, rate: float, steps: int, skew: float, tick: float = 0.0
) -> MakerLaw:
    """Return the law of a maker who quotes one lot on each side in each of `steps` steps of [0, 1].

    Per step, with q lots held and time ``u`` left: distances ``spread / 2 +- skew q gamma volatility^2 u`` of bid
    and ask from the mid, each filled on its own with probability ``min(1, rate dt exp(-k distance))``; a fill earns
    its distance; then ``q`` rides a move of the mid by ``+- volatility sqrt(dt)``. So the moments
    ``M_j(q) = E[P&L^j; inventory q]`` follow a forward recursion: binomial sums over gains, then over moves.

    Parameters
    ----------
    gamma, volatility, k, rate : float
        Risk aversion, volatility of the mid per unit of time, decay of fills per distance, fills per unit of time
        at distance 0.
    steps : int
    skew : float
        1 for quotes that follow the inventory, 0 for symmetric ones.
    tick : float
        Of a market in which an order that rounds to the quote's price fills it: the distance is half a tick less.
    """
    dt = 1.0 / steps
    held = np.arange(-steps, steps + 1.0)
    moments = np.zeros((ORDERS, len(held)))
    moments[0, steps] = 1.0
    for step in range(steps):
        left = 1.0 - step * dt
        half = 0.5 * gamma * volatility**2 * left + math.log(1.0 + gamma / k) / gamma
        shift = skew * held * gamma * volatility**2 * left
        bid, ask = half + shift, half - shift
        buys, sells = (np.exp(np.minimum(math.log(rate * dt) - k * (distance - 0.5 * tick), 0.0))
                       for distance in (bid, ask))
        new = (1.0 - buys) * (1.0 - sells) * moments + gained(buys * sells * moments, bid + ask)
        new[:, 1:] += gained(buys * (1.0 - sells) * moments, bid)[:, :-1]
        new[:, :-1] += gained((1.0 - buys) * sells * moments, ask)[:, 1:]
        ride = held * volatility * math.sqrt(dt)
        moments = 0.5 * (gained(new, ride) + gained(new, -ride))
    return MakerLaw(Law.of(moments.sum(axis=1)), Law.of((held ** np.arange(ORDERS)[:, None] * moments[0]).sum(axis=1)))


def gained(moments: NDArray[np.float64], gain: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the moments after a gain that is known for each inventory: ``sum of C(j, i) gain^(j-i) M_i``."""
    return np.array([sum(math.comb(j, i) * gain ** (j - i) * moments[i] for i in range(j + 1)) for j in range(ORDERS)])
