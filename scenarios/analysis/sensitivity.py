"""Sensitivity ranking: which sampled input moves an outcome most, and which lies below the noise.

Screening by first-order shares from given data: the runs of a Latin hypercube are grouped by equal-probability
classes of one input (by its words, where it has words) and the share of the variance of the outcome that lies
between the groups is estimated without bias of size (adjusted R squared, Fisher's epsilon squared). It needs no
special design, catches effects in both directions (a U shape), treats words and numbers alike, and costs as
many runs as one likes; Morris trajectories would need a walk of one input at a time for every outcome and say
nothing about shares. By default outcomes are ranked first, because bad debt and cascades have heavy tails.

Two floors tell what is noise: the share of the variance that lies between replications of one point (no input
can explain it), and the share that the largest of inputs without any effect stays below in 95 of 100 shuffles
of the outcome.
The bins follow Plischke, Borgonovo and Smith (2013), "Global sensitivity measures from given data".
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spirals.simulation.randomness import stream_key

__all__ = ["Factor", "Ranking", "rank_inputs"]

Array = NDArray[np.float64]
LEVEL = 0.95
RUNS_PER_BIN = 12
MOST_BINS = 8


@dataclasses.dataclass(frozen=True)
class Factor:
    """One input in a ranking.

    Attributes
    ----------
    name : str
        Design column.
    share : float
        Of the variance of the outcome between its classes, at most 1; below zero is noise.
    low, high : float
        95 % bootstrap interval over points of the design.
    trend : float
        Spearman correlation with the outcome, in [-1, 1]; NaN for words.
    above_noise : bool
        `share` exceeds what inputs without effect reach.
    """

    name: str
    share: float
    low: float
    high: float
    trend: float
    above_noise: bool


@dataclasses.dataclass(frozen=True)
class Ranking:
    """Inputs in descending order of their share in one outcome.

    Attributes
    ----------
    outcome : str
    factors : tuple of Factor
    floor : float
        Share that the largest of inputs without effect stays below in 95 of 100 shuffles.
    seed_noise : float
        Share of the variance between replications of one point; NaN with one replication.
    n_points, n_runs : int
    """

    outcome: str
    factors: tuple[Factor, ...]
    floor: float
    seed_noise: float
    n_points: int
    n_runs: int

    @property
    def unexplained(self) -> float:
        """Share that no input explains alone and that is not seed noise: interactions, and what bins miss."""
        explained = math.fsum(max(one.share, 0.0) for one in self.factors)
        return 1.0 - explained - (0.0 if math.isnan(self.seed_noise) else self.seed_noise)


def rank_inputs(
    runs: pd.DataFrame, inputs: Sequence[str], outcome: str, *, ranks: bool = True, resamples: int = 200, seed: int = 0
) -> Ranking:
    """Return the inputs of a sampled design in the order of their share in an outcome.

    Parameters
    ----------
    runs : DataFrame
        One row per run: design columns, the outcome; rows with the same inputs are replications. Rows without
        the outcome are left out.
    inputs : sequence of str
        Design columns; numbers are grouped into classes of equal size, words by themselves.
    ranks : bool
        Rank the outcome first.
    resamples : int
        Of bootstrap and shuffles.
    seed : int

    Raises
    ------
    ValueError
        Fewer than 8 points, or no inputs.
    """
    done = runs[runs[outcome].notna()]
    point = np.asarray(done.groupby(list(inputs), sort=False).ngroup() if inputs else [], np.int64)
    n_points = int(point.max()) + 1 if len(point) else 0
    if n_points < 8:
        raise ValueError(f"a ranking needs inputs and at least 8 points, has {len(inputs)} and {n_points}")
    values = np.asarray(done[outcome].rank() if ranks else done[outcome], np.float64)
    means = np.bincount(point, values) / np.bincount(point)
    first = done.groupby(point, sort=True).first()
    classes = np.stack([_classes(first[name]) for name in inputs])
    generator = np.random.Generator(np.random.Philox(key=int(stream_key(seed, f"sensitivity.{outcome}"))))
    total = float(np.var(values, ddof=1))
    noise = _seed_noise(values, point, total)
    # Shares of the variance of runs: the variance of means holds 1 / replications of the seed noise.
    scale = float(np.var(means, ddof=1)) / total if total > 0.0 else 0.0
    shares = scale * _shares(classes, means)
    drawn = np.empty((resamples, len(inputs)))
    shuffled = np.empty((resamples, len(inputs)))
    for k in range(resamples):
        chosen = generator.integers(n_points, size=n_points)
        drawn[k] = scale * _shares(classes[:, chosen], means[chosen])
        shuffled[k] = scale * _shares(classes, generator.permutation(means))
    tail = 0.5 * (1.0 - LEVEL)
    # Points drawn twice look like agreement between them: the bootstrap is centred on the estimate.
    low, high = np.quantile(drawn - np.mean(drawn, axis=0), (tail, 1.0 - tail), axis=0) + shares
    floor = float(np.quantile(np.max(shuffled, axis=1), LEVEL))
    factors = [Factor(name, float(shares[k]), float(low[k]), float(high[k]), _trend(first[name], means),
                      bool(shares[k] > floor)) for k, name in enumerate(inputs)]
    return Ranking(outcome, tuple(sorted(factors, key=lambda one: -one.share)), floor, noise, n_points, len(done))


def _classes(column: pd.Series) -> NDArray[np.int64]:
    """Return the class of every point: classes of equal size of a number, or one per word or rare number."""
    bins = max(2, min(MOST_BINS, len(column) // RUNS_PER_BIN))
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column) or column.nunique() <= bins:
        return np.asarray(pd.factorize(column)[0], np.int64)
    order = column.rank(method="first").to_numpy(float) - 1.0
    return np.asarray(order * bins // len(column), np.int64)


def _shares(classes: NDArray[np.int64], values: Array) -> Array:
    """Return the adjusted share of variance between classes, one per row of `classes`."""
    n = len(values)
    total = float(np.sum((values - np.mean(values)) ** 2))
    found = np.zeros(len(classes))
    if total <= 0.0:
        return found
    for k, row in enumerate(classes):
        counts = np.bincount(row)
        sums = np.bincount(row, values)
        held = counts > 0
        between = float(np.sum(sums[held] ** 2 / counts[held])) - n * float(np.mean(values)) ** 2
        groups = int(np.count_nonzero(held))
        found[k] = 1.0 - (1.0 - between / total) * (n - 1) / max(n - groups, 1)
    return found


def _seed_noise(values: Array, point: NDArray[np.int64], total: float) -> float:
    """Return the share of variance between replications of one point; NaN where no point was run twice."""
    counts = np.bincount(point)
    freedom = int(np.sum(counts - 1))
    if freedom == 0 or total <= 0.0:
        return math.nan
    means = np.bincount(point, values) / counts
    return float(np.sum((values - means[point]) ** 2) / freedom / total)


def _trend(column: pd.Series, values: Array) -> float:
    from scipy.stats import spearmanr

    if not pd.api.types.is_numeric_dtype(column) or column.nunique() < 2 or np.ptp(values) == 0.0:
        return math.nan
    return float(spearmanr(column.to_numpy(float), values).statistic)
