"""What a policy would have charged over a history of volatility, and that history from price bars: no agents."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.margin.policy import MarginPolicy
from spirals.simulation.market.bars import Bars
from spirals.simulation.market.outside_world import SECONDS_PER_DAY
from spirals.simulation.market.view import MarketState
from spirals.simulation.market.volatility import RANGE_TO_VARIANCE, VolatilityEstimator

__all__ = ["rate_history", "volatility_history"]

Array = NDArray[np.float64]

WARM_UP_HALF_LIVES = 5.0


def rate_history(policy: MarginPolicy, volatilities: Sequence[float] | Array, step_seconds: float = 3600.0) -> Array:
    """Return the rates that `policy`, with all its wrappers, charges over a history of volatility.

    Parameters
    ----------
    policy : MarginPolicy
    volatilities : sequence of float
        [per sqrt day] One per step; the first is the opening.
    step_seconds : float
        [s] Length of a step. The policy is called once per step, so an update interval of at most a step is the
        same as none, and a longer one is rounded up to whole steps.

    Returns
    -------
    ndarray of shape (n_steps, 2)
        [fraction of notional] Initial and maintenance rate of the first bracket.
    """
    market = MarketState.constant(1, step_seconds, volatility=float(volatilities[0]))
    state = policy.start(market)
    rates = np.empty((len(volatilities), 2))
    for step, volatility in enumerate(volatilities):
        market.step = step
        market.record["volatility"] = volatility
        state, requirement = policy.update(state, market)
        rates[step] = requirement.initial_rates.flat[0], requirement.maintenance_rates.flat[0]
    return rates


def volatility_history(bars: Bars, estimator: VolatilityEstimator) -> tuple[Array, int]:
    """Return the volatility that `estimator` would have read at the end of each bar.

    Bars are longer than the sampling interval of a policy's estimator. Their range stands for the samples inside: one
    observation per bar, ``v = (ln high/low)^2 / (4 ln 2 D)`` with D the length of a bar in days (Parkinson 1980, "The
    extreme value method for estimating the variance of the rate of return", Journal of Business 53), averaged with
    the estimator's own half-life or window. One close per bar would hardly average at all when the half-life is
    short: of five-minute bars put together to hours, half-life 30 minutes, the log of the reading from the five minutes
    has standard deviation .51; from the hours with ranges .55 (correlation .93), with closes .77 (.69).

    Parameters
    ----------
    bars : Bars
    estimator : VolatilityEstimator
        Its `source` and `estimator` are disregarded: bars show traded prices, and their range.

    Returns
    -------
    volatility : ndarray of shape (n_bars,)
        [per sqrt day]
    warm_up : int
        [bars] At the start, still under the influence of the starting value; leave them out of every statistic.
    """
    observed = np.log(bars.price[:, 1] / bars.price[:, 2]) ** 2 * (RANGE_TO_VARIANCE * SECONDS_PER_DAY / bars.seconds)
    if estimator.kind == "rolling":
        size = min(max(1, round(estimator.window_seconds / bars.seconds)), len(observed))
        total = np.cumsum(np.insert(observed, 0, 0.0))
        first = np.maximum(np.arange(len(observed)) + 1 - size, 0)
        last = np.arange(len(observed)) + 1
        variance, warm_up = (total[last] - total[first]) / (last - first), size - 1
    else:
        decay = 2.0 ** (-bars.seconds / estimator.half_life_seconds)
        warm_up = math.ceil(WARM_UP_HALF_LIVES * estimator.half_life_seconds / bars.seconds)
        variance, now = np.empty(len(observed)), float(np.mean(observed[: max(warm_up, 1)]))
        for bar, value in enumerate(observed.tolist()):
            now = decay * now + (1.0 - decay) * value
            variance[bar] = now
    return np.maximum(np.sqrt(np.maximum(variance, 0.0)), estimator.floor), warm_up
