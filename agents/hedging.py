"""Hedges held elsewhere: the outside leg of hedged shorts, makers and basis traders, and its loss.

A hedged position of ``p`` lots carries ``-share * p`` lots outside the venue, bought and sold at the
index and valued there; it follows every trade of its owner and every liquidation. Auto-deleveraging
strips it: the venue closes the position, the outside leg stays. Its owner then restores a share of
what it lost on the venue's book (cause ``adl_hedge``), a slice per step, and unwinds the rest outside:

    outside = -share * p + c,    c = rehedge_share * share * (change of p by auto-deleveraging) - restored

so that nothing is sold twice. Until it is restored, a maker carries the bare part ``c`` as risk: it moves
its quotes like inventory without a hedge and, with `maker_widening`, widens them. Unwinding outside moves no
price here. The outside leg is not on the venue's ledger, so the ledger's identities do not see it.
"""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.agents.orders import write_order
from spirals.agents.rows import HEDGE, HEDGE_RULE
from spirals.simulation.kernel import inlined, lean
from spirals.simulation.parameters import Part, parameter
from spirals.simulation.randomness import uniform
from spirals.simulation.state import BUY, SELL, Cause, OrderKind, Status

__all__ = ["OutsideHedges", "decide_rehedges", "follow_outside", "hedge_rows", "note_cuts", "note_restored",
           "outside_value", "rehedge_rule"]

ADL_HEDGE = Cause.ADL_HEDGE
IOC = OrderKind.IOC
LIQUIDATING = Status.LIQUIDATING
NO_HEDGE = -1


@dataclasses.dataclass(frozen=True)
class OutsideHedges(Part):
    """Whose positions are hedged outside and what they do when auto-deleveraging strips the hedge.

    Basis traders always carry an outside leg. By default nobody else does.
    """

    shorts: bool = parameter(False, help="the delta-neutral shorts of the population (neutral_share) hold spot outside")
    maker_share: float = parameter(0.0, unit="fraction of inventory", low=0, high=1,
                                   help="of makers, held against it elsewhere [assumption]")
    rehedge_share: float = parameter(0.5, unit="fraction of the hedge lost", low=0, high=1,
                                     help="restored on the venue's book, the rest is unwound outside [assumption]")
    order_share: float = parameter(0.2, unit="x depth within 10 bp", above=0, high=1000,
                                   help="largest order that restores a hedge, per step")
    band: float = parameter(0.02, unit="fraction of the mark", above=0, high=0.5, help="these orders trade no further")
    maker_away_seconds: float = parameter(0.0, unit="s", low=0, high=86400,
                                          help="makers who were cut leave for so long; 0: they stay [assumption]")
    maker_widening: float = parameter(0.0, low=0, high=100,
                                      help="of makers' quotes, while a hedge is lost, per inventory limit without its "
                                           "other leg; 0: they skew only [assumption]")
    latency_us: int = parameter(50_000, unit="us", low=0, high=490_000,
                                help="orders arrive between one and two latencies after the start of the step")

    def rule(self) -> NDArray[Any]:
        """Return the parameters as one HEDGE_RULE row."""
        row = np.zeros(1, HEDGE_RULE)
        row[0] = (self.rehedge_share, self.band, self.latency_us)
        return row


def hedge_rows(
    owners: list[tuple[NDArray[Any], float]], positions: NDArray[Any], record: NDArray[Any],
    contracts: NDArray[Any], slices: list[float],
) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Return HEDGE rows, bought at the opening index, and where each account's is.

    Parameters
    ----------
    owners : list of (rows, share)
        Rows of agents ("account", "instrument") with the share of their position held outside.
    slices : list of float
        [lots] Largest order per instrument.

    Returns
    -------
    hedges : ndarray of HEDGE
    hedge_of : ndarray of shape (n_accounts, n_instruments), int32
        Row of `hedges`, -1 for none.
    """
    hedges = np.zeros(sum(len(rows) for rows, _ in owners), HEDGE)
    hedge_of = np.full(positions.shape, NO_HEDGE, np.int32)
    h = 0
    for rows, share in owners:
        for owner in rows:
            i = int(owner["instrument"])
            hedges[h]["account"], hedges[h]["instrument"], hedges[h]["share"] = owner["account"], i, share
            hedges[h]["slice_lots"] = max(1, int(slices[i]))
            hedge_of[owner["account"], i] = h
            h += 1
    follow_outside(hedges, positions, record, contracts)
    return hedges, hedge_of


@lean
def note_cuts(cuts, rehedge_share, hedge_of, hedges):
    """Note what auto-deleveraging (ADL records `cuts`) took from hedged accounts; return how many were hedged."""
    found = 0
    for k in range(len(cuts)):
        h = hedge_of[cuts[k]["counterparty"], cuts[k]["instrument"]]
        if h >= 0:
            change = -cuts[k]["lots"]  # of the account that was cut
            hedges[h]["cut_lots"] += np.int64(rehedge_share * hedges[h]["share"] * change)
            found += 1
    return found


@lean
def note_restored(orders, n, hedge_of, hedges):
    """Deduct what the orders of this step restored; return how many there were."""
    found = 0
    for k in range(n):
        order = orders[k]
        if order["cause"] == ADL_HEDGE and order["filled_lots"] > 0:
            hedges[hedge_of[order["account"], order["instrument"]]]["cut_lots"] += order["side"] * order["filled_lots"]
            found += 1
    return found


@lean
def follow_outside(hedges, positions, record, contracts):
    """Bring every outside leg to its target (formula: module docstring), at the index."""
    for h in range(len(hedges)):
        hedge = hedges[h]
        i = hedge["instrument"]
        lots = positions[hedge["account"], i]["lots"]
        if lots == 0:
            hedge["cut_lots"] = 0  # closed: nothing is left to hedge, all is unwound
        target = hedge["cut_lots"] - np.int64(hedge["share"] * lots)
        bought = target - hedge["outside_lots"]
        if bought != 0:
            hedge["outside_lots"] = target
            hedge["outside_cash"] -= bought * record[i]["index"] * contracts[i]["lot_size"]
    return len(hedges)


@lean
def tell_makers(first, last, makers, hedge_of, hedges, record, contracts):
    """Tell makers `first` .. `last` - 1 what auto-deleveraging left bare and what their hedges earned, in place."""
    for m in range(first, last):
        atoms = 0.0
        for i in range(hedge_of.shape[1]):
            h = hedge_of[makers[m]["account"], i]
            if h >= 0:
                value = hedges[h]["outside_lots"] * record[i]["index"] * contracts[i]["lot_size"]
                atoms += (value + hedges[h]["outside_cash"]) / contracts[i]["atom"]
                if makers[m]["instrument"] == i:
                    makers[m]["bare_lots"] = hedges[h]["cut_lots"]
        makers[m]["outside_profit"] = np.int64(atoms)
    return last


@lean
def decide_rehedges(
    first, last, rule, owners, origin, hedges, hedge_of, accounts, record, contracts, step, key, orders, n,
):
    """Let owners `first` .. `last` - 1 (rows with "account" and "instrument") restore hedges; return the order rows."""
    for k in range(first, last):
        h = hedge_of[owners[k]["account"], owners[k]["instrument"]]
        if h >= 0 and hedges[h]["cut_lots"] != 0:
            i = hedges[h]["instrument"]
            n = rehedge_rule(rule[0], hedges[h], origin, accounts[hedges[h]["account"]], record[i], contracts[i], step,
                             key, orders, n)
    return n


@inlined
def rehedge_rule(rule, hedge, origin, account, market, contract, step, key, orders, n):
    """Write at most one order that restores a slice of the lost hedge; return the next free row."""
    if account["status"] >= LIQUIDATING:
        return n
    side = SELL if hedge["cut_lots"] > 0 else BUY
    lots = min(abs(hedge["cut_lots"]), hedge["slice_lots"])
    exact = market["mark"] * (1.0 + side * rule["band"]) / contract["tick_size"]
    price = min(max(np.int64(exact + 0.5), 1), contract["n_ticks"] - 1)
    arrival = np.int64(rule["latency"] * (1.0 + uniform(key, step, hedge["account"], hedge["instrument"])))
    write_order(orders[n], IOC, side, price, lots, arrival, hedge["account"], hedge["instrument"], origin, ADL_HEDGE, 0)
    return n + 1


def outside_value(rows: NDArray[Any], record: NDArray[Any], contracts: NDArray[Any], n_accounts: int) -> NDArray[Any]:
    """Return the profit of outside legs at the index [quote], shape (n_accounts,)."""
    value = np.zeros(n_accounts)
    price = (record["index"] * contracts["lot_size"])[rows["instrument"]]
    np.add.at(value, rows["account"], rows["outside_lots"] * price + rows["outside_cash"])
    return value
