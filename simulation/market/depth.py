"""Depth: how much can be traded how far from the mid, how fast it refills, when it withdraws.

Depth dominates every result, so it is a named object and never a silent default. The profile is
the *cumulative* notional ``C(x)`` that rests within the log-distance ``x`` of the mid on one side:

    C(x) = N * (x / 1%)^exponent                            for x <= latent_from
    C(x) = C(latent_from) + latent * (power law - C(latent_from))   beyond, up to `reach`

``N`` is the notional within 1 %. Selling ``Q`` at once moves the price by ``C^-1(Q)``: exponent 1 is
a uniform book with linear impact, exponent 2 a V-shaped (linear latent) book with the square-root
impact of metaorders (Toth et al. 2011; Donier and Bonart 2015 for Bitcoin).

Refill has two time scales (orders near the touch return in seconds, far ones in tens of seconds);
withdrawal follows volatility and recent one-sided flow, and withdrawn capital returns over minutes.
The background flow turns these numbers into arrival and cancellation hazards.
"""

import dataclasses
import math
from abc import ABC, abstractmethod
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spirals.simulation.errors import InputError
from spirals.simulation.market.depth_file import read_depth_file
from spirals.simulation.parameters import Part, parameter, problems_of
from spirals.simulation.state import BUY

__all__ = [
    "DEPTHS", "Depth", "FileDepth", "FittedDepth", "GappedDepth", "LinearDepth", "PowerDepth", "SquareRootDepth",
    "far_position", "read_depth_file",
]

PERCENT = 0.01


def far_position(distance: float) -> float:
    """Return where a log-distance lies between the touch (0: 1 bp and nearer) and the far book (1: 1 % and beyond)."""
    return min(max(math.log(max(distance, 1e-9) / 1e-4) / math.log(100.0), 0.0), 1.0)


@dataclasses.dataclass(frozen=True)
class Depth(Part, ABC):
    """Shape, refill and withdrawal of the resting orders on each side of the mid.

    Subclasses define :meth:`cumulative`. Give either `notional_1pct` or, when it is 0,
    `share_of_open_interest`; :meth:`resolved` turns the share into a notional.
    """

    notional_1pct: float = parameter(0.0, unit="quote", low=0,
                                     help="notional within 1 % of the mid per side; 0: from share_of_open_interest")
    share_of_open_interest: float = parameter(0.03, unit="fraction of open interest", above=0, high=10,
                                              help="the same as a share of the opening open interest")
    reach: float = parameter(0.25, unit="log distance", above=0.01, high=1,
                             help="furthest resting orders from the reference price")
    latent_from: float = parameter(0.05, unit="log distance", above=0, high=1,
                                   help="where latent liquidity begins")
    latent: float = parameter(1.0, low=0, high=20, unit="x the profile continued",
                              help="liquidity beyond latent_from; 0: none")
    fast_refill_seconds: float = parameter(2.0, unit="s", above=0, high=3600,
                                           help="mean time until a free place at the touch is taken [1-5 s]")
    slow_refill_seconds: float = parameter(30.0, unit="s", above=0, high=36000,
                                           help="the same 1 % away and beyond [10-60 s, assumption]")
    volatility_elasticity: float = parameter(0.5, low=0, high=3,
                                             help="depth falls as (volatility / reference)^-elasticity")
    reference_volatility: float = parameter(0.0314, unit="per sqrt day", above=0, high=5,
                                            help="volatility at which the profile holds; .0314 is 60 % a year")
    flow_elasticity: float = parameter(0.3, low=0, high=10,
                                       help="a side falls as exp(-elasticity * recent fills / depth within 1 %)")
    flow_memory_seconds: float = parameter(60.0, unit="s", above=0, high=36000, help="memory of recent fills")
    return_seconds: float = parameter(600.0, unit="s", above=0, high=360000,
                                      help="time constant with which withdrawn liquidity returns")
    least: float = parameter(0.05, unit="fraction", above=0, high=1, help="depth that never withdraws")

    def problems(self) -> list[str]:
        found = problems_of(self)
        if not found and self.fast_refill_seconds > self.slow_refill_seconds:
            found.append(f"fast_refill_seconds must not exceed slow_refill_seconds ({self.slow_refill_seconds:g}), "
                         f"was {self.fast_refill_seconds:g}")
        if not found and self.latent_from > self.reach:
            found.append(f"latent_from must not exceed reach ({self.reach:g}), was {self.latent_from:g}")
        return found

    @abstractmethod
    def cumulative(self, distance: ArrayLike, side: int = BUY) -> NDArray[np.float64]:
        """Return the notional [quote] that rests within `distance` of the mid on one side.

        Parameters
        ----------
        distance : array_like of float
            Log-distance from the mid, at least 0.
        side : int
            ``BUY`` for bids, ``SELL`` for asks; only :class:`FileDepth` tells them apart.
        """

    def inverse(self, notional: ArrayLike, side: int = BUY) -> NDArray[np.float64]:
        """Return the log-distance within which `notional` [quote] rests: the impact of selling it at once.

        Beyond the whole book it is ``inf``. Found by bisection of :meth:`cumulative` to 1e-12.
        """
        wanted = np.asarray(notional, np.float64)
        low, high = np.zeros_like(wanted), np.full_like(wanted, self.reach)
        for _ in range(60):
            middle = 0.5 * (low + high)
            enough = self.cumulative(middle, side) >= wanted
            high = np.where(enough, middle, high)
            low = np.where(enough, low, middle)
        beyond = wanted > self.cumulative(self.reach, side)
        return np.asarray(np.where(beyond, np.inf, np.where(wanted <= 0, 0.0, high)))

    def resolved(self, open_interest: float) -> "Depth":
        """Return this depth with `notional_1pct` fixed, given the opening open interest [quote]."""
        if self.notional_1pct > 0:
            return self
        return dataclasses.replace(self, notional_1pct=self.share_of_open_interest * open_interest)

    def refill_seconds(self, distance: float) -> float:
        """Return the mean time [s] until a free place at `distance` is taken; log-linear from 1 bp to 1 %."""
        return float(self.fast_refill_seconds
                     * (self.slow_refill_seconds / self.fast_refill_seconds) ** far_position(distance))

    def _power(self, distance: ArrayLike, exponent: float) -> NDArray[np.float64]:
        """Return the power law with latent liquidity of the module docstring."""
        x = np.minimum(np.asarray(distance, np.float64), self.reach)
        full = self.notional_1pct * (x / PERCENT) ** exponent
        edge = self.notional_1pct * (self.latent_from / PERCENT) ** exponent
        return np.asarray(np.where(x <= self.latent_from, full, edge + self.latent * (full - edge)))


@dataclasses.dataclass(frozen=True)
class LinearDepth(Depth):
    """Uniform book: cumulative depth proportional to distance (exponent 1), linear impact.

    The default, 6 % of open interest within 1 %, is an assumption: sweep it.
    """

    share_of_open_interest: float = parameter(0.06, unit="fraction of open interest", above=0, high=10)

    def cumulative(self, distance: ArrayLike, side: int = BUY) -> NDArray[np.float64]:
        return self._power(distance, 1.0)


@dataclasses.dataclass(frozen=True)
class PowerDepth(Depth):
    """Power-law book: cumulative depth proportional to ``distance ** exponent``; 1 uniform, 2 V-shaped.

    The exponent was 1.3 within .28 % of the mid in a calm Binance stream of the BTCUSDT perpetual (8 August
    2024, 343 s, from the examples of hftbacktest). The default, 1.5 with 1.5 % of open interest within
    1 %, is an assumption.
    """

    share_of_open_interest: float = parameter(0.015, unit="fraction of open interest", above=0, high=10)
    exponent: float = parameter(1.5, low=0.25, high=4, help="of cumulative depth in distance")

    def cumulative(self, distance: ArrayLike, side: int = BUY) -> NDArray[np.float64]:
        return self._power(distance, self.exponent)


@dataclasses.dataclass(frozen=True)
class SquareRootDepth(Depth):
    """V-shaped book: cumulative depth proportional to distance squared, square-root impact.

    Thin at the touch, deep far away. The default, .4 % of open interest within 1 %, is an assumption.
    """

    share_of_open_interest: float = parameter(0.004, unit="fraction of open interest", above=0, high=10)

    def cumulative(self, distance: ArrayLike, side: int = BUY) -> NDArray[np.float64]:
        return self._power(distance, 2.0)


@dataclasses.dataclass(frozen=True)
class GappedDepth(Depth):
    """Book with a hole: uniform near the touch, nothing between `gap_from` and `gap_to`, uniform beyond.

    `notional_1pct` (at the touch, before the gap) is what an ordinary day shows; a large order falls
    through the gap to the latent orders of value buyers.
    """

    share_of_open_interest: float = parameter(0.03, unit="fraction of open interest", above=0, high=10)
    gap_from: float = parameter(0.003, unit="log distance", above=0, high=0.01)
    gap_to: float = parameter(0.02, unit="log distance", low=0.01, high=0.5)
    beyond: float = parameter(1.0, unit="x notional_1pct per 1 %", low=0, high=20, help="density after the gap")

    def problems(self) -> list[str]:
        found = super().problems()
        if not found and self.gap_to >= self.reach:
            found.append(f"gap_to must lie below reach ({self.reach:g}), was {self.gap_to:g}")
        return found

    def cumulative(self, distance: ArrayLike, side: int = BUY) -> NDArray[np.float64]:
        x = np.minimum(np.asarray(distance, np.float64), self.reach)
        near = np.minimum(x, self.gap_from) / self.gap_from
        far = self.beyond * np.maximum(x - self.gap_to, 0.0) / PERCENT
        return np.asarray(self.notional_1pct * (near + far))


@dataclasses.dataclass(frozen=True)
class FileDepth(Depth):
    """Book of the user's: a CSV file with ``distance_bp, bid_notional, ask_notional``.

    Notionals are cumulative, in quote units, and interpolated linearly from 0 at distance 0; flat
    beyond the last row. With `notional_1pct` above 0 the shape is rescaled to it (mean of the sides).
    """

    file: str = parameter("", help="path of the CSV file")

    def problems(self) -> list[str]:
        found = super().problems()
        try:
            rows = read_depth_file(self.file)
        except InputError as error:
            return found + list(error.problems)
        if not found and rows[-1, 0] * 1e-4 > self.reach:
            found.append(f"reach must cover the file's last distance ({rows[-1, 0]:g} bp), was {self.reach * 1e4:g} bp")
        return found

    def resolved(self, open_interest: float) -> "Depth":
        return self

    def cumulative(self, distance: ArrayLike, side: int = BUY) -> NDArray[np.float64]:
        rows = read_depth_file(self.file)
        scale = 1.0
        if self.notional_1pct > 0:
            scale = self.notional_1pct / (0.5 * float(np.interp(100.0, rows[:, 0], rows[:, 1] + rows[:, 2])))
        column = 1 if side == BUY else 2
        return np.asarray(scale * np.interp(np.asarray(distance, np.float64) * 1e4, rows[:, 0], rows[:, column]))


@dataclasses.dataclass(frozen=True)
class FittedDepth(Depth):
    """Book with the profile of a recorded stream near the mid and a stated assumption beyond it.

    Between neighbouring `distance_bp` cumulative notional is a power of distance (straight in logarithms),
    from 0 to the first of them proportional to it. Beyond the last the stream says nothing: there it grows with
    `beyond_exponent` up to `latent_from`, and from there with `latent` times that; both are
    **assumptions**. Only the shape of `profile` counts: the level is `notional_1pct`, as in every depth model.

    The default is the mean of bids and asks of the shipped Binance stream of the BTCUSDT perpetual (8 August
    2024, 345 s, calm), printed by ``spirals fit-book btcusdt_perp_l2_2024-08-08.gz``, in M USDT. Its
    1 % depth, extrapolated, is 230 M (standard error 25 M). `beyond_exponent` continues the exponent within
    28 bp, 1.32 (.04). The default 3 % of open interest is an assumption.
    """

    distance_bp: tuple[float, ...] = parameter((1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 14.0, 20.0, 28.0), unit="bp",
                                               above=0, high=5000, help="distances from the mid, increasing")
    profile: tuple[float, ...] = parameter((0.598, 1.240, 2.484, 6.705, 9.565, 13.61, 20.41, 30.68, 42.59), above=0,
                                           help="cumulative notional within them, any unit, mean of the sides")
    beyond_exponent: float = parameter(1.32, low=0, high=4,
                                       help="of cumulative depth beyond the last distance; not observed, assumption")

    def __post_init__(self) -> None:
        for name in ("distance_bp", "profile"):
            if isinstance(getattr(self, name), list | np.ndarray):
                object.__setattr__(self, name, tuple(float(value) for value in getattr(self, name)))
        super().__post_init__()

    def problems(self) -> list[str]:
        found = super().problems()
        near, held = self.distance_bp, self.profile
        if not near or len(near) != len(held):
            return [*found, f"distance_bp and profile must have the same number of entries, at least one; "
                            f"were {len(near)} and {len(held)}"]
        for name, values in (("distance_bp", near), ("profile", held)):
            if any(not after > before for before, after in pairwise(values)):
                found.append(f"{name} must increase, was {list(values)!r}")
        if not found and near[-1] * 1e-4 > self.latent_from:
            found.append(f"latent_from must cover the last distance ({near[-1]:g} bp), "
                         f"was {self.latent_from * 1e4:g} bp")
        return found

    def cumulative(self, distance: ArrayLike, side: int = BUY) -> NDArray[np.float64]:
        x = np.minimum(np.asarray(distance, np.float64), self.reach)
        near = self._shape(np.minimum(x, self.latent_from))
        edge = self._shape(np.asarray(self.latent_from))
        shape = near + self.latent * (self._shape(np.maximum(x, self.latent_from)) - edge)
        return np.asarray(self.notional_1pct * shape / self._shape(np.asarray(PERCENT)))

    def _shape(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the profile, continued on both ends, without latent liquidity."""
        knots, held = np.log(self.distance_bp), np.log(self.profile)
        bp = np.maximum(distance * 1e4, 1e-12)
        inside = np.exp(np.interp(np.log(bp), knots, held))
        before = self.profile[0] * bp / self.distance_bp[0]
        after = self.profile[-1] * (bp / self.distance_bp[-1]) ** self.beyond_exponent
        shape = np.where(bp < self.distance_bp[0], before, np.where(bp > self.distance_bp[-1], after, inside))
        return np.asarray(np.where(distance <= 0, 0.0, shape))


DEPTHS: dict[str, type[Depth]] = {
    "linear": LinearDepth,
    "power": PowerDepth,
    "square_root": SquareRootDepth,
    "gapped": GappedDepth,
    "file": FileDepth,
    "fitted": FittedDepth,
}
