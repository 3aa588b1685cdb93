"""ClusteredVolatility: an outside world whose volatility moves on two time scales, with rare fat-tailed jumps."""

import dataclasses
import math

import numpy as np

from spirals.simulation.kernel import kernel
from spirals.simulation.market.outside_world import (
    COMMON_ACTOR,
    SECONDS_PER_DAY,
    SECONDS_PER_YEAR,
    Forks,
    OutsidePath,
    OutsideWorld,
    correlated_normal,
    per_instrument,
    row_keys,
)
from spirals.simulation.parameters import parameter
from spirals.simulation.randomness import normal_quantile, poisson_quantile, uniform

__all__ = ["ClusteredVolatility"]

FIRST_JUMP = 8   # block of the size of the first jump of a step


@dataclasses.dataclass(frozen=True)
class ClusteredVolatility(OutsideWorld):
    """Brownian motion in a volatility that clusters, plus jumps: the stylised facts of quiet returns.

    ``d ln S = (drift - v/2 - intensity k) dt + sqrt(v) dW + J dN`` with the variance

        v = volatility^2 exp(2 f x - 2 f^2 + 2 s y - 2 s^2),   f = fast_deviation, s = slow_deviation,

    where x and y are independent standard Ornstein-Uhlenbeck processes with the memories `fast_seconds`
    and `slow_seconds`, stationary from the opening on, so that ``E v = volatility^2`` and the
    autocovariance of v is ``volatility^4 (exp(4 f^2 e^(-t/fast) + 4 s^2 e^(-t/slow)) - 1)``. Jumps have a
    Laplace (two-sided exponential) log size of mean zero and deviation `jump_deviation`;
    ``k = 1 / (1 - jump_deviation^2 / 2) - 1`` keeps ``E S_t = S_0 exp(drift t)``. x and y are drawn
    exactly at any step length; only v is held over a step, which is short beside `fast_seconds`.
    Volatility and jump times are common to all instruments; noise and jump sizes of two
    instruments share `correlation` and 0.

    Sources: two factors of volatility: Chernov, Gallant, Ghysels and Tauchen (2003), Journal of
    Econometrics 116, 225-257; Laplace jumps: Kou (2002), Management Science 48, 1086-1101. Defaults: fitted to the
    five-minute bars of September 2025, :mod:`spirals.scenarios.calibration.fit_volatility`.

    Attributes
    ----------
    price, drift, correlation
        As in GeometricBrownian; `correlation` is that of the Brownian noise.
    volatility : float
        [per sqrt year of 365 days] Root of the mean variance, without jumps.
    fast_deviation, slow_deviation : float
        Stationary deviations of the two parts of the log volatility.
    fast_seconds, slow_seconds : float
        [s] Their memories (the autocorrelation is exp(-t / memory)).
    intensity : float
        [jumps per day] Mean number of jumps.
    jump_deviation : float
        [log price] Standard deviation of one jump.
    """

    price: float | tuple[float, ...] = parameter(10000.0, unit="quote", above=0, help="opening price")
    volatility: float = parameter(0.253, unit="per sqrt year (365 d)", low=0, high=100, help="without jumps")
    fast_deviation: float = parameter(0.34, unit="log volatility", low=0, high=2, help="of the fast part")
    fast_seconds: float = parameter(2500.0, unit="s", above=0, high=1e6, help="memory of the fast part")
    slow_deviation: float = parameter(0.5, unit="log volatility", low=0, high=2, help="of the slow part")
    slow_seconds: float = parameter(86400.0, unit="s", above=0, high=1e8, help="memory of the slow part")
    intensity: float = parameter(15.0, unit="jumps per day", low=0, high=100000)
    jump_deviation: float = parameter(0.0012, unit="log price", low=0, high=1, help="of a jump (Laplace)")
    drift: float = parameter(0.0, unit="per year", low=-1000, high=1000, help="growth of the expected price")
    correlation: float = parameter(0.0, unit="fraction", low=0, high=1, help="between any two instruments")

    def path(self, n_steps: int, step_seconds: float, n_instruments: int, seed: int) -> OutsidePath:
        return self.forked_path(n_steps, step_seconds, n_instruments, seed, ())

    def forked_path(
        self, n_steps: int, step_seconds: float, n_instruments: int, seed: int, forks: Forks
    ) -> OutsidePath:
        opening = per_instrument("ClusteredVolatility.price", self.price, n_instruments)
        price = np.empty((n_steps + 1, n_instruments))
        keys = row_keys(seed, "outside.diffusion", n_steps + 1, forks)
        days = step_seconds / SECONDS_PER_DAY
        scale = self.jump_deviation / math.sqrt(2.0)
        compensation = self.intensity * days * (1.0 / (1.0 - scale * scale) - 1.0)
        fill_clustered(
            keys, opening, self.drift * step_seconds / SECONDS_PER_YEAR - compensation,
            self.volatility * math.sqrt(step_seconds / SECONDS_PER_YEAR),
            self.fast_deviation, math.exp(-step_seconds / self.fast_seconds),
            self.slow_deviation, math.exp(-step_seconds / self.slow_seconds),
            self.intensity * days, scale, math.sqrt(self.correlation), price,
        )
        return OutsidePath(price, step_seconds)


@kernel
def fill_clustered(
    keys, opening, trend, noise, fast_deviation, fast_memory, slow_deviation, slow_memory, jumps, scale, loading,
    out_price,
):
    """Fill `out_price` (n_rows, n_instruments).

    Blocks: 0 price noise, 1 number of jumps, 3 and 4 noise of the fast and slow part, FIRST_JUMP + k size of jump k.
    Row 0 of blocks 3 and 4 is the stationary opening.
    """
    fast_noise = math.sqrt(1.0 - fast_memory * fast_memory)
    slow_noise = math.sqrt(1.0 - slow_memory * slow_memory)
    level = -fast_deviation * fast_deviation - slow_deviation * slow_deviation
    for instrument in range(out_price.shape[1]):
        fast = normal_quantile(uniform(keys[0], 0, COMMON_ACTOR, 3))
        slow = normal_quantile(uniform(keys[0], 0, COMMON_ACTOR, 4))
        log_return = 0.0
        out_price[0, instrument] = opening[instrument]
        for row in range(1, out_price.shape[0]):
            key = keys[row]
            deviation = noise * math.exp(level + fast_deviation * fast + slow_deviation * slow)
            log_return += trend - 0.5 * deviation * deviation
            log_return += deviation * correlated_normal(key, row, instrument, 0, loading)
            for k in range(poisson_quantile(jumps, uniform(key, row, COMMON_ACTOR, 1))):
                log_return += scale * laplace_quantile(uniform(key, row, instrument, FIRST_JUMP + k))
            out_price[row, instrument] = opening[instrument] * math.exp(log_return)
            fast = fast_memory * fast + fast_noise * normal_quantile(uniform(key, row, COMMON_ACTOR, 3))
            slow = slow_memory * slow + slow_noise * normal_quantile(uniform(key, row, COMMON_ACTOR, 4))


@kernel
def laplace_quantile(u):
    """Return the quantile of the Laplace law with scale 1 (deviation sqrt 2) at `u` in (0, 1)."""
    return math.log(2.0 * u) if u < 0.5 else -math.log(2.0 * (1.0 - u))
