"""Family tree of liquidations: one row per event, generations, trees, and the branching ratios read from it."""

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.measures.genealogy.impact_kernel import ImpactKernel
from spirals.simulation.measures.intervals import Interval, wilson_interval
from spirals.simulation.measures.record import Series

__all__ = ["EARLIER", "EVENT", "EXTRA", "NO_PARENT", "SAME", "SHARES", "Genealogy", "PathPeak", "grow"]

NO_PARENT = -1
LEAST_EVENTS = 20   # chosen: the interval of a share of 20 is at most .41 wide
SAME, EARLIER, EXTRA = range(3)   # but for the impact of forced orders

EVENT = np.dtype([                  # one row per liquidation event; an account that recovered may have several
    ("event", "i8"), ("account", "i4"), ("instrument", "i4"), ("side", "i4"),   # side: 1 long, -1 short
    ("step", "i4"), ("round", "i4"),        # of its first order
    ("crossed_step", "i4"), ("crossed_round", "i4"),   # of the phase that crossed the threshold
    ("parent", "i8"),               # event, -1 when none
    ("reason", "i4"),               # without parent: 0 shock, 1 margin rate, 2 other flow, 3 funding
    ("generation", "i4"), ("tree", "i8"),    # 0 for a root; tree: event of the root
    ("notional", "f8"),             # [quote] executed for the event
    ("threshold", "f8"),            # [quote] mark at which it was due
    ("shock", "f8"), ("liquidations", "f8"), ("other_forced", "f8"), ("withdrawal", "f8"), ("margin", "f8"),   # shares
    ("funding", "f8"), ("own", "f8"),
    ("offspring", "f8"),            # sum of the shares that later events give to it, withdrawal included
    ("but_for", "i4"),              # 0 same, 1 earlier, 2 extra
    ("pad", "i4"),
])
SHARES = ("shock", "liquidations", "other_forced", "withdrawal", "margin", "funding", "own")   # columns that sum to one


@dataclasses.dataclass(frozen=True)
class PathPeak:
    """The window of a run in which the largest share of liquidations had a parent.

    Attributes
    ----------
    ratio : Interval
        Events with a parent over events, with its 95 % interval; `n` events. NaN where no window is material.
    seconds : float
        [s] Start of the window, since the opening.
    """

    ratio: Interval
    seconds: float


@dataclasses.dataclass(frozen=True)
class Genealogy:
    """The family tree of a run's liquidations.

    Attributes
    ----------
    events : ndarray, EVENT
        In order of their first orders.
    averted : int
        Liquidations of the twin without a counterpart in the run.
    kernel : ImpactKernel
        With which the surviving impact is shared out over earlier orders.
    averted_accounts : int
        Accounts that are liquidated in the twin only.
    """

    events: NDArray[Any]
    averted: int
    kernel: ImpactKernel
    averted_accounts: int = 0

    def first_times(self) -> NDArray[Any]:
        """Return the events that were the first of their account."""
        _, first = np.unique(self.events["account"], return_index=True)
        return np.asarray(self.events[np.sort(first)])

    @property
    def proximate_ratio(self) -> float:
        """Share of events with a parent: mean number of children of an event [ratio]; NaN without events."""
        return float((self.events["parent"] >= 0).mean()) if len(self.events) else math.nan

    @property
    def fractional_ratio(self) -> float:
        """Mean share of an event that earlier liquidations caused, as they moved the book that they met [ratio].

        It holds `liquidations` and the part of `withdrawal` through which they acted: without the order the thinner
        book would have had nothing to pass on. NaN without events.
        """
        return math.fsum(self.events["offspring"]) / len(self.events) if len(self.events) else math.nan

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

    def path_peak(self, step_seconds: float, window_seconds: float = 60.0, floor: float = 0.01,
                  least: int = LEAST_EVENTS) -> PathPeak:
        """Return the largest branching ratio along the path: share of the events in a window that have a parent.

        The largest of many noisy shares is too large, the more so the fewer events a window holds. Immaterial windows
        are left out, and of the others the one with the highest lower bound (Wilson, 95 %) is taken.

        Parameters
        ----------
        step_seconds, window_seconds : float
            [s]
        floor : float
            Windows with at most this share of the run's liquidated notional are immaterial.
        least : int
            So are windows with fewer events.
        """
        rows = self.events
        place = (rows["step"] * step_seconds // window_seconds).astype(np.int64)
        notional, events = np.bincount(place, rows["notional"]), np.bincount(place)
        born = np.bincount(place, rows["parent"] >= 0, minlength=len(events))
        material = np.flatnonzero((notional > floor * notional.sum()) & (events >= least))
        found = [PathPeak(wilson_interval(int(born[k]), int(events[k])), float(k * window_seconds)) for k in material]
        none = PathPeak(Interval(math.nan, math.nan, math.nan, math.nan, 0), math.nan)
        return max(found, key=lambda one: one.ratio.low, default=none)

    def path_ratio(self, step_seconds: float, window_seconds: float = 60.0, floor: float = 0.01,
                   least: int = LEAST_EVENTS) -> float:
        """Return the ratio of :meth:`path_peak` alone; NaN where no window is material."""
        return self.path_peak(step_seconds, window_seconds, floor, least).ratio.estimate


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
