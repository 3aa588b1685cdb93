"""Heston: an outside world whose volatility is itself random and rises when the price falls."""

import dataclasses
import math

import numpy as np

from spirals.simulation.kernel import kernel
from spirals.simulation.market.outside_world import (
    SECONDS_PER_YEAR,
    Forks,
    OutsidePath,
    OutsideWorld,
    correlated_normal,
    per_instrument,
    row_keys,
)
from spirals.simulation.parameters import parameter
from spirals.simulation.randomness import normal_quantile, uniform

__all__ = ["Heston"]


@dataclasses.dataclass(frozen=True)
class Heston(OutsideWorld):
    """Stochastic volatility, ``d ln S = (drift - v/2) dt + sqrt(v) dW`` with a mean-reverting variance v.

    ``dv = mean_reversion (long_run_volatility^2 - v) dt + volatility_of_variance sqrt(v) dZ``,
    ``dW dZ = price_variance_correlation dt``. Euler scheme with full truncation: v may become negative
    but only ``max(v, 0)`` enters drift and noise.

    Sources: Heston (1993), Review of Financial Studies 6, 327-343; Lord, Koekkoek and van Dijk (2010),
    "A comparison of biased simulation schemes for stochastic volatility models", Quantitative Finance 10.

    Attributes
    ----------
    price, drift, correlation
        As in GeometricBrownian; `correlation` is that of the price noise.
    volatility, long_run_volatility : float
        [per sqrt year of 365 days] At the opening and in the long run.
    mean_reversion : float
        [per year] Speed at which the variance returns.
    volatility_of_variance : float
        [per year] Volatility of the variance process.
    price_variance_correlation : float
        Correlation of price and variance noise, in [-1, 1]; negative: falls raise volatility.
    """

    price: float | tuple[float, ...] = parameter(10000.0, unit="quote", above=0, help="opening price")
    volatility: float = parameter(0.6, unit="per sqrt year (365 d)", low=0, high=100, help="at the opening")
    long_run_volatility: float = parameter(0.6, unit="per sqrt year (365 d)", low=0, high=100)
    mean_reversion: float = parameter(20.0, unit="per year", low=0, high=1e6, help="speed of return")
    volatility_of_variance: float = parameter(3.0, unit="per year", low=0, high=1e4)
    price_variance_correlation: float = parameter(-0.5, unit="fraction", low=-1, high=1)
    drift: float = parameter(0.0, unit="per year", low=-1000, high=1000, help="growth of the expected price")
    correlation: float = parameter(0.0, unit="fraction", low=0, high=1, help="between any two instruments")

    def path(self, n_steps: int, step_seconds: float, n_instruments: int, seed: int) -> OutsidePath:
        return self.forked_path(n_steps, step_seconds, n_instruments, seed, ())

    def forked_path(
        self, n_steps: int, step_seconds: float, n_instruments: int, seed: int, forks: Forks
    ) -> OutsidePath:
        opening = per_instrument("Heston.price", self.price, n_instruments)
        price = np.empty((n_steps + 1, n_instruments))
        keys = row_keys(seed, "outside.diffusion", n_steps + 1, forks)
        fill_heston(
            keys, step_seconds / SECONDS_PER_YEAR, opening, self.drift,
            self.volatility**2, self.long_run_volatility**2, self.mean_reversion, self.volatility_of_variance,
            self.price_variance_correlation, math.sqrt(self.correlation), price,
        )
        return OutsidePath(price, step_seconds)


@kernel
def fill_heston(
    keys, years, opening, drift, variance, long_run, speed, vol_of_variance, leverage, loading, out_price
):
    """Fill `out_price` (n_rows, n_instruments), `keys` (n_rows,); blocks: 0 price, 3 own part of variance noise."""
    root = math.sqrt(years)
    for instrument in range(out_price.shape[1]):
        v = variance
        log_return = 0.0
        out_price[0, instrument] = opening[instrument]
        for row in range(1, out_price.shape[0]):
            key = keys[row]
            price_noise = correlated_normal(key, row, instrument, 0, loading)
            own_noise = normal_quantile(uniform(key, row, instrument, 3))
            variance_noise = leverage * price_noise + math.sqrt(1.0 - leverage * leverage) * own_noise
            positive = max(v, 0.0)
            deviation = math.sqrt(positive)
            log_return += (drift - 0.5 * positive) * years + deviation * root * price_noise
            v += speed * (long_run - positive) * years + vol_of_variance * deviation * root * variance_noise
            out_price[row, instrument] = opening[instrument] * math.exp(log_return)
