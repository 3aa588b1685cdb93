"""Procyclicality of a margin rate, and whether the margin covered the losses.

Peak-to-trough and n-period rises follow Murphy, Vasios and Vause (2014), "An investigation into the
procyclicality of risk-based initial margin models", Bank of England Financial Stability Paper 29.
Coverage tests: Kupiec (1995), "Techniques for verifying the accuracy of risk measurement models",
Journal of Derivatives 3; Christoffersen (1998), "Evaluating interval forecasts", International
Economic Review 39.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.measures.record import Series

__all__ = [
    "Coverage", "breaches", "christoffersen", "kupiec", "kupiec_interval", "largest_rise", "mean_extra_margin",
    "peak_to_trough",
]


def peak_to_trough(rates: Series) -> float:
    """Return the highest rate of the path over its lowest [ratio], 1 for a constant rate.

    Parameters
    ----------
    rates : ndarray of shape (n,), float
        Margin rate of a constant portfolio [fraction of notional], positive.
    """
    return float(rates.max() / rates.min())


def largest_rise(rates: Series, periods: int) -> float:
    """Return the largest rise within at most `periods` periods [fraction of notional], at least 0.

    ``max over t of m_t - min(m_s, t - periods <= s <= t)``; it never falls as `periods` grows, and a
    path shorter than `periods` counts whole.

    Parameters
    ----------
    rates : ndarray of shape (n,), float
    periods : int
        At least 1.
    """
    if periods < 1:
        raise ValueError(f"periods must be at least 1, was {periods}")
    lag = min(periods, len(rates) - 1)
    if lag < 1:
        return 0.0
    padded = np.concatenate([np.full(lag, np.inf), rates])
    lowest = _sliding_minimum(padded, lag + 1)
    return max(0.0, float((rates - lowest).max()))


def mean_extra_margin(rates: Series, reference: float | None = None) -> float:
    """Return the mean of the rate above `reference` [fraction of notional]: what reacting costs.

    Without `reference` it is the opening rate. Negative when the rate spent most of the time below.
    """
    base = float(rates[0]) if reference is None else reference
    return math.fsum(rates) / len(rates) - base


def breaches(losses: Series, margins: Series) -> NDArray[np.bool_]:
    """Return where a loss exceeded the margin held against it; both in the same unit and shape."""
    return np.asarray(losses) > np.asarray(margins)


@dataclasses.dataclass(frozen=True)
class Coverage:
    """Result of a likelihood-ratio test of coverage.

    Attributes
    ----------
    statistic : float
        Likelihood ratio, at least 0, asymptotically chi-squared.
    p_value : float
        In [0, 1].
    breaches, observations : int
    """

    statistic: float
    p_value: float
    breaches: int
    observations: int


def kupiec(observations: int, n_breaches: int, probability: float) -> Coverage:
    """Test whether breaches occur with the stated probability (proportion of failures).

    ``LR = 2 [ln L(x/n) - ln L(p)]`` with the binomial likelihood L, chi-squared with one degree.

    Parameters
    ----------
    observations : int
        At least 1.
    n_breaches : int
        In [0, observations].
    probability : float
        In (0, 1), e.g. 0.01 for margin at 99 %.
    """
    if observations < 1 or not 0 <= n_breaches <= observations or not 0.0 < probability < 1.0:
        raise ValueError(
            "kupiec needs observations >= 1, 0 <= n_breaches <= observations and probability in (0, 1), "
            f"was {observations}, {n_breaches}, {probability}"
        )
    share = n_breaches / observations
    free = _log_likelihood(observations - n_breaches, n_breaches, share)
    bound = _log_likelihood(observations - n_breaches, n_breaches, probability)
    statistic = max(0.0, 2.0 * (free - bound))
    return Coverage(statistic, math.erfc(math.sqrt(statistic / 2.0)), n_breaches, observations)


def kupiec_interval(observations: float, share: float, level: float = 0.95) -> tuple[float, float]:
    """Return the probabilities of a breach that Kupiec's test does not reject.

    Parameters
    ----------
    observations : float
        Above 0; the effective number of independent windows, so it need not be whole.
    share : float
        [fraction] Breaches seen, in [0, 1].
    level : float
        Of the interval, in (0, 1).

    Examples
    --------
    >>> [round(end, 4) for end in kupiec_interval(250, 0.012)]
    [0.003, 0.0308]
    """
    from scipy.optimize import brentq
    from scipy.stats import chi2

    critical = float(chi2.ppf(level, 1))

    def excess(p: float) -> float:
        hits, misses = share * observations, (1.0 - share) * observations
        ratio = (hits * math.log(share / p) if hits else 0.0)
        ratio += misses * math.log((1.0 - share) / (1.0 - p)) if misses else 0.0
        return 2.0 * ratio - critical

    tiny = 1e-15
    low = 0.0 if share == 0.0 or excess(tiny) < 0.0 else float(brentq(excess, tiny, share))
    high = 1.0 if share == 1.0 or excess(1.0 - tiny) < 0.0 else float(brentq(excess, share, 1.0 - tiny))
    return low, high


def christoffersen(
    breached: Sequence[bool] | NDArray[np.bool_], probability: float
) -> tuple[Coverage, Coverage]:
    """Test whether breaches come independently, and jointly with the stated probability.

    Parameters
    ----------
    breached : sequence of bool, length at least 2
        In order of time.
    probability : float
        In (0, 1).

    Returns
    -------
    independence : Coverage
        First-order Markov chain against independence, chi-squared with one degree; it says 0 (p = 1)
        when there was no breach among the first n - 1 observations.
    conditional : Coverage
        Sum of Kupiec's and the independence statistic, chi-squared with two degrees.
    """
    hits = np.asarray(breached, dtype=np.int64)
    if len(hits) < 2:
        raise ValueError(f"christoffersen needs at least 2 observations, had {len(hits)}")
    n00, n01, n10, n11 = (int(count) for count in np.bincount(2 * hits[:-1] + hits[1:], minlength=4))
    pooled = _log_likelihood(n00 + n10, n01 + n11, _share(n01 + n11, n00 + n10))
    chain = _log_likelihood(n00, n01, _share(n01, n00)) + _log_likelihood(n10, n11, _share(n11, n10))
    statistic = max(0.0, 2.0 * (chain - pooled))
    count, total = int(hits.sum()), len(hits)
    independence = Coverage(statistic, math.erfc(math.sqrt(statistic / 2.0)), count, total)
    joint = statistic + kupiec(total, count, probability).statistic
    return independence, Coverage(joint, math.exp(-joint / 2.0), count, total)


def _share(hits: int, misses: int) -> float:
    return hits / (hits + misses) if hits + misses else 0.0


def _log_likelihood(misses: int, hits: int, probability: float) -> float:
    """Binomial log likelihood with 0 ln 0 = 0."""
    value = 0.0
    if misses:
        value += misses * math.log1p(-probability)
    if hits:
        value += hits * math.log(probability)
    return value


def _sliding_minimum(values: Series, width: int) -> Series:
    """Minimum of every window of `width` values, by windows of doubled length: log2(width) passes."""
    result, done = values, 1
    while done < width:
        shift = min(done, width - done)
        result = np.minimum(result[shift:], result[:-shift])
        done += shift
    return result
