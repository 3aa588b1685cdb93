"""Intervals for means, paired differences and ratios of means.

Every interval covers what varied between the replications and nothing else: on one historical path
that is population and flow noise. Ratio: Fieller (1954), "Some problems in interval estimation",
Journal of the Royal Statistical Society B 16; bootstrap: Efron (1979), percentile method.
"""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from spirals.simulation.measures.record import Series

__all__ = [
    "Interval", "bootstrap_interval", "fieller_interval", "independent_difference", "mean_interval",
    "paired_difference", "student_quantile", "variance_ratio", "wilson_interval",
]

NORMAL_QUANTILE = 1.959963984540054   # 95 %, two-sided


@dataclasses.dataclass(frozen=True)
class Interval:
    """An estimate with its interval.

    Attributes
    ----------
    estimate, low, high : float
        In the unit of the values; the bounds are NaN with fewer than two values, and infinite where
        a ratio is not bounded by the data.
    standard_error : float
        NaN where it is not used (ratio) or not defined.
    n : int
        Replications used.
    """

    estimate: float
    low: float
    high: float
    standard_error: float
    n: int

    @property
    def sign(self) -> int:
        """1 or -1 when the interval lies on one side of zero, else 0."""
        return int(self.low > 0.0) - int(self.high < 0.0)


def student_quantile(level: float, degrees: float) -> float:
    """Return the two-sided Student quantile, e.g. 2.262 for a level of 0.95 with 9 degrees of freedom."""
    from scipy.special import stdtrit  # scipy is slow to import and only reports need it

    return float(stdtrit(degrees, 0.5 + level / 2.0))


def mean_interval(values: Series, level: float = 0.95) -> Interval:
    """Return the mean with its Student interval; values that are NaN are left out.

    Parameters
    ----------
    values : array_like of shape (n_replications,), float
    level : float
        In (0, 1).
    """
    kept = np.asarray(values, dtype=np.float64)
    kept = kept[~np.isnan(kept)]
    n = len(kept)
    if n < 2:
        return Interval(float(kept[0]) if n else math.nan, math.nan, math.nan, math.nan, n)
    mean = math.fsum(kept) / n
    error = math.sqrt(_covariance(kept, kept) / n)
    reach = student_quantile(level, n - 1) * error
    return Interval(mean, mean - reach, mean + reach, error, n)


def paired_difference(first: Series, second: Series, level: float = 0.95) -> Interval:
    """Return the mean of ``first - second`` over replications with its Student interval.

    Both have shape (n_replications,) in the same order; pairs with a NaN are left out.
    """
    return mean_interval(np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64), level)


def independent_difference(first: Series, second: Series, level: float = 0.95) -> Interval:
    """Return the difference of means as if both sets were independent (Welch interval)."""
    one, two = mean_interval(first, level), mean_interval(second, level)
    estimate, n = one.estimate - two.estimate, min(one.n, two.n)
    if n < 2:
        return Interval(estimate, math.nan, math.nan, math.nan, n)
    a, b = one.standard_error**2, two.standard_error**2
    error = math.sqrt(a + b)
    if error == 0.0:
        return Interval(estimate, estimate, estimate, 0.0, n)
    degrees = (a + b) ** 2 / (a**2 / (one.n - 1) + b**2 / (two.n - 1))
    reach = student_quantile(level, degrees) * error
    return Interval(estimate, estimate - reach, estimate + reach, error, n)


def variance_ratio(first: Series, second: Series) -> float:
    """Return the variance that independent runs would give over the variance of the paired difference.

    ``[var(a) + var(b)] / var(a - b)`` over complete pairs: 1 means that pairing bought nothing, 10
    that as good an interval would need ten times as many independent runs, below 1 that it hurt.
    Infinite when all paired differences are equal; NaN when nothing varied or with fewer than two pairs.
    """
    a, b = _complete(first, second)
    if len(a) < 2:
        return math.nan
    apart, paired = _covariance(a, a) + _covariance(b, b), _covariance(a - b, a - b)
    if paired == 0.0:
        return math.inf if apart > 0.0 else math.nan
    return apart / paired


def fieller_interval(numerators: Series, denominators: Series, level: float = 0.95) -> Interval:
    """Return the ratio of means ``mean(a) / mean(b)`` of paired values with Fieller's interval.

    The interval holds every ratio r for which the mean of ``a - r b`` is not significantly different
    from zero; it is exact for normal values. When the mean of b is itself not significantly different
    from zero no finite interval exists: the bounds are then infinite.

    Parameters
    ----------
    numerators, denominators : array_like of shape (n_replications,), float
        Paired by replication; pairs with a NaN are left out.
    level : float
        In (0, 1).
    """
    a, b = _complete(numerators, denominators)
    n = len(a)
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, math.nan, 0)
    mean_a, mean_b = math.fsum(a) / n, math.fsum(b) / n
    ratio = mean_a / mean_b if mean_b != 0.0 else math.nan
    if n < 2:
        return Interval(ratio, math.nan, math.nan, math.nan, n)
    scale = student_quantile(level, n - 1) ** 2 / n
    quadratic = mean_b**2 - scale * _covariance(b, b)
    linear = mean_a * mean_b - scale * _covariance(a, b)
    constant = mean_a**2 - scale * _covariance(a, a)
    if quadratic <= 0.0:
        return Interval(ratio, -math.inf, math.inf, math.nan, n)
    root = math.sqrt(max(0.0, linear**2 - quadratic * constant))
    return Interval(ratio, (linear - root) / quadratic, (linear + root) / quadratic, math.nan, n)


def bootstrap_interval(
    columns: tuple[Series, ...],
    statistic: Callable[..., float],
    seed: int,
    level: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """Return a statistic of replications with its percentile bootstrap interval.

    Parameters
    ----------
    columns : tuple of array_like of shape (n_replications,), float
        Resampled together, row by row, so that pairs stay pairs.
    statistic : callable
        Takes the columns, returns a float; resamples for which it returns NaN are left out.
    seed : int
        The same seed gives the same interval.
    level : float
        In (0, 1).
    resamples : int
        At least 1.
    """
    from spirals.simulation.randomness import generator  # brings numba, which only this function needs

    arrays = [np.asarray(column, dtype=np.float64) for column in columns]
    n = len(arrays[0])
    estimate = float(statistic(*arrays)) if n else math.nan
    if n < 2:
        return Interval(estimate, math.nan, math.nan, math.nan, n)
    rows = generator(seed, "measures.bootstrap").integers(0, n, size=(resamples, n))
    drawn = np.array([float(statistic(*(array[row] for array in arrays))) for row in rows])
    drawn = drawn[~np.isnan(drawn)]
    if len(drawn) < 2:
        return Interval(estimate, math.nan, math.nan, math.nan, n)
    low, high = np.quantile(drawn, [0.5 - level / 2.0, 0.5 + level / 2.0])
    return Interval(estimate, float(low), float(high), math.sqrt(_covariance(drawn, drawn)), n)


def wilson_interval(successes: int, n: int) -> Interval:
    """Return a share with its interval of 95 % after Wilson.

    Source: Wilson (1927), "Probable inference, the law of succession, and statistical inference", Journal of the
    American Statistical Association 22.
    """
    share, z2 = successes / n, NORMAL_QUANTILE**2
    centre = (share + z2 / (2 * n)) / (1.0 + z2 / n)
    half = NORMAL_QUANTILE / (1.0 + z2 / n) * math.sqrt(share * (1.0 - share) / n + z2 / (4.0 * n * n))
    low = 0.0 if successes == 0 else centre - half   # exact there, but for rounding
    return Interval(share, low, 1.0 if successes == n else centre + half, math.sqrt(share * (1.0 - share) / n), n)


def _complete(first: Series, second: Series) -> tuple[Series, Series]:
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    kept = ~(np.isnan(a) | np.isnan(b))
    return a[kept], b[kept]


def _covariance(a: Series, b: Series) -> float:
    n = len(a)
    mean_a, mean_b = math.fsum(a) / n, math.fsum(b) / n
    return math.fsum((a - mean_a) * (b - mean_b)) / (n - 1)
