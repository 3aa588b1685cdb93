"""Branching: laws of cascade sizes fitted to data, and an estimator from counts, each with its range of validity.

A *cascade* (tree) is one seed liquidation and all that it sets off. If every event has a Poisson number of children
with mean n, sizes follow Borel's law (Borel 1942); with a Poisson number of seeds per shock the generalised Poisson
law (Consul 1989). For n near 1 both fall like ``s^(-3/2) exp(-s / xi)`` with ``1 / xi = n - 1 - ln n``.
"""

import dataclasses
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spirals.simulation.measures.intervals import Interval
from spirals.simulation.measures.record import Series

__all__ = [
    "GeneralisedPoisson", "PowerLaw", "borel_cutoff", "count_ratio", "fit_borel", "fit_generalised_poisson",
    "fit_power_law", "survival",
]

STEP = 1e-4          # of numerical second derivatives, relative to 1
TERMS = 200_000      # sizes summed up for the norm of the power law; the rest is an integral


@dataclasses.dataclass(frozen=True)
class GeneralisedPoisson:
    """Fit of ``P(S = s) = theta (theta + s n)^(s-1) exp(-theta - s n) / s!``, s = 0, 1, ...

    Attributes
    ----------
    n : Interval
        Branching ratio with its normal 95 % interval.
    theta : float
        Mean number of seeds.
    """

    n: Interval
    theta: float


@dataclasses.dataclass(frozen=True)
class PowerLaw:
    """Fit of ``P(S = s) ~ s^(-exponent) exp(-s / cutoff)``, s = least, least + 1, ...

    Attributes
    ----------
    exponent : Interval
        With its normal 95 % interval.
    rate : Interval
        1 / cutoff; the lower bound may be below zero, which says that no cut-off can be told.
    least : int
        Smallest size that was used.
    """

    exponent: Interval
    rate: Interval
    least: int

    @property
    def cutoff(self) -> float:
        """Size [events] beyond which the law falls exponentially; infinite where none is found."""
        return 1.0 / self.rate.estimate if self.rate.estimate > 0.0 else math.inf


def borel_cutoff(n: float) -> float:
    """Return the cut-off ``1 / (n - 1 - ln n)`` of Borel's law [events]; infinite at n = 1."""
    rate = n - 1.0 - math.log(n)
    return 1.0 / rate if rate > 0.0 else math.inf


def fit_borel(sizes: ArrayLike) -> Interval:
    """Return the branching ratio by maximum likelihood under Borel's law: ``n = 1 - 1 / mean size``.

    Parameters
    ----------
    sizes : array_like of int, shape (k,)
        Events per cascade, seed included, at least 1.

    Returns
    -------
    Interval
        Standard error ``sqrt(n (1 - n) / k)``; NaN with fewer than two cascades.

    Notes
    -----
    Valid where cascades have one seed each, seeds are told apart, children are Poisson with one and the same mean,
    and nothing ends a cascade early: an infinite population, no horizon. It equals the share of events with a
    parent, so on a family tree it is the proximate ratio under another name. Where positions run out or the book
    refills it is a mean over the path, and it always lies below 1.
    """
    counts = np.asarray(sizes, np.float64)
    _require(bool((counts >= 1.0).all()), "sizes must be at least 1: a cascade holds its seed")
    k = len(counts)
    if k < 2:
        return _normal(1.0 - k / float(counts.sum()) if k else math.nan, math.nan, k)
    n = 1.0 - k / math.fsum(counts)
    return _normal(n, math.sqrt(n * (1.0 - n) / k), k)


def fit_generalised_poisson(sizes: ArrayLike) -> GeneralisedPoisson:
    """Return branching ratio and mean number of seeds by maximum likelihood under the generalised Poisson law.

    Parameters
    ----------
    sizes : array_like of int, shape (k,)
        Events per shock, 0 where nothing happened.

    Notes
    -----
    Valid where the shocks are alike (the same expected number of seeds), independent, and children are Poisson.
    Seeds that differ from shock to shock look like branching: the fit cannot tell them apart. Below k = 50 or so the
    normal interval is too narrow. A ratio of 0 is returned where counts are no wider than Poisson.
    """
    from scipy.optimize import minimize_scalar

    counts = np.asarray(sizes, np.float64)
    _require(bool((counts >= 0.0).all()), "sizes must not be negative")
    k, mean = len(counts), float(counts.mean()) if len(counts) else math.nan
    if k < 2 or mean == 0.0:
        return GeneralisedPoisson(_normal(math.nan, math.nan, k), mean)

    def loss(theta: float, n: float) -> float:
        if theta <= 0.0 or n < 0.0:
            return math.inf
        inner = theta + counts * n
        return -float(np.sum(math.log(theta) + (counts - 1.0) * np.log(inner) - inner))

    # At the maximum theta = mean (1 - n) exactly, so one parameter is left.
    best = minimize_scalar(lambda n: loss(mean * (1.0 - n), n), bounds=(0.0, 1.0 - 1e-9), method="bounded",
                           options={"xatol": 1e-10})
    n = float(best.x) if best.fun < loss(mean, 0.0) else 0.0
    theta = mean * (1.0 - n)
    error = math.nan
    if n > 2.0 * STEP:
        error = math.sqrt(_covariance(loss, theta, n)[1, 1])
    return GeneralisedPoisson(_normal(n, error, k), theta)


def fit_power_law(sizes: ArrayLike, least: int = 1) -> PowerLaw:
    """Return exponent and exponential cut-off of the tail of cascade sizes by maximum likelihood.

    Parameters
    ----------
    sizes : array_like of int, shape (k,)
    least : int
        Sizes below it are left out, at least 1.

    Notes
    -----
    Valid for the tail only: Borel's law itself is ``s^(-3/2) exp(-s / xi)`` up to a factor ``1 + 1 / (12 s)``, so
    `least` of 5 or more keeps the bias of the exponent below .02. Exponent and cut-off lean on each other: without
    sizes well beyond the cut-off the exponent is too steep, with few beyond `least` both are noise (the interval
    says so). A finite population has a cut-off of its own. A fitted 3/2 is no proof of branching: other mechanisms
    give it too (Clauset, Shalizi and Newman 2009).
    """
    from scipy.optimize import minimize

    _require(least >= 1, f"least must be at least 1, was {least!r}")
    counts = np.asarray(sizes, np.float64)
    counts = counts[counts >= least]
    k = len(counts)
    if k < 3 or counts.min() == counts.max():
        empty = _normal(math.nan, math.nan, k)
        return PowerLaw(empty, empty, least)
    logs, total = math.fsum(np.log(counts)), math.fsum(counts)
    support = np.arange(least, least + TERMS, dtype=np.float64)
    ranks = np.log(support)

    def loss(exponent: float, rate: float) -> float:
        terms = -exponent * ranks - rate * support
        top = float(terms.max())
        rest = float(terms[-1] - top) - math.log(max(rate, (exponent - 1.0) / support[-1], 1e-12))
        norm = top + math.log(float(np.exp(terms - top).sum()) + math.exp(min(rest, 700.0)))
        return exponent * logs + rate * total + k * norm

    start = np.array([1.5, 1.0 / max(float(counts.max()), 2.0)])
    scale = np.array([1.0, start[1]])
    best = minimize(lambda x: loss(*(x * scale)), start / scale, method="Nelder-Mead", bounds=((0.0, 6.0), (0.0, None)),
                    options={"xatol": 1e-7, "fatol": 1e-9, "maxiter": 2000})
    exponent, rate = (float(x) for x in best.x * scale)
    spread = _covariance(loss, exponent, max(rate, 2.0 * STEP * scale[1]), scale[1])
    errors = np.sqrt(np.where(np.diag(spread) > 0.0, np.diag(spread), math.nan))
    return PowerLaw(_normal(exponent, float(errors[0]), k), _normal(rate, float(errors[1]), k), least)


def count_ratio(counts: ArrayLike) -> float:
    """Return ``1 - sqrt(mean / variance)`` of counts per window (Hardiman and Bouchaud 2014).

    Parameters
    ----------
    counts : array_like of float, shape (k,)
        Events per window.

    Returns
    -------
    float
        NaN with fewer than two windows, without events, or where all counts are equal.

    Notes
    -----
    Valid in stationary runs only, with windows much longer than the memory of the process and a constant outside
    intensity: then the variance of the counts is their mean over ``(1 - n)^2``. An outside intensity that varies
    counts as branching. With true n = 0, 20 events per window on average and an intensity whose coefficient of
    variation is .3 (1.0) it returns .40 (.78), which is why a crash must never be read with it alone. Negative
    where counts are more even than Poisson.
    """
    values = np.asarray(counts, np.float64)
    if len(values) < 2:
        return math.nan
    mean, variance = float(values.mean()), float(values.var(ddof=1))
    return 1.0 - math.sqrt(mean / variance) if mean > 0.0 and variance > 0.0 else math.nan


def survival(sizes: ArrayLike) -> tuple[NDArray[np.float64], Series]:
    """Return distinct sizes in ascending order and the share of cascades at least as large."""
    values, counts = np.unique(np.asarray(sizes, np.float64), return_counts=True)
    return values, np.cumsum(counts[::-1])[::-1] / max(1, counts.sum())


def _covariance(loss: object, first: float, second: float, scale: float = 1.0) -> NDArray[np.float64]:
    """Return the inverse of the second derivatives of a negative log likelihood of two parameters."""
    assert callable(loss)
    a, b = STEP * max(first, 1.0), STEP * scale
    centre = loss(first, second)
    aa = (loss(first + a, second) - 2.0 * centre + loss(first - a, second)) / a**2
    bb = (loss(first, second + b) - 2.0 * centre + loss(first, second - b)) / b**2
    ab = (loss(first + a, second + b) - loss(first + a, second - b) - loss(first - a, second + b)
          + loss(first - a, second - b)) / (4.0 * a * b)
    matrix = np.array([[aa, ab], [ab, bb]])
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-300:
        return np.full((2, 2), math.nan)
    return np.asarray(np.linalg.inv(matrix), np.float64)


def _normal(value: float, error: float, k: int) -> Interval:
    return Interval(value, value - 1.959964 * error, value + 1.959964 * error, error, k)


def _require(met: bool, text: str) -> None:
    if not met:
        raise ValueError(text)
