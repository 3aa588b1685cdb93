"""Attribution over the replications of a study: means with intervals, per cell; and what pairing with the twin bought.

A level is a difference of runs of one replication, which share all draws, so its interval is that of a paired mean:
it covers what varied between the replications and nothing else.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from spirals.scenarios.runs.attribution_columns import (
    LEVELS,
    interaction_column,
    level_column,
    pairs_of,
    reading_column,
)
from spirals.simulation.measures.catalogue import COMPARED
from spirals.simulation.measures.intervals import Interval, mean_interval, variance_ratio

__all__ = ["attributed_channels", "channel_readings", "level_intervals", "spiral_total", "twin_pairing"]


def attributed_channels(manifest: Mapping[str, Any], runs: pd.DataFrame) -> tuple[str, ...]:
    """Return the channels of a study's attribution; () without one."""
    stated = tuple(map(str, manifest.get("attribution") or ()))
    return stated if stated and level_column("drawdown_mark", "shock") in runs else ()


def level_intervals(
    part: pd.DataFrame, outcome: str, channels: Sequence[str], level: float = 0.95
) -> dict[str, Interval]:
    """Return the mean level of shock, direct impact and every channel over replications, with Student intervals."""
    return {name: mean_interval(part[level_column(outcome, name)].to_numpy(), level) for name in (*LEVELS, *channels)}


def spiral_total(part: pd.DataFrame, outcome: str, channels: Sequence[str], level: float = 0.95) -> Interval:
    """Return the mean of everything but the shock: direct impact and all channels."""
    columns = [level_column(outcome, name) for name in ("direct", *channels)]
    return mean_interval(part[columns].sum(axis=1).to_numpy(), level)


def channel_readings(
    part: pd.DataFrame, outcome: str, channels: Sequence[str], level: float = 0.95
) -> tuple[dict[str, dict[str, Interval]], dict[tuple[str, str], Interval]]:
    """Return first-in, Shapley and last-out by channel, and the interaction of every pair."""
    columns = {"first_in": lambda name: reading_column("first_in", outcome, name),
               "shapley": lambda name: level_column(outcome, name),
               "last_out": lambda name: reading_column("last_out", outcome, name)}
    readings = {key: {name: mean_interval(part[of(name)].to_numpy(), level) for name in channels}
                for key, of in columns.items()}
    pairs = {pair: mean_interval(part[interaction_column(outcome, *pair)].to_numpy(), level)
             for pair in pairs_of(channels) if interaction_column(outcome, *pair) in part}
    return readings, pairs


def twin_pairing(part: pd.DataFrame) -> dict[str, float]:
    """Return per compared outcome the variance ratio of independent against paired runs of run and twin T1.

    NaN where nothing varied; empty without a twin.
    """
    found = {name: variance_ratio(part[name].to_numpy(), part[f"twin_{name}"].to_numpy())
             for name in COMPARED if {name, f"twin_{name}"} <= set(part)}
    return {} if all(math.isnan(value) for value in found.values()) else found
