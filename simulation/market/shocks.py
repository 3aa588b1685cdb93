"""Shocks: scripted perturbations of the outside price, of depth, of order flow and of the oracle.

A shock is a frozen record with a time (seconds since the opening) and an instrument (-1: all). It acts
in the first step that starts at or after that time. Shocks of the same kind that overlap add up
(jumps, flow, lag) or multiply (volatility, depth).
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.errors import InputError
from spirals.simulation.kernel import kernel
from spirals.simulation.market.outside_world import OutsidePath
from spirals.simulation.parameters import Part, parameter

__all__ = [
    "DepthWithdrawal", "OracleLag", "OrderFlow", "PriceJump", "Schedule", "Shock", "VolatilityShock",
    "apply_price_shocks", "schedule",
]


@dataclasses.dataclass(frozen=True)
class Shock(Part):
    """Base of the shocks.

    Attributes
    ----------
    at : float
        [s since the opening] When it starts.
    instrument : int
        Index of the instrument it hits, -1 for all.
    """

    at: float = parameter(60.0, unit="s", low=0, help="start, seconds since the opening")
    instrument: int = parameter(-1, low=-1, help="index of the instrument, -1 for all")

    def hits(self, n_instruments: int) -> range:
        """Return the instruments that the shock hits."""
        return range(n_instruments) if self.instrument < 0 else range(self.instrument, self.instrument + 1)


@dataclasses.dataclass(frozen=True)
class PriceJump(Shock):
    """A jump or ramp of the exogenous log price, partly taken back later.

    The log price moves by `size`, evenly over `ramp_seconds` (0: at once), and then by
    ``-rebound * size``, evenly over `rebound_seconds`.

    Attributes
    ----------
    size : float
        [log price] Negative for a fall: -0.12 is a fall of 11.3 %.
    ramp_seconds, rebound_seconds : float
        [s] Duration of move and rebound.
    rebound : float
        [fraction of size] Part that is taken back.
    """

    size: float = parameter(-0.1, unit="log price", low=-5, high=5, help="total move of the log price")
    ramp_seconds: float = parameter(0.0, unit="s", low=0, help="duration of the move; 0: one step")
    rebound: float = parameter(0.0, unit="fraction of size", low=0, high=2, help="part taken back")
    rebound_seconds: float = parameter(0.0, unit="s", low=0, help="duration of the rebound; 0: one step")

    def log_move(self, n_rows: int, step_seconds: float) -> NDArray[np.float64]:
        """Return the move of the log price since the opening, shape (n_rows,), row k after k steps."""
        seconds = np.arange(n_rows) * step_seconds
        start = math.ceil(self.at / step_seconds - 1e-9) * step_seconds
        ramp = max(self.ramp_seconds, step_seconds)
        moved = np.clip((seconds - start) / ramp, 0.0, 1.0)
        back = np.clip((seconds - start - ramp) / max(self.rebound_seconds, step_seconds), 0.0, 1.0)
        return self.size * (moved - self.rebound * back)


@dataclasses.dataclass(frozen=True)
class VolatilityShock(Shock):
    """Exogenous log increments are multiplied during a window."""

    duration: float = parameter(600.0, unit="s", low=0, help="length of the window")
    multiplier: float = parameter(3.0, unit="times", low=0, high=1000, help="factor on the log increments")


@dataclasses.dataclass(frozen=True)
class DepthWithdrawal(Shock):
    """Background and maker depth is cut by a fraction during a window."""

    duration: float = parameter(600.0, unit="s", low=0, help="length of the window")
    fraction: float = parameter(0.5, unit="fraction of depth", low=0, high=1, help="part that is withdrawn")


@dataclasses.dataclass(frozen=True)
class OrderFlow(Shock):
    """Market orders at a constant pace during a window, on top of all other flow."""

    duration: float = parameter(60.0, unit="s", low=0, help="length of the window")
    notional_per_second: float = parameter(1e6, unit="quote per s", low=0, help="pace of the orders")
    side: str = parameter("sell", choices=("buy", "sell"), help="side of the orders")


@dataclasses.dataclass(frozen=True)
class OracleLag(Shock):
    """The oracle falls behind by `seconds` more than its ordinary latency; it stands still until then."""

    duration: float = parameter(600.0, unit="s", low=0, help="length of the window")
    seconds: float = parameter(60.0, unit="s", low=0, help="additional lag")


@dataclasses.dataclass(frozen=True)
class Schedule:
    """What the shocks do to depth, flow and oracle, per step.

    Each array has shape (n_rows, n_instruments); row k belongs to step k, and the last row to every
    later step, so that runs without a shock hold one row.

    Attributes
    ----------
    depth_factor : float64
        [fraction] Multiplies ordinary depth; 1 without a shock.
    flow_notional : float64
        [quote per step] Additional market orders, buys positive.
    oracle_lag : int64
        [steps] Additional lag of the oracle.
    """

    depth_factor: NDArray[np.float64]
    flow_notional: NDArray[np.float64]
    oracle_lag: NDArray[np.int64]


def schedule(shocks: Sequence[Shock], n_steps: int, step_seconds: float, n_instruments: int) -> Schedule:
    """Return depth, flow and oracle lag per step.

    A window [at, at + duration) covers the steps that start in it.
    """
    _check(shocks, n_instruments)

    def table(kind: type[Shock], neutral: float, dtype: type) -> NDArray:
        ends = [_rows(s, step_seconds, n_steps)[1] for s in shocks if isinstance(s, kind)]
        return np.full((max(ends, default=0) + 1, n_instruments), neutral, dtype)

    depth = table(DepthWithdrawal, 1.0, np.float64)
    flow = table(OrderFlow, 0.0, np.float64)
    lag = table(OracleLag, 0, np.int64)
    for shock in shocks:
        first, stop = _rows(shock, step_seconds, n_steps)
        for instrument in shock.hits(n_instruments):
            if isinstance(shock, DepthWithdrawal):
                depth[first:stop, instrument] *= 1.0 - shock.fraction
            elif isinstance(shock, OrderFlow):
                sign = 1.0 if shock.side == "buy" else -1.0
                flow[first:stop, instrument] += sign * shock.notional_per_second * step_seconds
            elif isinstance(shock, OracleLag):
                lag[first:stop, instrument] += round(shock.seconds / step_seconds)
    return Schedule(depth, flow, lag)


def apply_price_shocks(path: OutsidePath, shocks: Sequence[Shock]) -> OutsidePath:
    """Return `path` with volatility shocks and price jumps; the same object when there are none.

    Increments are scaled first and jumps are added afterwards, so a volatility shock does not scale a
    jump. Rows before the first shock are unchanged.
    """
    n_rows, n_instruments = path.price.shape
    _check(shocks, n_instruments)
    if not any(isinstance(shock, VolatilityShock | PriceJump) for shock in shocks):
        return path
    price = path.price.copy()
    for instrument in range(n_instruments):
        here = [shock for shock in shocks if instrument in shock.hits(n_instruments)]
        factor, move = np.ones(n_rows), np.zeros(n_rows)
        for shock in here:
            if isinstance(shock, VolatilityShock):
                first, stop = _rows(shock, path.step_seconds, n_rows - 1)
                factor[first:stop] *= shock.multiplier
            elif isinstance(shock, PriceJump):
                move += shock.log_move(n_rows, path.step_seconds)
        column = price[:, instrument].copy()
        move_path(column, factor, move)
        price[:, instrument] = column
    return dataclasses.replace(path, price=price)


@kernel
def move_path(price, factor, move):
    """Scale the log increments of `price` (n_rows,) by `factor` and shift it by `move`, in place."""
    shift = 0.0
    before = price[0]
    for row in range(price.shape[0]):
        here = price[row]
        if factor[row] != 1.0:
            shift += (factor[row] - 1.0) * math.log(here / before)
        before = here
        total = shift + move[row]
        if total != 0.0:
            price[row] = here * math.exp(total)


def _rows(shock: Shock, step_seconds: float, n_steps: int) -> tuple[int, int]:
    """First and one past the last step that starts inside the window; step k starts at k - 1 step lengths."""
    duration = getattr(shock, "duration", 0.0)
    first = 1 + math.ceil(shock.at / step_seconds - 1e-9)
    stop = 1 + math.ceil((shock.at + duration) / step_seconds - 1e-9)
    return min(first, n_steps + 1), min(stop, n_steps + 1)


def _check(shocks: Sequence[Shock], n_instruments: int) -> None:
    allowed = f"instrument must be -1 or in [0, {n_instruments - 1}]"
    found = [
        f"{type(shock).__name__}: {allowed}, was {shock.instrument}"
        for shock in shocks if shock.instrument >= n_instruments
    ]
    if found:
        raise InputError(found)
