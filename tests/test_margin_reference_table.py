"""The anti-procyclicality tools against a reference table, reproduced through the policies themselves.

GARCH(1, 1) with (a, b) = (.09, .90), daily variance 1e-4, 10 years after 10 years of burn-in; margin 2.326 x EWMA
volatility, known before the day's return. The paths are the instruments of one market. The expected figures come
from a separate Monte Carlo of this set-up, hence the bands of 10 %.
"""

import numpy as np
import pytest

from spirals.simulation.margin import Buffer, SpeedLimit, StressedWeight, VolatilityScaled
from spirals.simulation.market.view import MarketState

PATHS, DAYS, YEAR = 300, 2520, 252
INNER = VolatilityScaled(multiplier=2.326, horizon_hours=24.0)


@pytest.fixture(scope="module")
def history():
    """EWMA volatility known before each day (2 x DAYS, PATHS), and the returns, for lambda = .97."""
    noise = np.random.Generator(np.random.Philox(key=20)).standard_normal((2 * DAYS, PATHS))
    variance, ewma = np.full(PATHS, 1e-4), np.full(PATHS, 1e-4)
    volatility, returns = np.empty_like(noise), np.empty_like(noise)
    for day in range(2 * DAYS):
        volatility[day] = np.sqrt(ewma)
        returns[day] = np.sqrt(variance) * noise[day]
        square = returns[day] ** 2
        variance = 1e-6 + 0.09 * square + 0.90 * variance
        ewma = 0.97 * ewma + 0.03 * square
    return volatility, returns


def charged_rates(policy, history):
    volatility, returns = history
    before = np.cumsum(np.vstack((np.zeros(PATHS), returns[:DAYS] ** 2)), axis=0)
    market = MarketState.constant(PATHS, 86400.0, volatility=0.01)
    market.record["stressed_volatility"] = np.sqrt((before[250:] - before[:-250]).max(axis=0) / 250)
    market.record["volatility"] = volatility[DAYS]
    state = policy.start(market)
    rates = np.empty((DAYS, PATHS))
    for day in range(DAYS):
        market.step = day
        market.record["volatility"] = volatility[DAYS + day]
        state, requirement = policy.update(state, market)
        rates[day] = requirement.initial_rates
    return rates


def peak_to_trough(rates):
    return float(np.median(rates.max(axis=0) / rates.min(axis=0)))


def largest_rise(rates, days):
    return float(np.median((rates[days:] / rates[:-days]).max(axis=0) - 1))


@pytest.mark.parametrize("policy, expected, rises", [
    (INNER, 4.62, (0.20, 0.38, 0.99)),
    (Buffer(INNER, size=0.25), 3.73, (0.17, 0.33, 0.79)),
    (StressedWeight(INNER, weight=0.25), 2.66, (0.13, 0.24, 0.57)),
    (SpeedLimit(INNER, up=0.03), 4.59, (0.03, 0.16, 0.93)),
], ids=["none", "buffer", "stressed", "speed"])
def test_tools_reproduce_the_reference_table(policy, expected, rises, history):
    rates = charged_rates(policy, history)
    assert peak_to_trough(rates) == pytest.approx(expected, rel=0.10)
    for days, rise in zip((1, 5, 30), rises, strict=True):
        assert largest_rise(rates, days) == pytest.approx(rise, rel=0.10, abs=0.01)
    breaches = (history[1][DAYS:] < -rates).mean()
    assert 0.003 < breaches < 0.015


def test_breach_rate_without_tools_and_mean_extra_cost_of_the_buffer(history):
    plain, buffered = charged_rates(INNER, history), charged_rates(Buffer(INNER, size=0.25), history)
    assert (history[1][DAYS:] < -plain).mean() == pytest.approx(0.0123, abs=0.001)
    assert (buffered / plain).mean() - 1 == pytest.approx(0.139, abs=0.01)
