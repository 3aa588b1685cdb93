"""Bring requirements with different brackets of notional to common ones; the amounts asked do not change."""

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.margin.requirement import MarginRequirement

__all__ = ["common_brackets", "on_floors", "rates_on"]

Array = NDArray[np.float64]


def common_brackets(first: MarginRequirement, second: MarginRequirement) -> tuple[MarginRequirement, MarginRequirement]:
    """Return both requirements with the same brackets, themselves where they already have them.

    A bracket may be split freely because rates are marginal: a border with the same rate on both sides
    changes nothing.
    """
    if first.floors is second.floors or (
        first.floors is not None and second.floors is not None and np.array_equal(first.floors, second.floors)
    ):
        return first, second
    floors = _merged(first.floors, second.floors)
    return on_floors(first, floors), on_floors(second, floors)


def on_floors(requirement: MarginRequirement, floors: Array) -> MarginRequirement:
    """Return `requirement` on the finer brackets `floors` [quote], shape (n_instruments, n_brackets)."""
    if requirement.floors is floors:
        return requirement
    initial, maintenance = rates_on(requirement.rates, requirement.floors, floors)
    return MarginRequirement(initial, maintenance, floors, requirement.grandfathered)


def rates_on(rates: Array, old: Array | None, new: Array) -> Array:
    """Return `rates` of shape (..., n_instruments[, n_old]) on finer brackets.

    Parameters
    ----------
    rates : ndarray of shape (..., n_instruments) or, with brackets, (..., n_instruments, n_old)
    old : ndarray of shape (n_instruments, n_old), or None
        [quote] floors that `rates` refer to.
    new : ndarray of shape (n_instruments, n_new)
        [quote] floors, containing all of `old`.
    """
    if old is None:
        return np.repeat(rates[..., None], new.shape[1], axis=-1)
    index = (old[:, None, :] <= new[:, :, None]).sum(axis=-1) - 1
    index = np.broadcast_to(index, (*rates.shape[:-2], *index.shape))
    return np.take_along_axis(rates, index, axis=-1)


def _merged(first: Array | None, second: Array | None) -> Array:
    if first is None or second is None:
        given = second if first is None else first
        assert given is not None  # two flat requirements have common brackets already
        return given
    every = np.unique(np.concatenate((first.ravel(), second.ravel())))
    return np.repeat(every[None, :], len(first), axis=0)
