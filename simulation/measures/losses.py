"""Losses: what the bankrupt left unpaid, who covered it, and who gained or lost in the run."""

import dataclasses
import math

import numpy as np

from spirals.simulation.measures.record import RunRecord
from spirals.simulation.state import Kind

__all__ = ["CLASSES", "AutoDeleveraging", "Losses", "auto_deleveraging", "losses", "pnl_by_class"]

CLASSES = (
    "trader_long", "trader_short", "trader_flat", "maker", "background", "liquidator", "arbitrageur",
    "warehouse", "fund", "fees", "user", "basis_trader",
)
MARGINED = (Kind.TRADER, Kind.MAKER, Kind.ARBITRAGEUR, Kind.USER)


@dataclasses.dataclass(frozen=True)
class Losses:
    """Bad debt and who bore it [quote].

    Attributes
    ----------
    bad_debt_gross : float
        Negative equity of accounts at their close, before any fund; non-negative (to rounding, as
        what the fund had advanced is taken off again when a position recovers).
    negative_equity_end : float
        Negative equity of accounts that are open at the end: bad debt to come, all of it in twin T3.
    bad_debt_net : float
        Gross bad debt less the liquidation fees taken from accounts closed with something left:
        negative when liquidations earned more than bankruptcies cost.
    fund_change : float
        Closing less opening cash of the insurance fund; positive when it grew.
    fund_draw : float
        Opening cash less the lowest cash of the fund during the run, at least 0.
    uncovered : float
        What neither fund nor auto-deleveraging covered.
    """

    bad_debt_gross: float
    negative_equity_end: float
    bad_debt_net: float
    fund_change: float
    fund_draw: float
    uncovered: float


@dataclasses.dataclass(frozen=True)
class AutoDeleveraging:
    """Positions cut on the other side.

    Attributes
    ----------
    events, accounts : int
        Bankrupt accounts' events that led to cuts; distinct accounts that were cut.
    lots : int
        Cut on one side.
    notional : float
        [quote] at the bankruptcy price.
    excess_haircut : float
        [quote] what those who were cut received less than at the mark; negative when the bankruptcy
        price was better for them.
    onset_seconds : float
        [s] from the first liquidation to the first cut; NaN without cuts or without liquidations.
    """

    events: int
    accounts: int
    lots: int
    notional: float
    excess_haircut: float
    onset_seconds: float


def losses(record: RunRecord) -> Losses:
    """Return bad debt gross and net, the change of the insurance fund, and what stayed uncovered."""
    totals = record.totals
    gross = math.fsum(totals["bad_debt"])
    fund = totals["fund"]
    return Losses(
        bad_debt_gross=gross,
        negative_equity_end=math.fsum(np.maximum(-record.closing_equity[np.isin(record.kinds, MARGINED)], 0.0)),
        bad_debt_net=gross - math.fsum(record.liquidations["fee"]),
        fund_change=float(fund[-1] - fund[0]),
        fund_draw=float(fund[0] - fund.min()),
        uncovered=float(totals["uncovered"][-1]),
    )


def auto_deleveraging(record: RunRecord) -> AutoDeleveraging:
    """Return size, cost and onset of auto-deleveraging.

    A counterparty of a bankrupt account whose position changes by `lots` trades ``-lots`` at the
    bankruptcy price; against the mark it loses ``-lots * (price - mark)`` per unit.
    """
    rows = record.adl
    size = rows["lots"] * record.lot_sizes[rows["instrument"]]
    liquidated = record.liquidations["step"]
    onset = math.nan
    if len(rows) and len(liquidated):
        onset = float(rows["step"].min() - liquidated.min()) * record.step_seconds
    return AutoDeleveraging(
        events=len(np.unique(rows["event"])),
        accounts=len(np.unique(rows["counterparty"])),
        lots=int(np.abs(rows["lots"]).sum()),
        notional=math.fsum(np.abs(size) * rows["price"]),
        excess_haircut=math.fsum(-size * (rows["price"] - rows["mark"])),
        onset_seconds=onset,
    )


def pnl_by_class(record: RunRecord) -> dict[str, float]:
    """Return profit and loss of each class of participant [quote]; the classes sum to zero.

    Profit is closing equity less opening equity less net deposits, all at the mark. Traders are split
    by the side of their opening position in the first instrument.
    """
    profit = record.closing_equity - record.opening_equity - record.deposits
    trader = record.kinds == Kind.TRADER
    members = {
        "trader_long": trader & (record.opening_side > 0),
        "trader_short": trader & (record.opening_side < 0),
        "trader_flat": trader & (record.opening_side == 0),
    }
    for kind, name in enumerate(Kind.names):
        members.setdefault(name, record.kinds == kind)
    return {name: math.fsum(profit[members[name]]) for name in CLASSES}
