"""Cascades: liquidations that follow one another closely, and how large such clusters become."""

import dataclasses
import math

import numpy as np

from spirals.simulation.measures.record import RunRecord

__all__ = ["GAP_SECONDS", "Cascade", "cascades", "largest_cascade"]

GAP_SECONDS = 60.0  # chosen: about the time in which a fast refill has restored the touch


@dataclasses.dataclass(frozen=True)
class Cascade:
    """One cluster of liquidation events.

    Attributes
    ----------
    start_step, end_step : int
        Step of the first and of the last liquidation order of its events.
    events, accounts, orders : int
        Closures, distinct accounts, liquidation orders.
    notional : float
        [quote] executed.
    duration_seconds : float
        [s] from the first to the last order, both steps included.
    rounds : int
        Distinct pairs (step, round) in which it sent an order: how often it came back to the book.
    """

    start_step: int
    end_step: int
    events: int
    accounts: int
    orders: int
    notional: float
    duration_seconds: float
    rounds: int


def cascades(record: RunRecord, gap_seconds: float = GAP_SECONDS) -> list[Cascade]:
    """Return the cascades of a run in order of time.

    Two liquidation events belong to the same cascade when their first orders are less than
    `gap_seconds` apart, directly or through events between them. Later orders of an event belong to
    the cascade of its first order, so events and notional add up to those of the run.

    Parameters
    ----------
    record : RunRecord
    gap_seconds : float
        [s], above 0. Larger gaps merge cascades.
    """
    rows = record.liquidations
    if not len(rows):
        return []
    events, owner = np.unique(rows["event"], return_inverse=True)
    first_step = np.full(len(events), np.iinfo(np.int64).max)
    np.minimum.at(first_step, owner, rows["step"].astype(np.int64))
    order = np.argsort(first_step, kind="stable")
    breaks = np.diff(first_step[order]) * record.step_seconds >= gap_seconds
    cluster_of_event = np.empty(len(events), np.int64)
    cluster_of_event[order] = np.concatenate([[0], np.add.accumulate(breaks.astype(np.int64))])
    cluster_of_row = cluster_of_event[owner]
    by_cluster = np.argsort(cluster_of_row, kind="stable")
    edges = np.flatnonzero(np.diff(cluster_of_row[by_cluster])) + 1
    return [_describe(rows[group], record.step_seconds) for group in np.split(by_cluster, edges)]


def largest_cascade(found: list[Cascade]) -> Cascade:
    """Return the cascade with the largest notional (the earliest of equals), an empty one if none."""
    return max(found, key=lambda one: one.notional, default=Cascade(0, 0, 0, 0, 0, 0.0, 0.0, 0))


def _describe(rows: np.ndarray, step_seconds: float) -> Cascade:
    start, end = int(rows["step"].min()), int(rows["step"].max())
    pairs = np.unique(rows["step"].astype(np.int64) * (1 << 32) + rows["round"])
    return Cascade(
        start_step=start,
        end_step=end,
        events=len(np.unique(rows["event"])),
        accounts=len(np.unique(rows["account"])),
        orders=len(rows),
        notional=math.fsum(rows["notional"]),
        duration_seconds=(end - start + 1) * step_seconds,
        rounds=len(pairs),
    )
