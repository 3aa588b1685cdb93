"""OutsideWorld: where the exogenous price comes from, and the path it hands to the market.

The whole path is drawn before the run. It never depends on the venue; how far the outside price
follows the venue is the index feedback of :class:`~spirals.simulation.market.price_feed.PriceFeed`.
"""

import dataclasses
from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.errors import InputError
from spirals.simulation.kernel import kernel
from spirals.simulation.parameters import Part
from spirals.simulation.randomness import normal_quantile, stream_key, uniform

__all__ = [
    "COMMON_ACTOR", "SECONDS_PER_DAY", "SECONDS_PER_YEAR", "Forks", "OutsidePath", "OutsideWorld",
    "correlated_normal", "per_instrument", "row_keys",
]

SECONDS_PER_DAY = 86400.0
SECONDS_PER_YEAR = 365.0 * SECONDS_PER_DAY
COMMON_ACTOR = 0xFFFFFFFF  # draws shared by all instruments

Forks = tuple[tuple[int, int], ...]   # (last step before it, branch), in order of time


@dataclasses.dataclass(frozen=True)
class OutsidePath:
    """Exogenous prices of a whole run.

    Attributes
    ----------
    price : ndarray of shape (n_steps + 1, n_instruments), float64
        [quote] Finite and positive; row 0 is the opening, row k the value at the end of step k.
    step_seconds : float
        [s] Time between two rows.
    opening_seconds : float or None
        [s] Time of day (UTC) of row 0; None when the path has no date.
    """

    price: NDArray[np.float64]
    step_seconds: float
    opening_seconds: float | None = None

    def problems(self, n_steps: int, n_instruments: int) -> list[str]:
        """Return one line per fault; empty when the path fits a run of `n_steps` steps."""
        shape = (n_steps + 1, n_instruments)
        if self.price.shape != shape or self.price.dtype != np.float64:
            given = f"{self.price.dtype} of shape {self.price.shape}"
            return [f"outside price must be float64 of shape {shape}, was {given}"]
        bad = np.flatnonzero(~(np.isfinite(self.price) & (self.price > 0.0)).all(axis=1))
        if bad.size:
            row = int(bad[0])
            return [f"outside price must be finite and positive, was {self.price[row].tolist()} in row {row}"]
        return []


class OutsideWorld(Part, ABC):
    """Where the exogenous price comes from; subclass it as a frozen dataclass with a `path` method.

    A path must be a function of its arguments alone, and a longer path must begin with the shorter
    one: draw with counters (:mod:`spirals.simulation.randomness`, counter = step, actor =
    instrument) or with a generator that is consumed row by row.
    """

    @abstractmethod
    def path(self, n_steps: int, step_seconds: float, n_instruments: int, seed: int) -> OutsidePath:
        """Return the exogenous prices of a run.

        Parameters
        ----------
        n_steps : int
            Number of steps, at least 1.
        step_seconds : float
            [s] Length of a step.
        n_instruments : int
            Number of instruments.
        seed : int
            Seed of the run.

        Raises
        ------
        InputError
            When the parameters do not fit the number of steps or instruments.
        """

    def forked_path(
        self, n_steps: int, step_seconds: float, n_instruments: int, seed: int, forks: Forks
    ) -> OutsidePath | None:
        """Return the path whose noise is drawn anew after each fork; None where the path has no noise of its own.

        Parameters
        ----------
        n_steps, step_seconds, n_instruments, seed
            As in :meth:`path`.
        forks : tuple of (int, int)
            (step, branch), in order of time: rows after `step` take the draws of `branch`. Empty: the path itself,
            bit for bit. Rows up to the first fork are those of :meth:`path`.
        """
        return None

    def available_steps(self, step_seconds: float) -> int | None:
        """Return how many steps of `step_seconds` there are at most; None when there is no limit."""
        return None

    def notes(self) -> tuple[str, ...]:
        """Return what every run should say about its input, such as repairs that were asked for."""
        return ()


def row_keys(seed: int, purpose: str, n_rows: int, forks: Forks = ()) -> NDArray[np.uint64]:
    """Return the key of the draws of every row of a path, shape (n_rows,): each fork has its own from its step on."""
    keys = np.full(n_rows, stream_key(seed, purpose), np.uint64)
    for step, branch in forks:
        keys[step + 1:] = stream_key(seed, purpose, branch)
    return keys


def per_instrument(name: str, value: float | tuple[float, ...], n_instruments: int) -> NDArray[np.float64]:
    """Return `value` as one float per instrument; a tuple must have that length."""
    values = tuple(value) if isinstance(value, tuple | list) else (value,) * n_instruments
    if len(values) != n_instruments:
        raise InputError([f"{name} must be one number or {n_instruments} numbers, had {len(values)}"])
    return np.array(values, dtype=np.float64)


@kernel
def correlated_normal(key, step, instrument, block, loading):
    """Return a standard normal; two instruments have correlation ``loading**2`` through a common factor."""
    own = normal_quantile(uniform(key, step, instrument, block))
    if loading == 0.0:
        return own
    common = normal_quantile(uniform(key, step, COMMON_ACTOR, block))
    return loading * common + (1.0 - loading * loading) ** 0.5 * own
