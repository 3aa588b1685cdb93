"""GeometricBrownian: constant volatility, the plainest random outside world."""

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

__all__ = ["GeometricBrownian"]


@dataclasses.dataclass(frozen=True)
class GeometricBrownian(OutsideWorld):
    """Geometric Brownian motion, ``d ln S = (drift - volatility^2 / 2) dt + volatility dW``.

    Exact at any step length.

    Attributes
    ----------
    price : float or tuple of float
        [quote] Opening price, one value or one per instrument.
    volatility : float or tuple of float
        [per sqrt year of 365 days] One value or one per instrument.
    drift : float
        [per year] Growth of the expected price: ``E S_t = S_0 exp(drift t)``.
    correlation : float
        Common pairwise correlation of the increments, in [0, 1].
    """

    price: float | tuple[float, ...] = parameter(10000.0, unit="quote", above=0, help="opening price")
    volatility: float | tuple[float, ...] = parameter(0.6, unit="per sqrt year (365 d)", low=0, high=100)
    drift: float = parameter(0.0, unit="per year", low=-1000, high=1000, help="growth of the expected price")
    correlation: float = parameter(0.0, unit="fraction", low=0, high=1, help="between any two instruments")

    def path(self, n_steps: int, step_seconds: float, n_instruments: int, seed: int) -> OutsidePath:
        return self.forked_path(n_steps, step_seconds, n_instruments, seed, ())

    def forked_path(
        self, n_steps: int, step_seconds: float, n_instruments: int, seed: int, forks: Forks
    ) -> OutsidePath:
        opening = per_instrument("GeometricBrownian.price", self.price, n_instruments)
        volatility = per_instrument("GeometricBrownian.volatility", self.volatility, n_instruments)
        price = np.empty((n_steps + 1, n_instruments))
        keys = row_keys(seed, "outside.diffusion", n_steps + 1, forks)
        years = step_seconds / SECONDS_PER_YEAR
        loading = math.sqrt(self.correlation)
        fill_geometric_brownian(keys, years, opening, volatility, self.drift, loading, price)
        return OutsidePath(price, step_seconds)


@kernel
def fill_geometric_brownian(keys, years, opening, volatility, drift, loading, out_price):
    """Fill `out_price` (n_rows, n_instruments); the draw of row k has counter (k, instrument, block 0)."""
    for instrument in range(out_price.shape[1]):
        sigma = volatility[instrument]
        trend = (drift - 0.5 * sigma * sigma) * years
        noise = sigma * math.sqrt(years)
        log_return = 0.0
        out_price[0, instrument] = opening[instrument]
        for row in range(1, out_price.shape[0]):
            log_return += trend + noise * correlated_normal(keys[row], row, instrument, 0, loading)
            out_price[row, instrument] = opening[instrument] * math.exp(log_return)
