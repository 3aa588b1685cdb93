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
    adl_on : int
        :attr:`LossWaterfall.deleveraging_code`.
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
        recovered = _collect(row, accounts, positions, record, contracts, fee_rate)
        deficit, n_adl = _absorb(row, accounts, positions, record, contracts, requirement, adl_on, step, round_,
                                 work_score, work_rows, out_adl, n_adl)
        for r in range(before, n_adl):
            out_steps[i]["adl_lots"] += abs(out_adl[r]["lots"])
        out_total["adl_events"] += n_adl - before
        row["bad_debt"] = (deficit - recovered) * contracts[i]["atom"]
        accounts[a]["bad_debt"] += deficit - recovered
        out_total["bad_debt"] += row["bad_debt"]
        _close_if_flat(accounts[a], positions[a])
    return n_adl


@kernel
def _collect(row, accounts, positions, record, contracts, fee_rate):
    """Take the fund's advance back from what a closed account has left, then the fee; return the former."""
    a = row["account"]
    account = accounts[a]
    position = positions[a, row["instrument"]]
    contract = contracts[row["instrument"]]
    left = max(_remaining(row, account, positions[a], record, contracts), 0)
    recovered = 0
    if _closed(account, position, positions[a]):
        recovered = min(left, account["advance"])
        account["advance"] = 0
    fee = min(to_atoms(row["notional"] * fee_rate / contract["atom"]), left - recovered)
    _credit(account, position, -(recovered + fee))
    accounts[FUND_ROW]["cash"] += recovered + fee
    row["fee"] = fee * contract["atom"]
    return recovered


@kernel
def _remaining(row, account, positions, record, contracts):
    """Return what is left behind the position after this order [atoms]: the account's equity, or its own."""
    i = row["instrument"]
    position = positions[i]
    contract = contracts[i]
    if account["mode"] != MODE_ISOLATED:
        return equity_of(account, positions, record, contracts)
    if position["lots"] != 0 or position["collateral"] < 0:
        return isolated_equity(position, record[i]["mark"], contract)
    # Its collateral has gone to the wallet with the last fill; the rest of the wallet is not liable.
    at_mark = abs(row["filled_lots"]) * row["mark"] * contract["lot_size"]
    slippage = at_mark - row["notional"] if row["filled_lots"] < 0 else row["notional"] - at_mark
    return min(to_atoms((row["equity"] - slippage) / contract["atom"]), account["cash"])


@kernel
def _absorb(row, accounts, positions, record, contracts, requirement, adl_on, step, round_,
            work_score, work_rows, out_adl, n_adl):
    """Cover negative equity, position by position; return the gross deficit [atoms] and the ADL rows.

    The fund pays while it can: an account that goes on is lifted to zero equity (an advance). When it
    cannot, the position goes to the other side at its bankruptcy price, and what is missing even then
    leaves the fund below zero: uncovered.
    """
    a = row["account"]
    i = row["instrument"]
    account = accounts[a]
    position = positions[a, i]
    equity = _own_equity(account, position, positions[a], i, record, contracts)
    if equity >= 0:
        return 0, n_adl
    closed = _closed(account, position, positions[a])
    paid = -equity if closed else min(-equity, max(accounts[FUND_ROW]["cash"], 0))
    accounts[FUND_ROW]["cash"] -= paid
    _credit(account, position, paid)
    if closed:
        return -equity, n_adl
    account["advance"] += paid
    if paid < -equity and position["lots"] != 0:
        value = _bankruptcy_value(row, account, position, positions[a], equity + paid, record, contracts)
        if adl_on:
            n_adl = deleverage(a, i, value, accounts, positions, record, contracts, requirement, step, round_,
                               work_score, work_rows, out_adl, n_adl, adl_on == 2)
        else:
            lots = position["lots"]
            rates = requirement[i, 0]
            apply_fill(account, position, -lots, value, rates["initial_rate"], rates["maintenance_rate"])
            apply_fill(accounts[FUND_ROW], positions[FUND_ROW, i], lots, -value, rates["initial_rate"],
                       rates["maintenance_rate"])
        if _closed(account, position, positions[a]):
            short = max(-_own_equity(account, position, positions[a], i, record, contracts), 0)
            _credit(account, position, short)
            accounts[FUND_ROW]["cash"] -= short
            account["advance"] = 0
    return -equity, n_adl


@kernel
def _bankruptcy_value(row, account, position, positions, equity, record, contracts):
    """Return for how much the position changes hands [atoms], signed like the lots that close it.

    The price that leaves the position with nothing, given its share (by notional) of the account's
    negative `equity`; but never beyond the bankruptcy price at the trigger, or the other side would pay
    for lots that were sold too low.
    """
    i = row["instrument"]
    share = 1.0
    if account["mode"] != MODE_ISOLATED:
        whole = 0.0
        for j in range(len(positions)):
            whole += abs(positions[j]["lots"]) * record[j]["mark"] * contracts[j]["lot_size"]
        share = abs(position["lots"]) * record[i]["mark"] * contracts[i]["lot_size"] / whole
    lot_value = contracts[i]["lot_value"]
    nothing_left = to_atoms(equity * share) - to_atoms(position["lots"] * (record[i]["mark"] * lot_value))
    at_trigger = -to_atoms(position["lots"] * (row["bankruptcy_price"] * lot_value))
    return max(nothing_left, at_trigger)


@kernel
def _own_equity(account, position, positions, i, record, contracts):
    """Return the equity behind a position [atoms]: collateral and profit of its own, or the account's."""
    if account["mode"] == MODE_ISOLATED:
        return isolated_equity(position, record[i]["mark"], contracts[i])
    return equity_of(account, positions, record, contracts)


@kernel
def _closed(account, position, positions):
    """Tell whether nothing is left to close: the position if isolated, else all of the account's."""
    return position["lots"] == 0 if account["mode"] == MODE_ISOLATED else _flat(positions)


@kernel
def _credit(account, position, amount):
    """Add to what backs the position: its collateral while an isolated one is open or short, else the wallet."""
    if account["mode"] == MODE_ISOLATED and (position["lots"] != 0 or position["collateral"] < 0):
        position["collateral"] += amount
    else:
        account["cash"] += amount


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
