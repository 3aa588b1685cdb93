"""Copying: the state of a run into another run of the same set-up, or into a fresh one (a fork).

A fork continues bit for bit like the run it comes from, or, on a branch of its own, with other draws from here on.
Attributions by probe, critical shocks and splitting fork thousands of times, so a copy moves bytes and nothing else.
"""

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.recorder import Recorder

if TYPE_CHECKING:
    from spirals.simulation.simulation import Simulation

# Written before they are read.
SCRATCH = {"orders", "_work_sort", "_sequence", "_book_sequence", "_work_turn", "_trades"}

__all__ = ["copy_into", "copy_records", "fork"]


def copy_records(target: NDArray[Any], source: NDArray[Any]) -> None:
    """Copy an array into one of the same dtype and shape, as bytes: NumPy copies records field by field."""
    if target.dtype.names and target.size and target.dtype == source.dtype and target.shape == source.shape:
        target.view(np.uint8)[...] = np.ascontiguousarray(source).view(np.uint8)
    else:
        np.copyto(target, source)


def _copied(array: NDArray[Any]) -> NDArray[Any]:
    found = np.empty_like(array)
    copy_records(found, array)
    return found


def copy_into(source: "Simulation", target: "Simulation", branch: int | None = None) -> None:
    """Bring a run into the state of another run of the same set-up and seed; its records of later steps are void.

    Parameters
    ----------
    source, target : Simulation
    branch : int, optional
        Fork number: another one than the source's changes every draw from here on.
    """
    target.restore(source.arrays())
    if branch is not None:
        target.rebranch(branch)
    target.recorder.steps[source.step_index] = source.recorder.steps[source.step_index]
    target.recorder.forget(source.step_index)


def fork(source: "Simulation", branch: int | None = None) -> "Simulation":
    """Return an independent run in the same state; what it shares with its source never changes.

    Its recorder starts empty: it holds the rows from this step on.

    Parameters
    ----------
    source : Simulation
    branch : int, optional
        As in :func:`copy_into`.
    """
    market = source.market
    shared = (source.setup, source.instruments, market.path, market.outside_world, market.shocks,
              market.price_feed, market.volatility, market.funding, source.margin.policy, source.recorder)
    memo: dict[int, Any] = {id(one): one for one in shared}
    for owner in (source, market, source.book, source.population):
        for name, value in vars(owner).items():
            if isinstance(value, np.ndarray) and value.base is None:
                memo[id(value)] = np.empty_like(value) if name in SCRATCH else _copied(value)
    found = copy.deepcopy(source, memo)
    found.recorder = Recorder(source.n_steps, len(source.instruments), trades=source.recorder.keep_trades)
    found.recorder.steps[source.step_index] = source.recorder.steps[source.step_index]
    found.rebranch(source.branch if branch is None else branch)
    return found
