"""Open loop: edges of the loop that are cut, and read what a twin recorded instead.

A channel that is switched off is not frozen at its opening value, which would also remove its response to the
outside shock: its reader sees the series that the twin without impact of forced orders (T1) has recorded. Everything
that the shock does through the channel stays; what the venue's own forced flow adds through it is gone.

==========  ==========================================================================================================
channel     edge that is cut
==========  ==========================================================================================================
mark        mid to mark, as accounts and agents read it: equity, margin calls, stops (the loss spiral)
margin      mid to volatility to margin: the volatility that the policy reads (the margin spiral)
depth       mid to volatility to depth: the volatility that makers, background and traders read
index       mid to index: what the outside price keeps of the venue's impact (and with it the oracle)
funding     basis to funding rate
hedge       auto-deleveraging to hedges to the book: the orders that restore stripped hedges move no price
==========  ==========================================================================================================

The mark that is recorded, the book and the execution of liquidations always stay the run's own, so with every channel
cut what is left is the *direct* impact of the forced sales that the shock alone sets off.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.market.view import MarketState

if TYPE_CHECKING:
    from spirals.simulation.market.market import Market

__all__ = ["CHANNELS", "TAPE", "ClosedLoop", "OpenLoop", "Taping"]

CHANNELS = {
    "mark": "equity, margin calls and stops follow the mark that forced sales move (loss spiral)",
    "margin": "the volatility that the margin policy reads follows it (margin spiral)",
    "depth": "the volatility at which makers and background withdraw follows it",
    "index": "the outside price keeps part of the venue's impact",
    "funding": "the funding rate follows the basis that forced sales make",
    "hedge": "hedges lost to auto-deleveraging are restored through the book",
}

TAPE = np.dtype([                    # one row per step and instrument, of the twin
    ("offset", "f8"),                # [log price] permanent impact on the index
    ("mark", "f8"),                  # [quote] in stage 1, before trading
    ("closing_mark", "f8"),          # [quote] after trading
    ("volatility", "f8"),            # [per sqrt day]
    ("stressed_volatility", "f8"),   # [per sqrt day]
    ("funding_rate", "f8"),          # [fraction per interval]
])


class ClosedLoop:
    """Every edge as it is: all read the market itself.

    Attributes
    ----------
    seen : ndarray of shape (n_instruments,), MARKET
        What accounts and agents read.
    """

    seen: NDArray[Any]

    def attach(self, market: "Market") -> None:
        """Begin with a market at its opening."""
        self.market = market
        self.seen = market.record

    def before(self, step: int) -> None:
        """Prepare stage 1 of `step`."""

    def advanced(self, step: int) -> MarketState:
        """Follow stage 1; return the market that the margin policy reads."""
        return self.market.state

    def traded(self, step: int) -> None:
        """Follow a round of trading."""


class Taping(ClosedLoop):
    """A closed loop that keeps a tape of what open loops read.

    Attributes
    ----------
    tape : ndarray of shape (n_steps + 1, n_instruments), TAPE
    """

    def attach(self, market: "Market") -> None:
        super().attach(market)
        self.tape = np.zeros((market.n_steps + 1, len(market.record)), TAPE)
        self.advanced(0)

    def advanced(self, step: int) -> MarketState:
        row, record = self.tape[step], self.market.record
        row["offset"] = self.market.index_offset
        row["mark"] = record["mark"]
        for name in ("volatility", "stressed_volatility", "funding_rate"):
            row[name] = record[name]
        return self.market.state

    def traded(self, step: int) -> None:
        self.tape[step]["closing_mark"] = self.market.record["mark"]


class OpenLoop(ClosedLoop):
    """A loop with some channels cut.

    Parameters
    ----------
    tape : ndarray of shape (n_steps + 1, n_instruments), TAPE
        Of the twin; same set-up, same seed.
    cut : sequence of str
        Channels of :data:`CHANNELS` that are switched off. "hedge" is a switch of the engine, not an edge of the
        market: it has no effect here.

    Raises
    ------
    ValueError
        A channel that does not exist.
    """

    def __init__(self, tape: NDArray[Any], cut: Sequence[str]) -> None:
        unknown = sorted(set(cut) - set(CHANNELS))
        if unknown:
            raise ValueError(f"channels must be among {', '.join(CHANNELS)}, had {', '.join(unknown)}")
        self.tape = tape
        self.cut = frozenset(cut)

    def attach(self, market: "Market") -> None:
        if self.tape.shape != (market.n_steps + 1, len(market.record)):
            raise ValueError(f"the tape has {self.tape.shape} steps and instruments, the run "
                             f"{(market.n_steps + 1, len(market.record))}")
        super().attach(market)
        if "index" in self.cut:
            market.drive_index()
        if self.cut & {"mark", "depth"}:
            self.seen = market.record.copy()
        policy_record = market.record.copy() if "margin" in self.cut else market.record
        self.policy_market = MarketState(policy_record, market.step_seconds)

    def before(self, step: int) -> None:
        if "index" in self.cut:
            self.market.index_offset = self.tape[step]["offset"]

    def advanced(self, step: int) -> MarketState:
        row, record = self.tape[step], self.market.record
        if "funding" in self.cut:
            record["funding_rate"] = row["funding_rate"]
            self.market.remark()   # some marks carry the rate
        self._see(row["mark"], row)
        policy = self.policy_market
        policy.step = step
        if "margin" in self.cut:
            np.copyto(policy.record, record)
            policy.record["volatility"] = row["volatility"]
            policy.record["stressed_volatility"] = row["stressed_volatility"]
        return policy

    def traded(self, step: int) -> None:
        self._see(self.tape[step]["closing_mark"], self.tape[step])

    def _see(self, mark: NDArray[np.float64], row: NDArray[Any]) -> None:
        """Renew what accounts and agents read."""
        if self.seen is self.market.record:
            return
        np.copyto(self.seen, self.market.record)
        if "mark" in self.cut:
            self.seen["mark"] = mark
        if "depth" in self.cut:
            self.seen["volatility"] = row["volatility"]
