"""Tiered margin: larger positions need more, in brackets of notional with deductions.

Formula, for a notional N in bracket n::

    margin(N) = N * rate_n - deduction_n,   deduction_n = deduction_{n-1} + floor_n * (rate_n - rate_{n-1})

so that it is continuous at the borders. Static in time: elasticity to volatility 0.
Source: the notional and leverage brackets of Binance USDS-M futures, venue documentation.
Simplification: the venue caps the leverage of the *whole* position at the bracket's; here the initial
margin is the marginal one, continuous like the maintenance margin, and the last bracket has no upper end.
"""

import dataclasses
import math
from itertools import pairwise
from typing import Any

import numpy as np

from spirals.simulation.margin.policy import MarginPolicy
from spirals.simulation.margin.requirement import MarginRequirement
from spirals.simulation.market.view import MarketState
from spirals.simulation.parameters import parameter

__all__ = ["BINANCE_BTCUSDT_2024_10_24", "Tiered"]

BINANCE_BTCUSDT_2024_10_24 = (
    (0.0, 1 / 125, 0.004),
    (50e3, 1 / 100, 0.005),
    (600e3, 1 / 75, 0.0065),
    (3e6, 1 / 50, 0.01),
    (12e6, 1 / 25, 0.02),
    (70e6, 1 / 20, 0.025),
    (100e6, 1 / 10, 0.05),
    (230e6, 1 / 5, 0.10),
    (480e6, 1 / 4, 0.125),
    (600e6, 1 / 3, 0.15),
    (800e6, 1 / 2, 0.25),
    (1.2e9, 1.0, 0.50),
)
"""Binance BTCUSDT perpetual as of 24 October 2024: (floor [USDT], 1 / largest leverage, maintenance rate).

The figures are facts read from the dated leverage-tier data in the freqtrade repository, commit 3d9514d26.
"""


@dataclasses.dataclass(frozen=True)
class Tiered(MarginPolicy):
    """Rates by bracket of notional, the same brackets for every instrument; constant in time.

    Examples
    --------
    >>> from spirals.simulation.margin.requirement import requirement_of
    >>> from spirals.simulation.market.view import MarketState
    >>> policy, market = Tiered(), MarketState.constant()
    >>> state, requirement = policy.update(policy.start(market), market)
    >>> maintenance = requirement_of(1e6, requirement.table()[0])[1]
    >>> round(maintenance, 6)   # 50k at 0.4 %, 550k at 0.5 %, 400k at 0.65 %
    5550.0
    """

    brackets: tuple[tuple[float, float, float], ...] = parameter(
        BINANCE_BTCUSDT_2024_10_24,
        unit="quote, fraction, fraction",
        help="list of [floor of notional, initial rate, maintenance rate], floors increasing from 0",
    )

    monotone_in_volatility = True

    def __post_init__(self) -> None:
        if isinstance(self.brackets, list | tuple | np.ndarray):
            object.__setattr__(self, "brackets", tuple(_row(row) for row in self.brackets))
        super().__post_init__()

    def problems(self) -> list[str]:
        rows = self.brackets
        if not isinstance(rows, tuple) or not rows or not all(_is_bracket(row) for row in rows):
            return [f"brackets must be a list of [floor, initial_rate, maintenance_rate], was {rows!r}"]
        found = []
        floors = [row[0] for row in rows]
        if floors[0] != 0 or any(high <= low for low, high in pairwise(floors)):
            found.append(f"brackets must have floors increasing from 0 quote, was {floors}")
        for floor, initial, maintenance in rows:
            if not 0 < maintenance <= initial <= 1:
                found.append(f"brackets must have 0 < maintenance rate <= initial rate <= 1, "
                             f"was {maintenance!r} and {initial!r} at floor {floor:g}")
        return found

    def start(self, market: MarketState) -> MarginRequirement:
        floors, initial, maintenance = (
            np.repeat([column], market.n_instruments, axis=0) for column in zip(*self.brackets, strict=True)
        )
        return MarginRequirement(initial, maintenance, floors)

    def update(self, state: MarginRequirement, market: MarketState) -> tuple[MarginRequirement, MarginRequirement]:
        return state, state


def _row(row: Any) -> Any:
    if isinstance(row, np.ndarray):
        row = row.tolist()
    return tuple(row) if isinstance(row, list) else row


def _is_bracket(row: Any) -> bool:
    return (
        isinstance(row, tuple)
        and len(row) == 3
        and all(isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x) for x in row)
    )
