"""Grandfathering: lots already open keep the lower of the current and their entry maintenance rate.

The policy only raises the flag; the accounts apply it, with the entry rate averaged over the lots of a position. It
takes the maintenance channel out of a spiral for old positions and leaves it for new ones.
"""

import dataclasses

from spirals.simulation.margin.requirement import MarginRequirement
from spirals.simulation.margin.wrapper import Transform

__all__ = ["Grandfather"]


@dataclasses.dataclass(frozen=True)
class Grandfather(Transform):
    """New maintenance rates do not hit positions that are already open."""

    def transform(self, source: MarginRequirement) -> MarginRequirement:
        return dataclasses.replace(source, grandfathered=True)
