"""MarginRequirement: what a margin policy asks for, as rates per instrument and bracket of notional."""

import dataclasses
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.state import REQUIREMENT

__all__ = ["SMALLEST_RATE", "MarginRequirement", "bounded", "requirement_of"]

Rates = NDArray[np.float64]

SMALLEST_RATE = 1e-4
"""Lowest rate of the estimating policies [fraction of notional]: a volatility of zero is no licence for none."""


@dataclasses.dataclass(frozen=True, eq=False)
class MarginRequirement:
    """Initial and maintenance rates of every instrument; treat it, and its arrays, as read-only.

    A policy that has nothing new to say returns the *same object* again: the engine skips its work then.

    Parameters
    ----------
    initial_rates : ndarray of shape (n_instruments,) or (n_instruments, n_brackets), float
        [fraction of notional] in (0, 1], needed to open or enlarge a position; 0.05 allows leverage 20.
    maintenance_rates : ndarray, same shape
        [fraction of notional] in (0, 1], not above `initial_rates`; below it an account is liquidated.
    floors : ndarray of shape (n_instruments, n_brackets), float, optional
        [quote] lower bounds of the brackets of notional, increasing from 0. Rates are *marginal*: each
        applies to the part of the notional inside its bracket, so the requirement is continuous.
    grandfathered : bool
        True: open lots keep the lower of the current and their entry maintenance rate.
    """

    initial_rates: Rates
    maintenance_rates: Rates
    floors: Rates | None = None
    grandfathered: bool = False

    def __post_init__(self) -> None:
        for name in ("initial_rates", "maintenance_rates", "floors"):
            value = getattr(self, name)
            if value is not None and not (type(value) is np.ndarray and value.dtype == np.float64):
                object.__setattr__(self, name, np.asarray(value, dtype=np.float64))

    @classmethod
    def flat(cls, n_instruments: int, initial: Any, maintenance: Any) -> "MarginRequirement":
        """Return one rate for every notional.

        Parameters
        ----------
        n_instruments : int
        initial, maintenance : float or array_like of shape (n_instruments,)
            [fraction of notional] in (0, 1].

        Examples
        --------
        >>> MarginRequirement.flat(2, 0.10, 0.05).maintenance_rates
        array([0.05, 0.05])
        """
        rates = [np.array(np.broadcast_to(rate, (n_instruments,)), dtype=np.float64) for rate in (initial, maintenance)]
        return cls(rates[0], rates[1])

    @property
    def n_instruments(self) -> int:
        return len(self.initial_rates)

    @property
    def n_brackets(self) -> int:
        return self.initial_rates.shape[1] if self.initial_rates.ndim == 2 else 1

    @classmethod
    def of(cls, rates: Rates, floors: Rates | None = None, grandfathered: bool = False) -> "MarginRequirement":
        """Return the requirement with `rates` of shape (2, ...), row 0 initial, row 1 maintenance; takes it over."""
        # Wrappers do this in every step; writing the fields directly halves the cost.
        new = object.__new__(cls)
        new.__dict__.update(
            initial_rates=rates[0], maintenance_rates=rates[1], floors=floors, grandfathered=grandfathered, rates=rates
        )
        return new

    @cached_property
    def rates(self) -> Rates:
        """Both rates in one array of shape (2, ...): row 0 initial, row 1 maintenance."""
        return np.array((self.initial_rates, self.maintenance_rates))

    def with_rates(self, rates: Rates) -> "MarginRequirement":
        """Return the same brackets and grandfathering with other `rates` of shape (2, ...); takes the array over."""
        return MarginRequirement.of(rates, self.floors, self.grandfathered)

    def equals(self, other: "MarginRequirement") -> bool:
        """Return whether all rates, floors and the grandfathering are the same, bit for bit."""
        if self is other:
            return True
        if self.grandfathered != other.grandfathered or not _same(self.rates, other.rates):
            return False
        if self.floors is None or other.floors is None:
            return self.floors is other.floors
        return _same(self.floors, other.floors)

    def table(self, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the requirement as a REQUIREMENT array of shape (n_instruments, n_brackets).

        The deductions make ``notional * rate - deduction`` continuous:
        ``deduction_n = deduction_{n-1} + floor_n * (rate_n - rate_{n-1})`` (the "maintenance amount"
        of Binance's USDS-M futures; the initial requirement is built in the same way).

        Parameters
        ----------
        out : ndarray of shape (n_instruments, at least n_brackets), REQUIREMENT, optional
            Filled in place; spare brackets start at infinity and are never reached.
        """
        n_brackets = self.n_brackets
        if out is None:
            out = np.zeros((self.n_instruments, n_brackets), REQUIREMENT)
        if out.shape[0] != self.n_instruments or out.shape[1] < n_brackets:
            raise ValueError(f"out must have shape ({self.n_instruments}, at least {n_brackets}), was {out.shape}")
        if self.floors is None and out.shape[1] == 1:
            out["floor"] = out["initial_deduction"] = out["maintenance_deduction"] = 0.0
            out["initial_rate"] = self.initial_rates.reshape(-1, 1)
            out["maintenance_rate"] = self.maintenance_rates.reshape(-1, 1)
            return out
        shape = (self.n_instruments, n_brackets)
        floors = np.zeros(shape) if self.floors is None else self.floors
        out["floor"][:, :n_brackets] = floors
        out["floor"][:, n_brackets:] = np.inf
        for name, rates in (("initial", self.initial_rates), ("maintenance", self.maintenance_rates)):
            rates = rates.reshape(shape)
            deductions = np.zeros(shape)
            np.cumsum(floors[:, 1:] * (rates[:, 1:] - rates[:, :-1]), axis=1, out=deductions[:, 1:])
            for field, values in ((f"{name}_rate", rates), (f"{name}_deduction", deductions)):
                out[field][:, :n_brackets] = values
                out[field][:, n_brackets:] = values[:, -1:]
        return out

    def problems(self, n_instruments: int | None = None) -> list[str]:
        """Return every fault, one line each; empty when the engine can use the requirement.

        Parameters
        ----------
        n_instruments : int, optional
            Number of instruments of the market; checked when given.
        """
        initial, maintenance = self.initial_rates, self.maintenance_rates
        expected = (len(initial) if initial.ndim else 0) if n_instruments is None else n_instruments
        if initial.shape != maintenance.shape:
            return [f"maintenance_rates must have the shape of initial_rates {initial.shape}, was {maintenance.shape}"]
        if initial.ndim not in (1, 2) or len(initial) != expected or initial.size == 0:
            return [f"initial_rates must have shape (n_instruments,) or (n_instruments, n_brackets) with "
                    f"n_instruments = {expected}, was {initial.shape}"]
        found = []
        if not ((maintenance > 0) & (maintenance <= initial) & (initial <= 1)).all():
            for name, rates in (("initial_rates", initial), ("maintenance_rates", maintenance)):
                if not ((rates > 0) & (rates <= 1)).all():
                    found.append(f"{name} must be finite and in (0, 1], was {rates.tolist()}")
            if (maintenance > initial).any():
                found.append(f"maintenance_rates must not exceed initial_rates, "
                             f"was {maintenance.tolist()} above {initial.tolist()}")
        return found + (self._bracket_problems() if initial.ndim == 2 or self.floors is not None else [])

    def _bracket_problems(self) -> list[str]:
        floors, shape = self.floors, self.initial_rates.shape
        if floors is None or len(shape) == 1 or floors.shape != shape:
            given = None if floors is None else floors.shape
            return [f"floors and rates must share one shape (n_instruments, n_brackets), was {given} and {shape}"]
        if (floors[:, 0] != 0).any() or not (floors[:, 1:] > floors[:, :-1]).all() or not np.isfinite(floors).all():
            return [f"floors must increase strictly from 0, was {floors.tolist()}"]
        return []


def bounded(rates: Rates) -> Rates:
    """Limit `rates` of shape (2, ...), in place, to at most 1 and maintenance to at most initial."""
    np.minimum(rates, 1.0, out=rates)
    np.minimum(rates[1], rates[0], out=rates[1])
    return rates


def requirement_of(notional: float, brackets: NDArray[Any]) -> tuple[float, float]:
    """Return the initial and the maintenance margin of one position [quote].

    Parameters
    ----------
    notional : float
        [quote] absolute value of the position at the mark.
    brackets : ndarray of shape (n_brackets,), REQUIREMENT
        One row of :meth:`MarginRequirement.table`.

    Examples
    --------
    >>> brackets = MarginRequirement([[0.02, 0.04]], [[0.01, 0.02]], floors=[[0.0, 1000.0]]).table()[0]
    >>> requirement_of(1500.0, brackets)   # 1000 at 2 % and 500 at 4 %; 1000 at 1 % and 500 at 2 %
    (40.0, 20.0)
    """
    row = brackets[max(0, int(np.searchsorted(brackets["floor"], notional, side="right")) - 1)]
    return (
        float(notional * row["initial_rate"] - row["initial_deduction"]),
        float(notional * row["maintenance_rate"] - row["maintenance_deduction"]),
    )


def _same(first: Rates, second: Rates) -> bool:
    return first.shape == second.shape and first.tobytes() == second.tobytes()
