"""Forced trades of one instrument: per step, and per phase for each liquidation event."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.measures.genealogy.family_tree import NO_PARENT
from spirals.simulation.measures.record import RunRecord, Series
from spirals.simulation.state import Cause

__all__ = ["ForcedTrades", "first_orders", "notional_of"]

FORCED = (Cause.CALL_RESPONSE, Cause.LEVERAGE_TARGET, Cause.STOP_LOSS, Cause.ADL_HEDGE)


def first_orders(record: RunRecord) -> NDArray[Any]:
    """Return the first order of every liquidation event, in order of time."""
    rows = record.liquidations
    _, first = np.unique(rows["event"], return_index=True)
    return np.asarray(rows[np.sort(first)])


def notional_of(record: RunRecord, events: NDArray[np.int64]) -> Series:
    """Return what was executed for each event, all its orders together [quote]."""
    notional = np.zeros(int(record.liquidations["event"].max(initial=-1)) + 1)
    np.add.at(notional, record.liquidations["event"], record.liquidations["notional"])
    return np.asarray(notional[events])


class ForcedTrades:
    """Forced trades of one instrument: per step, and per step and round for each liquidation event."""

    def __init__(self, trades: NDArray[Any], steps: NDArray[np.int64], record: RunRecord, instrument: int) -> None:
        one = record.instruments[instrument]
        liquidating = trades["taker_cause"] == Cause.LIQUIDATION
        forced = liquidating | np.isin(trades["taker_cause"], FORCED)
        lots = trades["lots"] * trades["side"].astype(np.float64)
        notional = lots * trades["price_ticks"] * one.tick_size * one.lot_size
        self.per_step: Series = np.zeros(len(record.steps))
        np.add.at(self.per_step, steps[forced], notional[forced])
        self.event = trades["taker_event"][liquidating]
        self.step = steps[liquidating]
        self.round = trades["round"][liquidating]
        self.notional = notional[liquidating]
        other = forced & ~liquidating
        self.other_step, self.other_round, self.other_notional = steps[other], trades["round"][other], notional[other]

    def mover(self, step: int, round_: int, sign: int) -> int:
        """Return the event that traded most in a phase in the direction `sign`; -1 when none did."""
        here = (self.step == step) & (self.round == round_) & (np.sign(self.notional) == sign)
        if not here.any():
            return NO_PARENT
        events, place = np.unique(self.event[here], return_inverse=True)
        return int(events[np.bincount(place, np.abs(self.notional[here])).argmax()])
