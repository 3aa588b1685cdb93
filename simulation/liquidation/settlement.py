"""Stage 6 for liquidations: fee, deficit, insurance fund, auto-deleveraging, closing of the account."""

from spirals.simulation.accounts.ledger import apply_fill, equity_of, to_atoms
from spirals.simulation.kernel import kernel
from spirals.simulation.liquidation.auto_deleveraging import deleverage
from spirals.simulation.liquidation.close_out import isolated_equity
from spirals.simulation.state import FUND_ROW, Cause, Mode, Status

__all__ = ["settle_liquidations"]

CAUSE_LIQUIDATION = Cause.LIQUIDATION
MODE_ISOLATED = Mode.ISOLATED
STATUS_CLOSED = Status.CLOSED


@kernel
def settle_liquidations(trades, liquidations, n_liquidations, accounts, positions, record, contracts, requirement,
                        fee_rate, adl_on, step, round_, work_record, work_score, work_rows,
                        out_adl, out_steps, out_totals):
    """Run the waterfall for every liquidation order of this round, in the order they were sent.

    Parameters
    ----------
    work_record : ndarray of shape (n_accounts, n_instruments), int64
        Scratch of -1, restored on exit.
    out_steps, out_totals : STEP rows of the instruments, STEP_TOTAL of shape (1,)
        Modified in place.

    Returns
    -------
    int
        Number of ADL records written to `out_adl`.
    """
    out_total = out_totals[0]
    for k in range(n_liquidations):
        work_record[liquidations[k]["account"], liquidations[k]["instrument"]] = k
    for t in range(len(trades)):
        trade = trades[t]
        if trade["taker_cause"] == CAUSE_LIQUIDATION:
            k = work_record[trade["taker"], trade["instrument"]]
            contract = contracts[trade["instrument"]]
            liquidations[k]["filled_lots"] += trade["lots"] * trade["side"]
            value = trade["lots"] * (trade["price_ticks"] * contract["atoms_per_tick_lot"])
            liquidations[k]["notional"] += value * contract["atom"]
    n_adl = 0
    for k in range(n_liquidations):
        row = liquidations[k]
        a = row["account"]
        i = row["instrument"]
        work_record[a, i] = -1
        before = n_adl
        _charge_fee(row, accounts, positions, record, contracts, fee_rate)
        deficit, n_adl = _absorb(a, i, accounts, positions, record, contracts, requirement, adl_on, step, round_,
                                 work_score, work_rows, out_adl, n_adl)
        for r in range(before, n_adl):
            out_steps[i]["adl_lots"] += abs(out_adl[r]["lots"])
        out_total["adl_events"] += n_adl - before
        row["bad_debt"] = deficit * contracts[i]["atom"]
        accounts[a]["bad_debt"] += deficit
        out_total["bad_debt"] += row["bad_debt"]
        _close_if_flat(accounts[a], positions[a])
    return n_adl


@kernel
def _charge_fee(row, accounts, positions, record, contracts, fee_rate):
    """Move the liquidation fee to the fund, at most what the account has left."""
    a = row["account"]
    account = accounts[a]
    contract = contracts[row["instrument"]]
    left = equity_of(account, positions[a], record, contracts)
    if account["mode"] == MODE_ISOLATED:
        # Only what is left of the position's own collateral: the rest of the wallet is not liable.
        at_mark = abs(row["filled_lots"]) * row["mark"] * contract["lot_size"]
        slippage = at_mark - row["notional"] if row["filled_lots"] < 0 else row["notional"] - at_mark
        left = min(to_atoms((row["equity"] - slippage) / contract["atom"]), account["cash"])
    fee = min(to_atoms(row["notional"] * fee_rate / contract["atom"]), max(left, 0))
    account["cash"] -= fee
    accounts[FUND_ROW]["cash"] += fee
    row["fee"] = fee * contract["atom"]


@kernel
def _absorb(a, i, accounts, positions, record, contracts, requirement, adl_on, step, round_,
            work_score, work_rows, out_adl, n_adl):
    """Cover a deficit or take over what the book could not; return gross deficit [atoms], ADL rows."""
    account = accounts[a]
    position = positions[a, i]
    isolated = account["mode"] == MODE_ISOLATED
    deficit = 0
    if position["lots"] != 0:
        mark = record[i]["mark"]
        equity = isolated_equity(position, mark, contracts[i]) if isolated else equity_of(
            account, positions[a], record, contracts)
        if equity + max(accounts[FUND_ROW]["cash"], 0) >= 0:
            return 0, n_adl  # still covered: the engine tries again in the next round or step
        deficit = -equity
        # At this value the account ends with exactly zero: the bankruptcy price.
        value = equity - to_atoms(position["lots"] * (mark * contracts[i]["lot_value"]))
        if adl_on:
            n_adl = deleverage(a, i, value, accounts, positions, record, contracts, requirement, step, round_,
                               work_score, work_rows, out_adl, n_adl)
        else:
            lots = position["lots"]
            rates = requirement[i, 0]
            apply_fill(account, position, -lots, value, rates["initial_rate"], rates["maintenance_rate"])
            apply_fill(accounts[FUND_ROW], positions[FUND_ROW, i], lots, -value, rates["initial_rate"],
                       rates["maintenance_rate"])
    if isolated:
        short = max(-position["collateral"], 0) if position["lots"] == 0 else 0
        position["collateral"] += short
    else:
        short = max(-account["cash"], 0) if _flat(positions[a]) else 0
        account["cash"] += short
    accounts[FUND_ROW]["cash"] -= short
    return deficit + short, n_adl


@kernel
def _flat(positions):
    for i in range(len(positions)):
        if positions[i]["lots"] != 0:
            return False
    return True


@kernel
def _close_if_flat(account, positions):
    """End the liquidation of an account without positions; it may trade again after a deposit."""
    if _flat(positions):
        account["status"] = STATUS_CLOSED
        account["event"] = -1
        account["call_step"] = -1
