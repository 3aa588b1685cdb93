"""JumpDiffusion: a Brownian price with rare jumps that hit every instrument at the same moment."""

import dataclasses
import math

import numpy as np

from spirals.simulation.kernel import kernel
from spirals.simulation.market.outside_world import (
    COMMON_ACTOR,
    SECONDS_PER_YEAR,
    Forks,
    OutsidePath,
    OutsideWorld,
    correlated_normal,
    per_instrument,
    row_keys,
)
from spirals.simulation.parameters import parameter
from spirals.simulation.randomness import poisson_quantile, uniform

__all__ = ["JumpDiffusion"]


@dataclasses.dataclass(frozen=True)
class JumpDiffusion(OutsideWorld):
    """Geometric Brownian motion with Poisson jumps of normal log size.

    ``d ln S = (drift - volatility^2 / 2 - intensity k) dt + volatility dW + J dN`` with
    ``k = exp(jump_mean + jump_deviation^2 / 2) - 1``, so that ``E S_t = S_0 exp(drift t)``.
    Jump times are common to all instruments, jump sizes have the pairwise `correlation`. With zero
    intensity the path is that of GeometricBrownian with the same seed.

    Source: Merton (1976), "Option pricing when underlying stock returns are discontinuous", Journal
    of Financial Economics 3, 125-144.

    Attributes
    ----------
    price, volatility, drift, correlation
        As in GeometricBrownian.
    intensity : float
        [jumps per day] Mean number of jumps.
    jump_mean, jump_deviation : float
        [log price] Mean and standard deviation of one jump.
    """

    price: float | tuple[float, ...] = parameter(10000.0, unit="quote", above=0, help="opening price")
    volatility: float | tuple[float, ...] = parameter(0.6, unit="per sqrt year (365 d)", low=0, high=100)
    drift: float = parameter(0.0, unit="per year", low=-1000, high=1000, help="growth of the expected price")
    intensity: float = parameter(1.0, unit="jumps per day", low=0, high=100000)
    jump_mean: float = parameter(-0.01, unit="log price", low=-2, high=2, help="mean jump")
    jump_deviation: float = parameter(0.02, unit="log price", low=0, high=2, help="deviation of a jump")
    correlation: float = parameter(0.0, unit="fraction", low=0, high=1, help="between any two instruments")

    def path(self, n_steps: int, step_seconds: float, n_instruments: int, seed: int) -> OutsidePath:
        return self.forked_path(n_steps, step_seconds, n_instruments, seed, ())

    def forked_path(
        self, n_steps: int, step_seconds: float, n_instruments: int, seed: int, forks: Forks
    ) -> OutsidePath:
        opening = per_instrument("JumpDiffusion.price", self.price, n_instruments)
        volatility = per_instrument("JumpDiffusion.volatility", self.volatility, n_instruments)
        price = np.empty((n_steps + 1, n_instruments))
        keys = row_keys(seed, "outside.diffusion", n_steps + 1, forks)
        yearly = self.intensity * 365.0
        compensation = yearly * math.expm1(self.jump_mean + 0.5 * self.jump_deviation**2)
        fill_jump_diffusion(
            keys, step_seconds / SECONDS_PER_YEAR, opening, volatility,
            self.drift - compensation, yearly, self.jump_mean, self.jump_deviation,
            math.sqrt(self.correlation), price,
        )
        return OutsidePath(price, step_seconds)


@kernel
def fill_jump_diffusion(
    keys, years, opening, volatility, drift, intensity, mean, deviation, loading, out_price
):
    """Fill `out_price` (n_rows, n_instruments); blocks: 0 diffusion, 1 number of jumps, 2 their sum."""
    for instrument in range(out_price.shape[1]):
        sigma = volatility[instrument]
        trend = (drift - 0.5 * sigma * sigma) * years
        noise = sigma * math.sqrt(years)
        log_return = 0.0
        out_price[0, instrument] = opening[instrument]
        for row in range(1, out_price.shape[0]):
            key = keys[row]
            log_return += trend + noise * correlated_normal(key, row, instrument, 0, loading)
            jumps = poisson_quantile(intensity * years, uniform(key, row, COMMON_ACTOR, 1))
            if jumps > 0:
                size = correlated_normal(key, row, instrument, 2, loading)
                log_return += jumps * mean + math.sqrt(float(jumps)) * deviation * size
            out_price[row, instrument] = opening[instrument] * math.exp(log_return)
