"""What a comparison of policies is computed from: bars before the event, and the volatility read over the event."""

import dataclasses
import math
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from spirals.scenarios.inputs.design import replication_seed
from spirals.scenarios.inputs.scenario import Scenario
from spirals.simulation.errors import InputError
from spirals.simulation.margin.chain import horizon_hours, procyclicality_of
from spirals.simulation.margin.coverage import horizon_moves
from spirals.simulation.margin.rate_history import volatility_history
from spirals.simulation.market.bars import load_bars
from spirals.simulation.market.data_files import resolve_data_file
from spirals.simulation.market.historical_bars import HistoricalBars
from spirals.simulation.market.market import Market
from spirals.simulation.market.random_crash import drawn_shocks
from spirals.simulation.market.shocks import apply_price_shocks

__all__ = ["BEFORE", "PATHS", "Before", "Past", "before_of", "event_volatility", "past_of"]

Array = NDArray[np.float64]

PATHS = 64   # of an event that is drawn: the first replications of a study with root seed 0


@dataclasses.dataclass(frozen=True)
class Before:
    """Bars before an event.

    Attributes
    ----------
    file : str
        CSV of bars, a shipped one by name.
    until : str
        ISO time (UTC) at which the last bar ends.
    rescaled : bool
        Multiply log prices so that the mean volatility is the through-the-cycle one: for a scenario that is no
        date, whose calm has the dispersion of these bars at its own level.
    """

    file: str
    until: str
    rescaled: bool = False


_AUTUMN = "btcusdt_perp_5m_2025-09_2025-10.csv"
BEFORE: dict[str, Before] = {
    "black-thursday-2020": Before("btcusdt_perp_1h_2019-12_2020-03.csv", "2020-03-12T10:00"),
    "october-2025": Before(_AUTUMN, "2025-10-10T20:00"),
    "flash-crash": Before(_AUTUMN, "2025-10-10T20:00", rescaled=True),
    "crash-ensemble": Before(_AUTUMN, "2025-10-10T20:00", rescaled=True),
}
"""The bars that end before the event of a shipped scenario."""


@dataclasses.dataclass(frozen=True)
class Past:
    """What a policy saw before the event, after the warm-up: one entry per bar.

    Attributes
    ----------
    volatility : ndarray of shape (n_bars,)
        [per sqrt day] Read at the end of the bar.
    moves : ndarray of shape (n_bars - bars_ahead,)
        [fraction] Absolute price change over the horizon that begins there.
    seconds : float
        [s] Length of a bar.
    bars_ahead : int
        [bars] Horizon.
    """

    volatility: Array
    moves: Array
    seconds: float
    bars_ahead: int


def past_of(scenario: Scenario, before: Before) -> Past:
    """Return the volatility read and the horizon moves before the event; InputError when there are too few bars."""
    bars = load_bars(resolve_data_file(before.file))
    until = datetime.fromisoformat(before.until)
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    bars = bars.window(bars.start_ms, math.floor(until.timestamp() * 1000.0))
    ahead = max(1, round(horizon_hours(scenario.margin) * 3600.0 / bars.seconds))
    volatility, warm_up = volatility_history(bars, scenario.volatility)
    if bars.n_bars <= warm_up + ahead:
        raise InputError([f"{before.file}: must hold more than {warm_up + ahead} bars up to {before.until} (warm-up of "
                          f"the volatility estimate and one horizon), had {bars.n_bars}"])
    volatility, closes = volatility[warm_up:], bars.price[warm_up:, 3]
    if before.rescaled:
        factor = procyclicality_of(scenario.margin).through_the_cycle_volatility / float(np.mean(volatility))
        volatility, closes = volatility * factor, np.exp(np.log(closes / closes[0]) * factor)
    return Past(volatility, horizon_moves(closes, ahead), bars.seconds, ahead)


def event_volatility(scenario: Scenario) -> list[Array]:
    """Return the volatility that the policy reads over the event when no venue trades, one array per path.

    Bars give one path; of a drawn event (diffusion, random crash) :data:`PATHS` are taken. An entry per sampling
    interval, the opening first; each holds until the next, and the run ends with the last.
    """
    drawn = not isinstance(scenario.outside_world, HistoricalBars)
    seeds = [replication_seed(0, replication) for replication in range(PATHS)] if drawn else [0]
    return [_read(scenario, seed) for seed in seeds]


def _read(scenario: Scenario, seed: int) -> Array:
    n, estimator = len(scenario.instruments), scenario.volatility
    path = scenario.outside_world.path(scenario.steps, scenario.step_seconds, n, seed)
    path = apply_price_shocks(path, drawn_shocks(scenario.shocks, seed))
    every = estimator.sample_steps(scenario.step_seconds) if estimator.estimator == "close" else 1
    price = path.price[::every]
    market = Market(scenario.instruments, scenario.outside_world, (), scenario.price_feed, estimator, scenario.funding,
                    len(price) - 1, scenario.step_seconds * every, seed, scenario.opening_seconds, price)
    readings = [float(market.record["volatility"][0])]
    for step in range(1, len(price) - 1):
        market.record["mid"] = market.record["last"] = price[step]   # a venue that follows without a lag
        market.advance(step)
        readings.append(float(market.record["volatility"][0]))
    skip = estimator.sample_steps(scenario.step_seconds) // every
    return np.array(readings[::skip])


def before_of(scenario_name: str) -> Before:
    """Return the bars before the event of a shipped scenario; InputError for any other name."""
    if scenario_name not in BEFORE:
        raise InputError([f"bars before the event are known for {', '.join(BEFORE)}, not for {scenario_name!r}: "
                          "give --bars and --until"])
    return BEFORE[scenario_name]
