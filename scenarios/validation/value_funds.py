"""Leveraged value funds in a market that clears at a price.

Thurner, Farmer and Geanakoplos (2012), "Leverage causes fat tails and clustered volatility", Quantitative
Finance 12. One asset; noise traders with mean-reverting cash, ten funds that buy what is cheap with borrowed money.

Where several prices clear the market, the one taken is **the first on the way from the last price** in the
direction in which excess demand pushes it: scanned in steps of .2 %, then by false position.
"""

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.kernel import kernel
from spirals.simulation.randomness import normal_quantile, uniform

__all__ = ["Funds", "hill", "run_market", "simulate"]

FUNDS = 10
SCAN, FURTHEST = 0.002, 2000   # steps of the scan: a factor of 54 either way
VALUE, SUPPLY, REVERSION, NOISE = 1.0, 1000.0, 0.99, 0.035
OPENING_WEALTH, MEMORY, FLOW, BENCHMARK = 2.0, 0.1, 0.15, 0.005
AGGRESSION, LEAST_WEALTH, ABSENT = 5.0, 0.1, 100
TAU, REFERENCE_VARIANCE = 10, 0.03**2


@dataclasses.dataclass(frozen=True)
class Funds:
    """What one simulation gave, without its first steps.

    Attributes
    ----------
    returns : ndarray of shape (n,)
        Log returns.
    cheap : ndarray of shape (n,), bool
        Whether the asset was below its value after the return.
    defaults : float
        Per fund and step.
    leverage : float
        Mean of the funds' leverage while the asset was cheap.
    """

    returns: NDArray[np.float64]
    cheap: NDArray[np.bool_]
    defaults: float
    leverage: float


def simulate(
    key: np.uint64, steps: int, most: float, linked: bool = False, aggression: float = 1.0, flow: float = 1.0,
    linkage: float = 1.0, noise: float = 1.0, dropped: int = 5000,
) -> Funds:
    """Return a simulation.

    Parameters
    ----------
    key : uint64
        Of the noise stream: the same key gives the same noise whatever else changes.
    steps : int
        Steps kept after `dropped` ones.
    most : float
        Largest leverage; 0 for no funds.
    linked : bool
        Whether the largest leverage falls with the variance of the last ten returns.
    aggression, flow, linkage, noise : float
        Multiply the funds' demand per mispricing, the investors' response, the exponent of the linked limit and the
        noise.
    """
    prices, defaults, leverage = run_market(
        key, steps + dropped, most, linked, aggression * AGGRESSION, flow * FLOW, linkage, noise * NOISE)
    kept = prices[dropped:]
    cheap = kept[1:] < VALUE
    there = leverage[dropped + 1:][cheap]
    return Funds(np.diff(np.log(kept)), cheap, float(defaults[dropped:].mean()) / FUNDS,
                 float(there.mean()) if len(there) else math.nan)


@kernel
def excess(price, cash, units, money, present, most, aggression):
    """Return demand less supply [units] at `price`."""
    demand = cash / price
    mispricing = VALUE - price
    if mispricing > 0.0:
        total = 0.0
        for fund in range(FUNDS):
            if present[fund] == 0:
                wealth = units[fund] * price + money[fund]
                if wealth > 0.0:
                    total += min(aggression * (fund + 1) * mispricing, most) * wealth
        demand += total / price
    return demand - SUPPLY


@kernel
def clear(last, cash, units, money, present, most, aggression):
    """Return the first clearing price on the way from `last`; NaN when there is none."""
    before = last
    short = excess(last, cash, units, money, present, most, aggression)
    sign = 1.0 if short > 0.0 else -1.0
    after, over = before, short
    for _ in range(FURTHEST):
        after = before * (1.0 + sign * SCAN)
        over = excess(after, cash, units, money, present, most, aggression)
        if over * sign <= 0.0:
            break
        before, short = after, over
    if over * sign > 0.0:
        return math.nan
    for _ in range(60):   # false position, with the stale end halved (Illinois)
        if short == over:
            break
        price = after - over * (after - before) / (over - short)
        value = excess(price, cash, units, money, present, most, aggression)
        if abs(value) < 1e-9 * SUPPLY:
            return price
        if value * over < 0.0:
            before, short = after, over
        else:
            short *= 0.5
        after, over = price, value
    return after


@kernel
def run_market(key, steps, most, linked, aggression, flow, linkage, noise):
    """Return prices, defaults per step, and mean leverage of the funds present per step.

    Prices are NaN from where none clears the market.
    """
    units, money = np.zeros(FUNDS), np.full(FUNDS, OPENING_WEALTH)
    performance, present = np.zeros(FUNDS), np.zeros(FUNDS, np.int64)   # steps until the fund is back, 0: there
    prices, defaults, levered = np.full(steps, np.nan), np.zeros(steps), np.zeros(steps)
    recent = np.zeros(TAU)
    log_cash = math.log(VALUE * SUPPLY)
    last = VALUE
    for step in range(steps):
        draw = normal_quantile(uniform(key, step, 0, 0))
        log_cash = REVERSION * log_cash + noise * draw + (1.0 - REVERSION) * math.log(VALUE * SUPPLY)
        limit = most
        if linked:
            variance = max(recent.var(), 1e-12)
            limit = max(1.0, min(most, most * (REFERENCE_VARIANCE / variance) ** linkage))
        price = clear(last, math.exp(log_cash), units, money, present, limit, aggression)
        if math.isnan(price):
            break
        recent[step % TAU] = math.log(price / last)
        there = 0
        for fund in range(FUNDS):
            if present[fund] > 0:
                present[fund] -= 1
                if present[fund] == 0:
                    units[fund], money[fund], performance[fund] = 0.0, OPENING_WEALTH, 0.0
                continue
            before = units[fund] * last + money[fund]
            wealth = units[fund] * price + money[fund]
            if before > 0.0:
                gain = (price / last - 1.0) * units[fund] * last / before
                performance[fund] = (1.0 - MEMORY) * performance[fund] + MEMORY * gain
            leverage = min(max(aggression * (fund + 1) * (VALUE - price), 0.0), limit)
            held = leverage * max(wealth, 0.0) / price
            money[fund] += (units[fund] - held) * price
            units[fund] = held
            wealth += max(-1.0, flow * (performance[fund] - BENCHMARK)) * wealth
            money[fund] = wealth - held * price
            levered[step] += leverage
            there += 1
            if wealth < LEAST_WEALTH * OPENING_WEALTH:
                defaults[step] += 1.0
                present[fund] = ABSENT
                units[fund] = 0.0
        if there > 0:
            levered[step] /= there
        prices[step] = price
        last = price
    return prices, defaults, levered


def hill(values: NDArray[np.float64], share: float = 0.01) -> float:
    """Return Hill's tail index of the largest `share` of positive `values`; NaN for fewer than three of them."""
    count = int(share * len(values))
    if count < 3:
        return math.nan
    tail = np.sort(np.partition(values, len(values) - count - 1)[len(values) - count - 1 :])
    return float(1.0 / np.mean(np.log(tail[1:] / tail[0])))
