"""Prices of the market of value funds in closed form, as long as no cap binds and no fund is ruined.

With leverage ``beta_h (V - p)`` demand is linear in the mispricing times wealth, and wealth is linear in the price:
``xi + (V - p) sum beta_h (u_h p + c_h) = N p`` clears the market, a quadratic in p with one positive root while
``xi + V sum beta_h c_h`` is positive. It lies below V exactly when noise traders alone would pay less than V; otherwise
funds hold nothing and p = xi / N. Nothing is searched for: this is a second way to the prices of
:mod:`spirals.scenarios.validation.value_funds`.
"""

import numpy as np
from numpy.typing import NDArray

from spirals.scenarios.validation.value_funds import (
    BENCHMARK,
    FUNDS,
    LEAST_WEALTH,
    MEMORY,
    OPENING_WEALTH,
    REVERSION,
    SUPPLY,
    VALUE,
)

__all__ = ["noise_cash", "opening_prices"]

Array = NDArray[np.float64]


def noise_cash(draws: Array, noise: float) -> Array:
    """Return the noise traders' cash [money] from standard normal draws, both of shape (steps, paths)."""
    log_cash, away = np.empty_like(draws), np.zeros(draws.shape[1])
    for step, draw in enumerate(draws):
        away = REVERSION * away + noise * draw
        log_cash[step] = away
    return VALUE * SUPPLY * np.exp(log_cash)


def opening_prices(cash: Array, aggression: float, flow: float, most: float) -> Array:
    """Return prices, shape (steps, paths).

    They are NaN from the step at which a cap binds, a fund is ruined or debts allow several prices.

    Parameters
    ----------
    cash : ndarray of shape (steps, paths)
        Of the noise traders [money].
    aggression : float
        beta of the first fund; the h-th has h times that.
    flow : float
        b, response of investors to performance.
    most : float
        Largest leverage.
    """
    steps, paths = cash.shape
    beta = aggression * np.arange(1, FUNDS + 1)
    units, money = np.zeros((paths, FUNDS)), np.full((paths, FUNDS), OPENING_WEALTH)
    performance = np.zeros((paths, FUNDS))
    prices, last, known = np.full((steps, paths), np.nan), np.full(paths, VALUE), np.ones(paths, bool)
    for step in range(steps):
        price = cleared(cash[step], units @ beta, money @ beta)
        before, wealth = units * last[:, None] + money, units * price[:, None] + money
        leverage = beta * np.maximum(VALUE - price, 0.0)[:, None]
        known &= (leverage < most).all(axis=1) & (wealth > LEAST_WEALTH * OPENING_WEALTH).all(axis=1)
        prices[step, known] = price[known]
        gain = (wealth - before) / before
        performance = (1.0 - MEMORY) * performance + MEMORY * gain
        units = leverage * wealth / price[:, None]
        wealth = wealth * (1.0 + np.maximum(flow * (performance - BENCHMARK), -1.0))
        known &= (wealth > LEAST_WEALTH * OPENING_WEALTH).all(axis=1)
        money = wealth - units * price[:, None]
        units[~known], money[~known], performance[~known] = 0.0, OPENING_WEALTH, 0.0    # as if nothing had happened
        last = price
    return prices


def cleared(cash: Array, units: Array, money: Array) -> Array:
    """Return the clearing price, NaN where it may not be the only one.

    `units` and `money` are sums over funds, weighted with their beta.
    """
    linear = VALUE * units - money - SUPPLY
    constant = cash + VALUE * money
    # the positive root of -units p^2 + linear p + constant = 0, in the form without cancellation
    root = np.sqrt(linear**2 + 4.0 * units * np.maximum(constant, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        below = np.where(linear < 0.0, 2.0 * constant / (root - linear), (root + linear) / (2.0 * units))
    below[constant <= 0.0] = np.nan
    return np.where(cash < VALUE * SUPPLY, below, cash / SUPPLY)
