"""Random crash: a shock that every seed draws anew, for statements about crashes and not about one crash.

The draws are keyed by the seed of the run and the place of the shock in the scenario alone, so that a replication meets
the same crash under every policy, in every twin, with every number of steps and at every step length.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.market.shocks import DepthWithdrawal, PriceJump, Shock
from spirals.simulation.parameters import parameter, problems_of
from spirals.simulation.randomness import stream_key, uniforms

__all__ = ["DrawnCrash", "RandomCrash", "drawn_shocks", "truncated_pareto"]


@dataclasses.dataclass(frozen=True)
class DrawnCrash(PriceJump):
    """One crash: a ramp of the exogenous log price with a gap inside, partly taken back afterwards.

    Attributes
    ----------
    gap_share : float
        [fraction of size] Part that comes at once; the rest is even over `ramp_seconds`.
    gap_after : float
        [s] Time of the gap, counted from the start of the ramp.
    """

    gap_share: float = parameter(0.0, unit="fraction of size", low=0, high=1, help="part that comes at once")
    gap_after: float = parameter(0.0, unit="s", low=0, help="start of the ramp to the gap")

    def log_move(self, n_rows: int, step_seconds: float) -> NDArray[np.float64]:
        gap = PriceJump(at=self.at + self.gap_after, size=self.gap_share * self.size)
        ramp = PriceJump(at=self.at, size=(1.0 - self.gap_share) * self.size, ramp_seconds=self.ramp_seconds)
        back = PriceJump(at=self.at + self.ramp_seconds, size=-self.rebound * self.size,
                         ramp_seconds=self.rebound_seconds)
        parts = [part.log_move(n_rows, step_seconds) for part in (gap, ramp, back)]
        return parts[0] + parts[1] + parts[2]


@dataclasses.dataclass(frozen=True)
class RandomCrash(Shock):
    """A crash (or short squeeze) whose size, speed, gap, rebound and time each seed draws from stated laws.

    Sizes have the density ``x^(-1 - size_exponent)`` between their bounds: 0 gives every ratio of sizes the same weight
    (log-uniform); hourly moves in the shipped bars have a tail of about 2 (2019-20) and 3 (2025; Hill 1975, the 50
    largest). Durations are log-uniform, shares and the start uniform, all independent. The start is `at` plus up to
    `start_range`. No law is fitted: two shipped crashes cannot tell one, so each bound is an assumption to be swept,
    and a table can be weighted anew by the outcomes `crash_size` and so on.

    Attributes
    ----------
    up_share : float
        [probability] Of a rise instead of a fall; the same laws, mirrored.
    withdrawn : float
        [fraction of depth] That leaves from the start of the move until `withdrawn_after` seconds after its end.
    """

    start_range: float = parameter(300.0, unit="s", low=0, help="width of the start time")
    size_low: float = parameter(0.05, unit="log price", above=0, high=5, help="smallest move [assumption]")
    size_high: float = parameter(0.35, unit="log price", above=0, high=5, help="largest move [assumption]")
    size_exponent: float = parameter(0.0, low=0, high=10, help="Pareto tail of sizes; 0: log-uniform [assumption]")
    fall_seconds_low: float = parameter(60.0, unit="s", above=0, help="shortest move [assumption]")
    fall_seconds_high: float = parameter(2400.0, unit="s", above=0, help="longest move [assumption]")
    gap_share_low: float = parameter(0.0, unit="fraction of size", low=0, high=1, help="least part at once")
    gap_share_high: float = parameter(0.5, unit="fraction of size", low=0, high=1, help="largest [assumption]")
    rebound_low: float = parameter(0.0, unit="fraction of size", low=0, high=2, help="least part taken back")
    rebound_high: float = parameter(0.7, unit="fraction of size", low=0, high=2, help="largest [assumption]")
    rebound_seconds_low: float = parameter(60.0, unit="s", above=0, help="shortest rebound [assumption]")
    rebound_seconds_high: float = parameter(1800.0, unit="s", above=0, help="longest rebound [assumption]")
    up_share: float = parameter(0.2, unit="probability", low=0, high=1, help="of a rise instead [assumption]")
    withdrawn: float = parameter(0.0, unit="fraction of depth", low=0, high=1, help="that leaves during the move")
    withdrawn_after: float = parameter(420.0, unit="s", low=0, help="end of the move to the return of that depth")

    def problems(self) -> list[str]:
        found = problems_of(self)
        if found:
            return found
        for name in ("size", "fall_seconds", "gap_share", "rebound", "rebound_seconds"):
            low, high = getattr(self, f"{name}_low"), getattr(self, f"{name}_high")
            if low > high:
                found.append(f"{name}_low must not exceed {name}_high ({high:g}), was {low:g}")
        return found

    def drawn(self, seed: int, place: int = 0) -> tuple[Shock, ...]:
        """Return the crash of a seed, and the withdrawal of depth where there is one.

        Parameters
        ----------
        seed : int
            Of the run.
        place : int
            Position among the shocks of the scenario; different places draw independently.
        """
        key = stream_key(seed, "shock.crash")
        size, fall = uniforms(key, 0, place, 0)
        gap, gap_after = uniforms(key, 0, place, 1)
        rebound, rebound_seconds = uniforms(key, 0, place, 2)
        start, direction = uniforms(key, 0, place, 3)
        sign = 1.0 if direction < self.up_share else -1.0
        seconds = truncated_pareto(fall, self.fall_seconds_low, self.fall_seconds_high, 0.0)
        crash = DrawnCrash(
            at=self.at + start * self.start_range, instrument=self.instrument,
            size=sign * truncated_pareto(size, self.size_low, self.size_high, self.size_exponent), ramp_seconds=seconds,
            rebound=self.rebound_low + rebound * (self.rebound_high - self.rebound_low),
            rebound_seconds=truncated_pareto(rebound_seconds, self.rebound_seconds_low, self.rebound_seconds_high, 0.0),
            gap_share=self.gap_share_low + gap * (self.gap_share_high - self.gap_share_low),
            gap_after=gap_after * seconds,
        )
        if self.withdrawn == 0.0:
            return (crash,)
        gone = DepthWithdrawal(at=crash.at, instrument=self.instrument, fraction=self.withdrawn,
                               duration=seconds + self.withdrawn_after)
        return crash, gone


def drawn_shocks(shocks: Sequence[Shock], seed: int) -> tuple[Shock, ...]:
    """Return the shocks of a run: random ones as `seed` draws them, the others as they are."""
    found: list[Shock] = []
    for place, shock in enumerate(shocks):
        found += shock.drawn(seed, place) if isinstance(shock, RandomCrash) else (shock,)
    return tuple(found)


def truncated_pareto(u: float, low: float, high: float, exponent: float) -> float:
    """Return the quantile `u` of the density ``x^(-1 - exponent)`` on [low, high]; log-uniform at exponent 0."""
    ratio = high / low
    if exponent == 0.0:
        return low * ratio**u
    return low * (1.0 - u * (1.0 - ratio**-exponent)) ** (-1.0 / exponent)
