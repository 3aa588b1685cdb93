"""Columns of an attribution in the table of runs of a study.

``attribution_<outcome>_<channel>`` is the level of a channel (its Shapley value), of ``shock`` or of ``direct``:
over the channels of one outcome they add up to it. ``attribution_<reading>_<outcome>_<channel>`` holds the readings
``first_in`` and ``last_out``, ``attribution_interaction_<outcome>_<one>_<other>`` the pairs.
"""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spirals.scenarios.runs.attribution import RunAttribution

__all__ = ["LEVELS", "READINGS", "columns_of", "interaction_column", "level_column", "pairs_of", "reading_column"]

LEVELS = ("shock", "direct")   # beside the channels
READINGS = ("first_in", "last_out")


def level_column(outcome: str, channel: str) -> str:
    """Return the column of the level of a channel, of "shock" or of "direct"."""
    return f"attribution_{outcome}_{channel}"


def reading_column(reading: str, outcome: str, channel: str) -> str:
    """Return the column of "first_in" or "last_out"."""
    return f"attribution_{reading}_{outcome}_{channel}"


def interaction_column(outcome: str, one: str, other: str) -> str:
    """Return the column of the interaction of two channels, in the order in which the study names them."""
    return f"attribution_interaction_{outcome}_{one}_{other}"


def pairs_of(channels: Sequence[str]) -> list[tuple[str, str]]:
    """Return all pairs in the order of the channels."""
    return list(itertools.combinations(channels, 2))


def columns_of(shares: "RunAttribution") -> dict[str, float]:
    """Return the columns of one run."""
    found = {level_column(outcome, channel): value
             for outcome, levels in shares.levels().items() for channel, value in levels.items()}
    for outcome, one in shares.found.items():
        for reading, values in zip(READINGS, (one.first_in, one.last_out), strict=True):
            found |= {reading_column(reading, outcome, channel): value for channel, value in values.items()}
        found |= {interaction_column(outcome, *pair): value for pair, value in one.interaction.items()}
    return found
