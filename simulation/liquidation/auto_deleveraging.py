"""Auto-deleveraging: the other side of a bankrupt position is cut, most profitable and levered first.

Rank: profit (as a fraction of the cost of the position) times effective leverage, much as the
documentation of Binance (article 360033525471), BitMEX (auto-deleveraging) and Bybit (help, 5 November
2025) describes. The lots change hands at the bankruptcy price, without a fee and without touching the book.
"""

import math

import numpy as np

from spirals.simulation.accounts.ledger import apply_fill, equity_of, to_atoms
from spirals.simulation.kernel import kernel
from spirals.simulation.liquidation.close_out import isolated_equity
from spirals.simulation.state import FUND_ROW, Mode

__all__ = ["deleverage"]

MODE_ISOLATED = Mode.ISOLATED


@kernel
def rank_score(account, position, mark, contract):
    """Return profit x effective leverage of a position; losing positions rank below all winners."""
    value = position["lots"] * (mark * contract["lot_value"])
    profit = value - position["cost"]
    notional = abs(value)
    equity = account["equity"]
    if account["mode"] == MODE_ISOLATED:
        equity = position["collateral"] + to_atoms(profit)
    leverage = notional / max(float(equity), 1.0)
    if account["margined"] == 0:
        leverage = 1.0  # no collateral of its own on the venue: as if fully funded
    paid = max(abs(float(position["cost"])), 1.0)
    if profit > 0.0:
        return (profit / paid) * leverage
    return (profit / paid) / max(leverage, 1e-9)


@kernel
def deleverage(bankrupt, instrument, value, accounts, positions, record, contracts, requirement, step, round_,
               work_score, work_rows, out_adl, n_adl, exempt_last=False):
    """Close the position of row `bankrupt` against ranked opposite accounts for `value` [atoms].

    `value` is signed like the lots that the bankrupt account buys; it is spread over the
    counterparties by lots, the last one taking the rounding. A margined counterparty is passed over
    when the price would bankrupt it; what nobody can take goes to the insurance fund's own row. An exempt
    account has no margin, so that its leverage means little: with `exempt_last` it is cut after all others.

    Returns
    -------
    int
        Number of ADL records in use.
    """
    position = positions[bankrupt, instrument]
    contract = contracts[instrument]
    mark = record[instrument]["mark"]
    held = position["lots"]
    candidates = 0
    for a in range(len(accounts)):
        other = positions[a, instrument]["lots"]
        if a != bankrupt and other != 0 and (other > 0) != (held > 0):
            work_score[candidates] = -rank_score(accounts[a], positions[a, instrument], mark, contract)
            if exempt_last and accounts[a]["margined"] == 0:
                work_score[candidates] = math.inf
            work_rows[candidates] = a
            candidates += 1
    order = np.argsort(work_score[:candidates], kind="mergesort")
    price_value = value / float(-held)  # [atoms per lot]
    left = abs(held)
    left_value = value
    for k in range(candidates + 1):
        if left == 0:
            break
        a = FUND_ROW if k == candidates else work_rows[order[k]]
        other = positions[a, instrument]
        lots = left if k == candidates else min(left, abs(other["lots"]))
        if k < candidates and accounts[a]["margined"] == 1:
            gain = (mark * contract["lot_value"] - price_value) * (lots if held > 0 else -lots)
            equity = equity_of(accounts[a], positions[a], record, contracts)
            if accounts[a]["mode"] == MODE_ISOLATED:
                equity = isolated_equity(other, mark, contract)
            if gain < 0.0 and equity + to_atoms(gain) < 0:
                continue
        part = left_value if lots == left else to_atoms(value * (lots / float(abs(held))))
        signed = -lots if held > 0 else lots  # bought by the bankrupt account
        initial_rate = requirement[instrument, 0]["initial_rate"]
        maintenance_rate = requirement[instrument, 0]["maintenance_rate"]
        apply_fill(accounts[bankrupt], position, signed, part, initial_rate, maintenance_rate)
        apply_fill(accounts[a], other, -signed, -part, initial_rate, maintenance_rate)
        row = out_adl[n_adl]
        row["event"] = accounts[bankrupt]["event"]
        row["step"] = step
        row["round"] = round_
        row["account"] = bankrupt
        row["counterparty"] = a
        row["instrument"] = instrument
        row["pad"] = 0
        row["lots"] = signed
        row["price"] = price_value / contract["lot_value"]
        row["mark"] = mark
        n_adl += 1
        left -= lots
        left_value -= part
    return n_adl
