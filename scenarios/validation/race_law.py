"""First passage of two queues that grow and shrink on their own: which empties first, and when."""

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["RaceLaw", "reach_probability", "time_alone"]

QUEUE_LIMIT = 80


class RaceLaw:
    """Two independent birth-death queues until the first is empty.

    A queue of n orders grows at rate `limit` and shrinks at rate ``market + cancel n``. P(the ask queue empties
    first) is the harmonic function with 1 on that boundary and 0 on the other; the mean time solves the same linear
    system with a source of 1: ``total rate x T = 1 + sum of rate x T after``. Queues are cut at 80 orders
    (:func:`reach_probability` says how seldom they come so far).

    Parameters
    ----------
    limit, market : float
        Per unit of time.
    cancel : float
        Per order and unit of time.
    """

    def __init__(self, limit: float, market: float, cancel: float) -> None:
        from scipy.sparse import coo_matrix
        from scipy.sparse.linalg import splu

        n = QUEUE_LIMIT
        bids, asks = (grid.ravel() for grid in np.meshgrid(np.arange(1, n + 1), np.arange(1, n + 1), indexing="ij"))
        place = np.arange(n * n)
        rises, total = np.zeros(n * n), np.zeros(n * n)
        rows, columns, entries = [], [], []
        for queue, stride in ((bids, n), (asks, 1)):
            for step, rate in ((1, np.where(queue < n, limit, 0.0)), (-1, market + cancel * queue)):
                total += rate
                inside = (queue + step >= 1) & (queue + step <= n)
                rows.append(place[inside])
                columns.append(place[inside] + step * stride)
                entries.append(-rate[inside])
                if stride == 1:
                    rises += np.where(queue + step == 0, rate, 0.0)
        matrix = coo_matrix((np.concatenate([*entries, total]),
                             (np.concatenate([*rows, place]), np.concatenate([*columns, place])))).tocsc()
        self._rises, self._times = splu(matrix).solve(np.column_stack([rises, np.ones(n * n)])).T.reshape(2, n, n)

    def rise_probability(self, bids: int, asks: int) -> float:
        """Return P(the ask queue of `asks` orders empties before the bid queue of `bids`)."""
        return float(self._rises[bids - 1, asks - 1])

    def mean_time(self, bids: int, asks: int) -> float:
        """Return the mean time until one of them is empty."""
        return float(self._times[bids - 1, asks - 1])


def reach_probability(limit: float, market: float, cancel: float, orders: int) -> float:
    """Return P(one queue of `orders` reaches the cut before it is empty): gambler's ruin with rates that vary."""
    return float(_odds(limit, market, cancel)[:orders].sum() / _odds(limit, market, cancel).sum())


def time_alone(limit: float, market: float, cancel: float, orders: int) -> float:
    """Return the mean time until one queue of `orders` is empty, an upper bound for two; infinite if beyond floats.

    From n to n - 1 it takes ``sum over k >= n of (limit^(k-n) / (rate_n .. rate_k))``.
    """
    rates = market + cancel * np.arange(1, QUEUE_LIMIT + 1)
    total = 0.0
    for n in range(orders):
        total += float(np.sum(np.cumprod(limit / rates[n:]))) / limit if limit > 0.0 else 1.0 / float(rates[n])
    return total if math.isfinite(total) else math.inf


def _odds(limit: float, market: float, cancel: float) -> NDArray[np.float64]:
    """Return ``rate_1 .. rate_i / limit^i`` for i = 0 .. cut - 1, each at most 1e300."""
    steps = np.log((market + cancel * np.arange(1, QUEUE_LIMIT)) / max(limit, 1e-12))
    return np.exp(np.minimum(np.concatenate([[0.0], np.cumsum(steps)]), 690.0))
