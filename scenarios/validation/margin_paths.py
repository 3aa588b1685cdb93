"""Paths of volatility for the margin policies: a step through the estimator, GARCH histories, a given path."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.kernel import kernel
from spirals.simulation.margin import MarginPolicy
from spirals.simulation.margin.requirement import MarginRequirement
from spirals.simulation.margin.volatility_view import at_volatility
from spirals.simulation.margin.wrapper import Wrapper, WrapperState
from spirals.simulation.market.feed_state import FEED_RULES, FEED_STATE
from spirals.simulation.market.view import MarketState
from spirals.simulation.market.volatility import VolatilityEstimator, sample_volatility
from spirals.simulation.parameters import parameter
from spirals.simulation.randomness import generator

__all__ = ["DAY", "Histories", "RescaledVolatility", "charged_rates", "ewma_after_step", "garch_histories",
           "rates_on_path"]

DAY = 86400.0
DAYS = 2520
STRESSED_WINDOW = 250
DECAY = 0.97
REACTION, PERSISTENCE, DAILY_VARIANCE = 0.09, 0.90, 1e-4
Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class RescaledVolatility(Wrapper):
    """The inner policy at another elasticity to the volatility; 1 leaves it as it is. For mutations."""

    reference: float = parameter(0.01, unit="per sqrt day", above=0)
    elasticity: float = parameter(1.0)

    def update(self, state: WrapperState, market: MarketState) -> tuple[WrapperState, MarginRequirement]:
        seen = market
        if self.elasticity != 1.0:
            seen = at_volatility(market, self.reference * (market.volatility / self.reference) ** self.elasticity)
        state.inner, requirement = self.inner.update(state.inner, seen)
        return state, requirement


def rates_on_path(policy: MarginPolicy, volatility: Array) -> Array:
    """Return the initial rate on every day of a path of volatility [per sqrt day], both of shape (n_days,)."""
    market = MarketState.constant(1, DAY, volatility=float(volatility[0]))
    state = policy.start(market)
    rates = np.empty(len(volatility))
    for day, value in enumerate(volatility):
        market.step = day
        market.record["volatility"] = value
        state, requirement = policy.update(state, market)
        rates[day] = requirement.initial_rates[0]
    return rates


def ewma_after_step(
    estimator: VolatilityEstimator, policy: MarginPolicy, ratio: float, days: int, paths: int, seed: int
) -> Array:
    """Return rates of shape (paths, days + 1) after volatility stepped from the opening value to `ratio` times it.

    Day 0 is the opening. Gaussian daily returns; the estimate is made by the simulation's own kernel.
    """
    noise = generator(seed, "validation.margin_dials.step").standard_normal((days, paths))
    prices = 100.0 * np.exp(np.cumsum(ratio * estimator.opening_volatility * noise, axis=0))
    rules = np.zeros(1, FEED_RULES)[0]
    rules["sample_steps"], rules["sample_days"] = estimator.sample_steps(DAY), estimator.sample_days(DAY)
    rules["decay"], rules["stressed"] = estimator.decay(DAY), 1.0
    market = MarketState.constant(paths, DAY, volatility=estimator.opening_estimate)
    states = np.zeros(paths, FEED_STATE)
    states["sampled"] = states["high"] = states["low"] = 100.0
    states["variance"] = estimator.opening_volatility**2
    windows = np.zeros((paths, estimator.window_samples(DAY)))
    policy_state: Any = policy.start(market)
    rates = np.empty((paths, days + 1))
    for day in range(days + 1):
        if day > 0:
            sample_all(market.record, states, windows, rules, prices[day - 1], day)
        market.step = day
        policy_state, requirement = policy.update(policy_state, market)
        rates[:, day] = requirement.initial_rates
    return rates


@kernel
def sample_all(market, states, windows, rules, prices, step):
    """Let the estimator look at one price per path."""
    for path in range(len(prices)):
        sample_volatility(market[path], states[path], windows[path], rules, prices[path], step)


@dataclasses.dataclass
class Histories:
    """GARCH histories: columns are paths, rows the days after the burn-in.

    Attributes
    ----------
    returns, volatility, trailing : ndarray of shape (days, paths)
        Return of the day; EWMA volatility and volatility of the last ten years as known before it.
    stressed : ndarray of shape (paths,)
        Largest volatility of 250 days within the burn-in.
    floor : ndarray of shape (paths,)
        Filled day by day with `floor_factor` times `trailing`, for a policy that holds this array.
    """

    returns: Array
    volatility: Array
    trailing: Array
    stressed: Array
    floor: Array
    floor_factor: float = 1.0


def garch_histories(paths: int, seed: int) -> Histories:
    """Return histories of 10 years after 10 years of burn-in."""
    noise = generator(seed, "validation.margin_dials.garch").standard_normal((2 * DAYS, paths))
    returns, volatility = np.empty_like(noise), np.empty_like(noise)
    garch_paths(noise, returns, volatility)
    sums = np.cumsum(np.vstack((np.zeros(paths), returns**2)), axis=0)
    yearly = sums[STRESSED_WINDOW : DAYS + 1] - sums[: DAYS + 1 - STRESSED_WINDOW]
    trailing = np.sqrt((sums[DAYS : 2 * DAYS] - sums[:DAYS]) / DAYS)
    return Histories(returns[DAYS:], volatility[DAYS:], trailing, np.sqrt(yearly.max(axis=0) / STRESSED_WINDOW),
                     np.zeros(paths))


@kernel
def garch_paths(noise, returns, volatility):
    """Fill returns and the EWMA volatility known before each day."""
    days, paths = noise.shape
    for path in range(paths):
        variance = DAILY_VARIANCE
        ewma = DAILY_VARIANCE
        for day in range(days):
            volatility[day, path] = np.sqrt(ewma)
            returns[day, path] = np.sqrt(variance) * noise[day, path]
            square = returns[day, path] ** 2
            variance = DAILY_VARIANCE * (1.0 - REACTION - PERSISTENCE) + REACTION * square + PERSISTENCE * variance
            ewma = DECAY * ewma + (1.0 - DECAY) * square


def charged_rates(policy: MarginPolicy, histories: Histories) -> Array:
    """Return the initial rates, of shape (days, paths); the paths are the instruments of one market."""
    days, paths = histories.returns.shape
    market = MarketState.constant(paths, DAY, volatility=0.01)
    market.record["stressed_volatility"] = histories.stressed
    market.record["volatility"] = histories.volatility[0]
    histories.floor[:] = histories.floor_factor * histories.trailing[0]
    state = policy.start(market)
    rates = np.empty((days, paths))
    for day in range(days):
        market.step = day
        market.record["volatility"] = histories.volatility[day]
        histories.floor[:] = histories.floor_factor * histories.trailing[day]
        state, requirement = policy.update(state, market)
        rates[day] = requirement.initial_rates
    return rates
