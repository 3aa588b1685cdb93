"""Ledger arithmetic: fills, fees, transfers; exact in integer atoms.

Identity kept by every function: ``cash + collateral - cost`` of an account changes by minus the
signed value of the lots it buys, so that a trade between two rows leaves the total unchanged:

    sum(lots) = 0 per instrument
    sum(cash) + sum(collateral) - sum(cost) = sum(deposits) - sum(withdrawals)
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.errors import ConservationError
from spirals.simulation.kernel import inlined, lean
from spirals.simulation.state import FEES_ROW, Cause, Mode, Status

__all__ = ["apply_fill", "check_identities", "equity_of", "settle_trades", "to_atoms"]

MODE_ISOLATED = Mode.ISOLATED
CAUSE_LIQUIDATION = Cause.LIQUIDATION
STATUS_LIQUIDATING = Status.LIQUIDATING


@inlined
def to_atoms(value):
    """Round an amount in atoms to the nearest integer, halves up."""
    return int(math.floor(value + 0.5))


@lean
def apply_fill(account, position, signed_lots, value, initial_rate, maintenance_rate):
    """Book `signed_lots` bought (+) or sold (-) for the signed `value` [atoms] (same sign).

    Closing lots realise profit against their share of the cost; opening lots add to the cost. In
    isolated mode profit goes to the position's collateral, opening lots set initial margin aside
    from the wallet and closing lots release their share of the collateral. Rows modified in place.
    """
    held = position["lots"]
    opening = signed_lots
    opening_value = value
    if held != 0 and (held > 0) != (signed_lots > 0):
        opening, opening_value = _close(account, position, signed_lots, value)
        held = position["lots"]
    if opening != 0:
        weight = abs(opening) / float(abs(held) + abs(opening))
        position["entry_rate"] += weight * (maintenance_rate - position["entry_rate"])
        position["lots"] = held + opening
        position["cost"] += opening_value
        if account["mode"] == MODE_ISOLATED:
            aside = min(max(account["cash"], 0), to_atoms(initial_rate * abs(opening_value)))
            account["cash"] -= aside
            position["collateral"] += aside


@inlined
def _close(account, position, signed_lots, value):
    """Close against the held lots; return the lots and value left over for opening."""
    held = position["lots"]
    closing = min(abs(signed_lots), abs(held))
    if closing == abs(signed_lots):
        closing_value = value
    else:
        closing_value = to_atoms(value * (closing / float(abs(signed_lots))))
    if closing == abs(held):
        closed_cost = position["cost"]
        released_share = 1.0
    else:
        released_share = closing / float(abs(held))
        closed_cost = to_atoms(position["cost"] * released_share)
    realised = -closing_value - closed_cost
    signed_closing = closing if signed_lots > 0 else -closing
    position["lots"] = held + signed_closing
    position["cost"] -= closed_cost
    position["realised_pnl"] += realised
    if account["mode"] == MODE_ISOLATED:
        # What the closed lots leave of their share of the collateral. A loss beyond the collateral stays on
        # the position: the waterfall, not the wallet, bears it. A position in liquidation keeps everything.
        released = max(position["collateral"] + realised, 0)
        if closing != abs(held):
            released = max(to_atoms(position["collateral"] * released_share) + realised, 0)
            if account["status"] == STATUS_LIQUIDATING:
                released = 0
        position["collateral"] += realised
        position["collateral"] -= released
        account["cash"] += released
    else:
        account["cash"] += realised
    return signed_lots - signed_closing, value - closing_value


@lean
def settle_trades(trades, accounts, positions, contracts, requirement, out_steps):
    """Settle book trades: value, fees, and the executed lots and notional by cause.

    Liquidation orders pay the liquidation fee of the waterfall instead of the taker fee.
    `out_steps` is the STEP row of every instrument, modified in place.
    """
    for k in range(len(trades)):
        trade = trades[k]
        instrument = trade["instrument"]
        contract = contracts[instrument]
        lots = trade["lots"]
        value = lots * (trade["price_ticks"] * contract["atoms_per_tick_lot"])
        taker_lots = lots * trade["side"]
        taker_value = value * trade["side"]
        initial_rate = requirement[instrument, 0]["initial_rate"]
        maintenance_rate = requirement[instrument, 0]["maintenance_rate"]
        taker = trade["taker"]
        maker = trade["maker"]
        if trade["taker_cause"] != CAUSE_LIQUIDATION:
            _pay_fee(accounts, taker, to_atoms(value * contract["taker_fee_rate"]))
        _pay_fee(accounts, maker, to_atoms(value * contract["maker_fee_rate"]))
        apply_fill(accounts[taker], positions[taker, instrument], taker_lots, taker_value,
                   initial_rate, maintenance_rate)
        apply_fill(accounts[maker], positions[maker, instrument], -taker_lots, -taker_value,
                   initial_rate, maintenance_rate)
        step = out_steps[instrument]
        step["traded_lots"] += lots
        buyer_cause = trade["taker_cause"] if trade["side"] > 0 else trade["maker_cause"]
        seller_cause = trade["maker_cause"] if trade["side"] > 0 else trade["taker_cause"]
        notional = value * contract["atom"]
        step["bought_lots"][buyer_cause] += lots
        step["bought_notional"][buyer_cause] += notional
        step["sold_lots"][seller_cause] += lots
        step["sold_notional"][seller_cause] += notional
    return len(trades)


@inlined
def _pay_fee(accounts, payer, fee):
    accounts[payer]["cash"] -= fee
    accounts[payer]["fees"] += fee
    accounts[FEES_ROW]["cash"] += fee


@inlined
def equity_of(account, positions, record, contracts):
    """Return wallet + collateral + unrealised profit at the mark [atoms] of one account row."""
    equity = account["cash"]
    for instrument in range(len(positions)):
        position = positions[instrument]
        equity += position["collateral"]
        if position["lots"] != 0:
            equity += to_atoms(position["lots"] * (record[instrument]["mark"] * contracts[instrument]["lot_value"]))
        equity -= position["cost"]
    return equity


def check_identities(accounts: NDArray[Any], positions: NDArray[Any]) -> None:
    """Raise :class:`ConservationError` unless positions and money balance exactly."""
    lots = positions["lots"].sum(axis=0)
    if np.any(lots != 0):
        raise ConservationError(f"positions must sum to zero in every instrument, sums were {lots.tolist()} lots")
    held = int(accounts["cash"].sum()) + int(positions["collateral"].sum()) - int(positions["cost"].sum())
    owed = int(accounts["deposits"].sum()) - int(accounts["withdrawals"].sum())
    if held != owed:
        raise ConservationError(f"money must equal deposits less withdrawals: {held} != {owed} atoms")
