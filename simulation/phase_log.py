"""Phase log: the prices after every phase of every step, for those who ask what crossed a threshold.

A step has one phase before trading (stage 1: outside price, index, oracle, mark) and one per round of trading. The
step records keep the last phase only.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.market.view import MarketState
from spirals.simulation.open_loop import Taping
from spirals.simulation.recorder import Table

if TYPE_CHECKING:
    from spirals.simulation.market.market import Market

__all__ = ["BEFORE_TRADING", "PHASE", "PhaseLog"]

BEFORE_TRADING = -1
PHASE = np.dtype([                  # one row per step, phase and instrument
    ("step", "i4"), ("round", "i4"),   # round of trading, -1 before it
    ("instrument", "i4"),
    ("funding_due", "i4"),          # 1: funding is paid at the end of this step
    ("mark", "f8"),                 # [quote] after the phase
    ("exogenous", "f8"),            # [quote]
])


class PhaseLog(Taping):
    """A closed loop that keeps every phase, and the tape as well.

    Attributes
    ----------
    table : Table
        Rows of PHASE in order of time; every instrument has one row per phase.
    """

    def attach(self, market: "Market") -> None:
        self.table = Table(PHASE)
        self._round = 0
        super().attach(market)

    def advanced(self, step: int) -> MarketState:
        self._keep(step, BEFORE_TRADING)
        self._round = 0
        return super().advanced(step)

    def traded(self, step: int) -> None:
        self._keep(step, self._round)
        self._round += 1
        super().traded(step)

    @property
    def phases(self) -> NDArray[Any]:
        """The rows written so far."""
        return self.table.rows

    def _keep(self, step: int, round_: int) -> None:
        record = self.market.record
        rows = self.table.reserve(len(record))[: len(record)]
        rows["step"], rows["round"] = step, round_
        rows["instrument"] = np.arange(len(record))
        rows["mark"], rows["exogenous"] = record["mark"], record["exogenous"]
        rows["funding_due"] = self.market.funding_due
        self.table.commit(len(record))
