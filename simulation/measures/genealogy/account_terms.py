"""Terms of one liquidated account along the run: rate, bankruptcy price with the funding paid, and threshold."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spirals.simulation.measures.record import RunRecord, Series

__all__ = ["FundingPaid", "Terms", "terms_of", "thresholds"]

CHANGE = np.dtype([("account", "i8"), ("step", "i8"), ("round", "i8"), ("lots", "i8")])   # of a position


def thresholds(bankruptcy: ArrayLike, rate: ArrayLike, side: ArrayLike) -> Series:
    """Return the mark at which a position is due: ``b / (1 - side m)`` [quote].

    Parameters
    ----------
    bankruptcy : array_like of float
        [quote]
    rate : array_like of float
        Maintenance rate [fraction of notional], below 1.
    side : array_like of int
        1 long, -1 short.
    """
    return np.asarray(np.asarray(bankruptcy) / (1.0 - np.asarray(side) * np.asarray(rate)), np.float64)


@dataclasses.dataclass(frozen=True)
class Terms:
    """What decides when one account is due.

    Attributes
    ----------
    side : int
        1 long, -1 short.
    rates : ndarray of shape (n_steps + 1,)
        Its maintenance rate [fraction of notional]: the first bracket's, scaled to the one at the trigger.
    bankruptcy : ndarray of shape (n_steps + 1,)
        [quote] Bankruptcy price at the trigger, less what the funding paid up to then had moved it by.
    rate : float
        At the trigger.
    """

    side: int
    rates: Series
    bankruptcy: Series
    rate: float

    @property
    def limits(self) -> Series:
        """Mark at which the account is due, by step [quote]."""
        return np.asarray(self.bankruptcy / (1.0 - self.side * self.rates))


class FundingPaid:
    """Funding of one instrument, and how it moved the bankruptcy price of an account.

    Parameters
    ----------
    record : RunRecord
    phases : ndarray, PHASE
        Of the instrument.
    trades : ndarray, TRADE
        Of the instrument.
    trade_steps : ndarray of shape (n_trades,), int64
    instrument : int
    """

    def __init__(self, record: RunRecord, phases: NDArray[Any], trades: NDArray[Any], trade_steps: NDArray[np.int64],
                 instrument: int) -> None:
        self.steps = np.unique(phases["step"][phases["funding_due"] != 0])   # paid at the end of these
        self.per_unit = (record.price("mark", instrument) * record.price("funding_rate", instrument))[self.steps]
        self._changes = np.zeros(0, CHANGE)
        if len(self.steps):
            cuts = record.adl[record.adl["instrument"] == instrument]
            self._changes = _position_changes(trades, trade_steps, cuts)
            self._starts = np.searchsorted(self._changes["account"], np.arange(len(record.kinds) + 1))

    def bankruptcy(self, price: float, lots: float, row: Any, n: int) -> Series:
        """Return the bankruptcy price by step, `price` from the last payment on [quote], shape (n,).

        A payment takes ``lots mark rate`` from the account, at the lots that it held then: the position at the
        trigger less all that it traded since. That moves the price at which nothing is left by the same sum over
        the position at the trigger, for longs who pay and for shorts who receive alike upwards.

        Parameters
        ----------
        price : float
            [quote] At the trigger.
        lots : float
            Position at the trigger, signed.
        row : LIQUIDATION row
            The account's first order.
        n : int
            Steps of the run, opening included.
        """
        path = np.full(n, price)
        due = np.flatnonzero(self.steps < row["step"])
        if not len(due) or lots == 0.0:
            return path
        account = int(row["account"])
        mine = self._changes[self._starts[account]: self._starts[account + 1]]
        past = (mine["step"] < row["step"]) | ((mine["step"] == row["step"]) & (mine["round"] < row["round"]))
        for k in due:
            held = lots - int(mine["lots"][past & (mine["step"] > self.steps[k])].sum())
            path[: self.steps[k] + 1] -= self.per_unit[k] * held / lots
        return path if float(path.min()) > 0.0 else np.full(n, price)


def terms_of(row: Any, rates: Series, lot_size: float, funding: FundingPaid) -> Terms:
    """Return the terms of an account from the row of its first liquidation order.

    Parameters
    ----------
    row : LIQUIDATION row
    rates : ndarray of shape (n_steps + 1,)
        Maintenance rate of the first bracket.
    lot_size : float
        [base]
    funding : FundingPaid
    """
    price = float(row["bankruptcy_price"])
    gap = (row["mark"] - price) * lot_size
    lots = float(row["equity"] / gap) if gap else 0.0
    rate = float(row["maintenance"] / (abs(lots) * row["mark"] * lot_size)) if lots else 0.0
    now = float(rates[row["step"]])
    scale = rate / now if now > 0.0 and lots else 1.0   # tier and position against the first bracket
    return Terms(-int(np.sign(row["lots"])), rates * scale, funding.bankruptcy(price, lots, row, len(rates)), rate)


def _position_changes(trades: NDArray[Any], steps: NDArray[np.int64], cuts: NDArray[Any]) -> NDArray[Any]:
    """Return what trades and auto-deleveraging did to every account's position, sorted by account."""
    n = len(trades)
    changes = np.zeros(2 * (n + len(cuts)), CHANGE)
    signed = trades["lots"] * trades["side"].astype(np.int64)
    for part, who, sign in ((changes[:n], "taker", 1), (changes[n:2 * n], "maker", -1)):
        part["account"], part["step"], part["round"] = trades[who], steps, trades["round"]
        part["lots"] = sign * signed
    half = 2 * n + len(cuts)
    for part, who, sign in ((changes[2 * n:half], "account", 1), (changes[half:], "counterparty", -1)):
        part["account"], part["step"], part["round"], part["lots"] = (
            cuts[who], cuts["step"], cuts["round"], sign * cuts["lots"])
    return changes[np.argsort(changes["account"], kind="stable")]
