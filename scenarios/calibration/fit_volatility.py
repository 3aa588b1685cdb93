"""Fit the outside world `ClusteredVolatility` to quiet five-minute bars, by simulated moments.

``python -m spirals.scenarios.calibration.fit_volatility [--fit] [--json]`` prints the moments of September 2025
(BTCUSDT perpetual, 29 whole days of the shipped bars) beside those of the defaults; ``--fit`` searches again. Matched
are the mean variance of a day, which fixes the level, and six moments that fix the shape: excess kurtosis and the
autocorrelations of absolute returns at lags of 1, 3, 10 and 30 bars, each the mean over days, and the deviation
of the log variance of days. Four parameters of shape are free (fast deviation and memory, slow deviation, share
of jumps in the variance); the slow memory is held at a day, since a month does not identify it, and the number of
jumps at 15 a day. Other numbers of jumps fit as well with another share: the bars do not tell them apart.
"""

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.market.clustered_volatility import ClusteredVolatility

__all__ = ["bars_by_day", "fit", "main", "moments", "simulated"]

NAMES = ("excess_kurtosis", "absolute_acf_1", "absolute_acf_3", "absolute_acf_10", "absolute_acf_30",
         "deviation_of_log_day_variance")
LAGS = (1, 3, 10, 30)
BARS, MINUTES, DAYS = 288, 5, 464      # bars a day, minutes a bar, simulated days: 16 x the 29 of the data


def bars_by_day() -> NDArray[np.float64]:
    """Return the log returns of September 2025, shape (29, 288)."""
    import pandas as pd

    from spirals.simulation.market.data_files import resolve_data_file

    close = pd.read_csv(resolve_data_file("btcusdt_perp_5m_2025-09_2025-10"))["close"][: 30 * BARS]
    return np.diff(np.log(close.to_numpy(np.float64)))[: 29 * BARS].reshape(29, BARS)


def moments(returns: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the moments of ``NAMES`` and their standard errors over days; `returns` has one row per day."""
    away = returns - returns.mean(axis=1, keepdims=True)
    columns = [(away**4).mean(axis=1) / (away**2).mean(axis=1) ** 2 - 3.0]
    size = np.abs(returns)
    size = size - size.mean(axis=1, keepdims=True)
    total = (size**2).sum(axis=1)
    columns += [(size[:, :-lag] * size[:, lag:]).sum(axis=1) / total for lag in LAGS]
    logs = np.log((returns**2).sum(axis=1))
    n = len(returns)
    values = [float(column.mean()) for column in columns] + [float(logs.std())]
    errors = [float(column.std(ddof=1)) / math.sqrt(n) for column in columns] + [float(logs.std()) / math.sqrt(2 * n)]
    return np.array(values), np.array(errors)


def simulated(world: ClusteredVolatility, days: int = DAYS) -> NDArray[np.float64]:
    """Return five-minute log returns, shape (days, 288), each day with its own seed, in steps of a minute."""
    rows = [np.diff(np.log(world.path(BARS * MINUTES, 60.0, 1, seed).price[::MINUTES, 0])) for seed in range(days)]
    return np.array(rows)


def fit(returns: NDArray[np.float64], start: ClusteredVolatility, evaluations: int = 120) -> ClusteredVolatility:
    """Return `start` with level, shape and share of jumps matched to `returns` (one row per day).

    Minimises the squared distances of the moments in standard errors of the data by the simplex method, with the
    same draws at every try.
    """
    from scipy.optimize import minimize

    goal, errors = moments(returns)
    level = float((returns**2).sum(axis=1).mean())

    def world(x: NDArray[np.float64]) -> ClusteredVolatility:
        share = 1.0 / (1.0 + math.exp(-x[3]))
        return dataclasses.replace(
            start, volatility=math.sqrt((1.0 - share) * level * 365.0), fast_deviation=min(abs(x[0]), 2.0),
            fast_seconds=math.exp(x[1]), slow_deviation=min(abs(x[2]), 2.0),
            jump_deviation=math.sqrt(share * level / start.intensity),
        )

    def distance(x: NDArray[np.float64]) -> float:
        return float((((moments(simulated(world(x)))[0] - goal) / errors) ** 2).sum())

    first = np.array([start.fast_deviation, math.log(start.fast_seconds), start.slow_deviation, -2.0])
    found = minimize(distance, first, method="Nelder-Mead",
                     options={"maxfev": evaluations, "xatol": 0.01, "fatol": 0.02})
    return world(found.x)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the moments of the bars and of the world, as text or one JSON document; return 0."""
    parser = argparse.ArgumentParser(prog="python -m spirals.scenarios.calibration.fit_volatility", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", action="store_true", help="search again, from the defaults (a minute)")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    options = parser.parse_args(arguments)
    returns = bars_by_day()
    goal, errors = moments(returns)
    world = fit(returns, ClusteredVolatility()) if options.fit else ClusteredVolatility()
    path = simulated(world)
    yearly = [math.sqrt(float((r**2).sum(axis=1).mean()) * 365.0) for r in (returns, path)]
    rows = [("volatility, per sqrt year", yearly[0], math.nan, yearly[1])]
    rows += list(zip(NAMES, goal.tolist(), errors.tolist(), moments(path)[0].tolist(), strict=True))
    if options.json:
        document = {"world": dataclasses.asdict(world), "moments": {
            name: {"bars": bars, "error": None if math.isnan(error) else error, "world": value}
            for name, bars, error, value in rows}}
        json.dump(document, sys.stdout, indent=2)
        print()
        return 0
    print(world)
    print(f"{'':<32} {'bars':>9} {'s.e.':>9} {'world':>9}")
    for name, bars, error, value in rows:
        print(f"{name:<32} {bars:>9.4g} {'n/a' if math.isnan(error) else f'{error:.2g}':>9} {value:>9.4g}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
