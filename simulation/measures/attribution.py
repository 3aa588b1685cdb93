"""Attribution: how much of a difference each channel made, in levels that add up.

A *game* is the value of an outcome for every subset of channels that is switched on. From it come, per channel,

- *first-in*: what the channel does alone, ``v({i}) - v({})``;
- *last-out*: what is missing without it, ``v(N) - v(N without i)``;
- the *Shapley value*: its mean contribution over all orders of switching on (Shapley 1953); the values add up to
  ``v(N) - v({})``. It is an accounting convention, not a law: where channels need each other it shares out
  what neither does alone, which is why first-in, last-out and interactions stand beside it;
- the *Owen value*: the same when channels come in groups that are switched on one after the other (Owen 1977);
- *pairwise interactions*: the Shapley interaction index (Grabisch and Roubens 1999), positive where two channels
  do more together than apart.

All sums are exactly rounded, so that a channel which changes nothing has exactly zero and the order in which
channels are named changes nothing at all.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.measures.intervals import Interval, mean_interval

__all__ = [
    "EXACT_CHANNELS", "Attribution", "attribute", "attribute_sampled", "owen_values", "sampled_shapley", "sub_game",
]

EXACT_CHANNELS = 6   # 64 runs; beyond, orders are sampled

Values = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Attribution:
    """Shares of one outcome's difference, in the unit of the outcome.

    Attributes
    ----------
    channels : tuple of str
    total : float
        ``v(N) - v({})``: what all channels together make.
    first_in, shapley, last_out : dict of str to float
    interaction : dict of (str, str) to float
        One entry per pair, in the order of `channels`; empty where orders were sampled.
    intervals : dict of str to Interval
        Of the Shapley values over the orders that were sampled; empty where all subsets were run.
    """

    channels: tuple[str, ...]
    total: float
    first_in: dict[str, float]
    shapley: dict[str, float]
    last_out: dict[str, float]
    interaction: dict[tuple[str, str], float]
    intervals: dict[str, Interval] = dataclasses.field(default_factory=dict)


def attribute(channels: Sequence[str], values: Sequence[float] | Values) -> Attribution:
    """Return the attribution of one outcome over all subsets of channels.

    Parameters
    ----------
    channels : sequence of str
        n distinct names.
    values : sequence of float, of length 2**n
        Element s is the outcome with those channels on whose bit is set in s: bit i is channel i.

    Raises
    ------
    ValueError
        The number of values is not 2**n, or a name comes twice.
    """
    n = len(channels)
    v = [float(value) for value in values]
    if len(v) != 2**n:
        raise ValueError(f"values must have one entry per subset of {n} channels ({2**n}), had {len(v)}")
    if len(set(channels)) != n:
        raise ValueError(f"channels must be distinct, were {list(channels)!r}")
    full = 2**n - 1
    return Attribution(
        tuple(channels), v[full] - v[0],
        {name: v[1 << i] - v[0] for i, name in enumerate(channels)},
        {name: _shapley(v, n, i) for i, name in enumerate(channels)},
        {name: v[full] - v[full ^ (1 << i)] for i, name in enumerate(channels)},
        {(channels[i], channels[j]): _interaction(v, n, i, j) for i, j in itertools.combinations(range(n), 2)},
    )


def _shapley(v: Sequence[float], n: int, i: int) -> float:
    bit = 1 << i
    weights = [math.factorial(s) * math.factorial(n - s - 1) / math.factorial(n) for s in range(n)]
    return math.fsum(weights[s.bit_count()] * (v[s | bit] - v[s]) for s in range(2**n) if not s & bit)


def _interaction(v: Sequence[float], n: int, i: int, j: int) -> float:
    one, other = 1 << i, 1 << j
    weights = [math.factorial(s) * math.factorial(n - s - 2) / math.factorial(n - 1) for s in range(n - 1)]
    return math.fsum(
        weights[s.bit_count()] * math.fsum((v[s | one | other], -v[s | one], -v[s | other], v[s]))
        for s in range(2**n) if not s & (one | other)
    )


def sub_game(channels: Sequence[str], kept: Sequence[str]) -> list[int]:
    """Return the subsets of `channels` that make the game of `kept` alone, all others always on.

    Parameters
    ----------
    channels : sequence of str
        n distinct names.
    kept : sequence of str
        k of them.

    Returns
    -------
    masks : list of int, of length 2**k
        Element s is the subset of `channels` for subset s of `kept`.
    """
    place = {name: i for i, name in enumerate(channels)}
    others = sum(1 << i for name, i in place.items() if name not in kept)
    return [others | sum(1 << place[name] for k, name in enumerate(kept) if mask >> k & 1)
            for mask in range(2 ** len(kept))]


def owen_values(channels: Sequence[str], values: Sequence[float] | Values,
                groups: Sequence[Sequence[str]]) -> dict[str, float]:
    """Return the Owen value of every channel: orders in which the members of a group follow one another.

    Parameters
    ----------
    channels, values
        As of :func:`attribute`.
    groups : sequence of sequence of str
        A partition of `channels`.

    Raises
    ------
    ValueError
        `groups` is not a partition of `channels`.
    """
    if sorted(name for group in groups for name in group) != sorted(channels):
        raise ValueError(f"groups must contain every channel once, were {[list(group) for group in groups]!r}")
    v = [float(value) for value in values]
    place = {name: i for i, name in enumerate(channels)}
    masks = [sum(1 << place[name] for name in group) for group in groups]
    return {name: _owen(v, masks, k, [place[member] for member in group], place[name])
            for k, group in enumerate(groups) for name in group}


def _owen(v: Sequence[float], masks: Sequence[int], k: int, members: Sequence[int], i: int) -> float:
    outside = [mask for other, mask in enumerate(masks) if other != k]
    inside = [1 << member for member in members if member != i]
    terms = []
    for outer in range(2 ** len(outside)):
        before = sum(mask for place, mask in enumerate(outside) if outer >> place & 1)
        first = _weight(outer.bit_count(), len(masks))
        for inner in range(2 ** len(inside)):
            at = before + sum(bit for place, bit in enumerate(inside) if inner >> place & 1)
            terms.append(first * _weight(inner.bit_count(), len(members)) * (v[at | 1 << i] - v[at]))
    return math.fsum(terms)


def _weight(size: int, n: int) -> float:
    return math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)


def sampled_shapley(
    channels: Sequence[str], value: Callable[[int], float], orders: int, seed: int = 0, level: float = 0.95
) -> tuple[dict[str, float], dict[str, Interval]]:
    """Return Shapley values from sampled orders, each with its reverse, and their intervals.

    Within every order the contributions add up to the difference, so the means do too. The interval covers the
    choice of orders only.

    Parameters
    ----------
    channels : sequence of str
    value : callable of int to float
        Outcome of a subset, as a bit mask; asked once per subset that occurs.
    orders : int
        Number of random orders, at least 2; their reverses come on top (antithetic).
    seed : int
        Of the orders.
    level : float
        Of the intervals, in (0, 1).
    """
    if orders < 2:
        raise ValueError(f"orders must be at least 2, was {orders}")
    known: dict[int, float] = {}

    def asked(mask: int) -> float:
        if mask not in known:
            known[mask] = float(value(mask))
        return known[mask]

    generator = np.random.default_rng(seed)
    gained = np.zeros((orders, len(channels)))
    for row in gained:
        order = [int(place) for place in generator.permutation(len(channels))]
        for turn in (order, order[::-1]):
            mask = 0
            for i in turn:
                row[i] += 0.5 * (asked(mask | 1 << i) - asked(mask))
                mask |= 1 << i
    intervals = {name: mean_interval(gained[:, i], level) for i, name in enumerate(channels)}
    return {name: math.fsum(gained[:, i]) / orders for i, name in enumerate(channels)}, intervals


def attribute_sampled(
    channels: Sequence[str], value: Callable[[int], float], orders: int, seed: int = 0, level: float = 0.95
) -> Attribution:
    """Return the attribution of one outcome from sampled orders: no interactions, and an interval per Shapley value.

    Parameters
    ----------
    channels, value, orders, seed, level
        As of :func:`sampled_shapley`; first-in and last-out are exact and ask for 2 n subsets more.
    """
    full = 2 ** len(channels) - 1
    shapley, intervals = sampled_shapley(channels, value, orders, seed, level)
    everything, nothing = value(full), value(0)
    return Attribution(
        tuple(channels), everything - nothing,
        {name: value(1 << i) - nothing for i, name in enumerate(channels)}, shapley,
        {name: everything - value(full ^ (1 << i)) for i, name in enumerate(channels)}, {}, intervals,
    )
