"""Family tree of liquidations: one row per event, generations, trees, and the branching ratios read from it."""

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.measures.impact_kernel import ImpactKernel
from spirals.simulation.measures.record import Series

__all__ = ["EARLIER", "EVENT", "EXTRA", "NO_PARENT", "SAME", "Genealogy", "grow"]

NO_PARENT = -1
SAME, EARLIER, EXTRA = range(3)   # but for the impact of forced orders

EVENT = np.dtype([                  # one row per liquidation event (closure of one account)
    ("event", "i8"), ("account", "i4"), ("instrument", "i4"), ("side", "i4"),   # side: 1 long, -1 short
    ("step", "i4"), ("round", "i4"),        # of its first order
    ("crossed_step", "i4"), ("crossed_round", "i4"),   # of the phase that crossed the threshold
    ("parent", "i8"),               # event, -1 when none
    ("reason", "i4"),               # without parent: 0 shock, 1 margin rate, 2 other flow
    ("generation", "i4"), ("tree", "i8"),    # 0 for a root; tree: event of the root
    ("notional", "f8"),             # [quote] executed for the event
    ("threshold", "f8"),            # [quote] mark at which it was due
    ("shock", "f8"), ("liquidations", "f8"), ("other_forced", "f8"), ("margin", "f8"), ("own", "f8"),   # shares
    ("offspring", "f8"),            # sum of the shares that later events give to it
    ("but_for", "i4"),              # 0 same, 1 earlier, 2 extra
    ("pad", "i4"),
])


@dataclasses.dataclass(frozen=True)
class Genealogy:
    """The family tree of a run's liquidations.

    Attributes
    ----------
    events : ndarray, EVENT
        In order of their first orders.
    averted : int
        Accounts that are liquidated in the twin only.
    kernel : ImpactKernel
        With which the surviving impact is shared out over earlier orders.
    """

    events: NDArray[Any]
    averted: int
    kernel: ImpactKernel

    @property
    def proximate_ratio(self) -> float:
        """Share of events with a parent: mean number of children of an event [ratio]; NaN without events."""
        return float((self.events["parent"] >= 0).mean()) if len(self.events) else math.nan

    @property
    def fractional_ratio(self) -> float:
        """Mean share of an event that earlier liquidations caused [ratio]; NaN without events."""
        return math.fsum(self.events["liquidations"]) / len(self.events) if len(self.events) else math.nan

    @property
    def but_for_ratio(self) -> float:
        """Share of events that would not be there without impact: (N - N of the twin) / N [ratio]."""
        n = len(self.events)
        extra = int((self.events["but_for"] == EXTRA).sum())
        return (extra - self.averted) / n if n else math.nan

    def generations(self) -> NDArray[np.int64]:
        """Number of events per generation, from the roots on."""
        return np.bincount(self.events["generation"]) if len(self.events) else np.zeros(0, np.int64)

    def generation_ratios(self) -> Series:
        """Events of each generation over those of the one before [ratio]."""
        counts = self.generations().astype(np.float64)
        return counts[1:] / counts[:-1]

    def tree_sizes(self) -> NDArray[np.int64]:
        """Events per tree, largest first."""
        _, counts = np.unique(self.events["tree"], return_counts=True)
        return np.sort(counts)[::-1]

    def path_ratio(self, step_seconds: float, window_seconds: float = 60.0, floor: float = 0.01) -> float:
        """Return the largest branching ratio along the path: share of liquidated notional with a parent in a window.

        Parameters
        ----------
        step_seconds, window_seconds : float
            [s]
        floor : float
            Windows with less than this share of the run's liquidated notional are immaterial and left out.
        """
        rows = self.events
        if not len(rows):
            return math.nan
        place = (rows["step"] * step_seconds // window_seconds).astype(np.int64)
        all_ = np.bincount(place, rows["notional"])
        born = np.bincount(place, rows["notional"] * (rows["parent"] >= 0), minlength=len(all_))
        material = all_ > floor * all_.sum()
        return float((born[material] / all_[material]).max()) if material.any() else math.nan


def grow(events: NDArray[Any]) -> None:
    """Fill generations and trees; parents come before their children."""
    place = {int(event): k for k, event in enumerate(events["event"])}
    for row in events:
        parent = place.get(int(row["parent"]))
        if parent is None or events[parent]["event"] == row["event"]:
            row["parent"], row["generation"], row["tree"] = NO_PARENT, 0, row["event"]
        else:
            row["generation"] = events[parent]["generation"] + 1
            row["tree"] = events[parent]["tree"]
