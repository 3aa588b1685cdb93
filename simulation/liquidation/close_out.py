"""Stage 4, the venue's engine: liquidation orders for the accounts that are due."""

import math

from spirals.simulation.accounts.assessment import position_maintenance
from spirals.simulation.accounts.ledger import to_atoms
from spirals.simulation.kernel import kernel
from spirals.simulation.state import FUND_ROW, Cause, Kind, Mode, OrderKind, Status

__all__ = ["close_out_orders", "isolated_equity", "worst_ticks"]

CANCEL_ALL, IOC = OrderKind.CANCEL_ALL, OrderKind.IOC
CAUSE_LIQUIDATION, KIND_LIQUIDATOR = Cause.LIQUIDATION, Kind.LIQUIDATOR
MODE_ISOLATED = Mode.ISOLATED
STATUS_LIQUIDATING = Status.LIQUIDATING
FULL, PARTIAL, TO_TARGET = range(3)


@kernel
def close_out_lots(position, mark, contract, maintenance, equity, mechanism, first):
    """Return how many lots (positive) of the position the mechanism closes now."""
    size, fraction, partial_above, target_ratio, then_full = mechanism
    held = abs(position["lots"])
    notional = held * mark * contract["lot_size"]
    if size == PARTIAL and notional > partial_above and (first or then_full == 0):
        return max(1, int(math.ceil(held * fraction)))
    if size == TO_TARGET and maintenance > 0.0 and equity > 0:
        keep = equity * contract["atom"] / (target_ratio * maintenance)
        return min(held, max(1, int(math.ceil(held * (1.0 - keep)))))
    return held


@kernel
def close_out_orders(due, n_due, accounts, positions, record, contracts, requirement, resting, grandfathered,
                     mechanism, price_band, cooldown_steps, latency_us, step, round_, next_event,
                     out_orders, n_orders, out_liquidations):
    """Write CANCEL_ALL and IOC orders of every due account after row `n_orders` of `out_orders`.

    Parameters
    ----------
    mechanism : tuple of (int, float, float, float, int)
        Size code, fraction, notional above which it is partial, target ratio, then full (1) or not (0).
    out_liquidations : ndarray, LIQUIDATION
        One row per position that is due, also where no price is acceptable and no order is sent.

    Returns
    -------
    (int, int, int, int)
        Rows of `out_orders` in use, liquidation records, next event id, accounts newly in liquidation.
    """
    records = 0
    newly = 0
    fund = accounts[FUND_ROW]["cash"] if accounts[FUND_ROW]["cash"] > 0 else 0
    for k in range(n_due):
        a = due[k]
        account = accounts[a]
        first = account["event"] < 0
        if first:
            account["event"] = next_event
            next_event += 1
            newly += 1
        account["status"] = STATUS_LIQUIDATING
        account["cooldown_step"] = step + cooldown_steps
        cross_equity = account["equity"]  # what is left of it after the worst case of earlier instruments
        for i in range(positions.shape[1]):
            position = positions[a, i]
            contract = contracts[i]
            if resting[a, i]["buy_lots"] + resting[a, i]["sell_lots"] > 0:
                n_orders = _order(out_orders, n_orders, a, i, CANCEL_ALL, 0, 0, 0, account["event"], latency_us, round_)
            if position["lots"] == 0:
                continue
            mark = record[i]["mark"]
            equity = cross_equity
            required = account["maintenance_margin"] * contract["atom"]
            if account["mode"] == MODE_ISOLATED:
                equity = isolated_equity(position, mark, contract)
                required = position_maintenance(position, mark, contract, requirement[i], grandfathered)
                if equity * contract["atom"] >= required:
                    continue
            lots = close_out_lots(position, mark, contract, required, equity, mechanism, first)
            side = -1 if position["lots"] > 0 else 1
            ticks = worst_ticks(side, lots, mark, equity + fund, price_band, contract)
            if ticks > 0:
                n_orders = _order(out_orders, n_orders, a, i, IOC, side, lots, ticks, account["event"], latency_us,
                                  round_)
                loss = to_atoms((ticks * contract["tick_size"] - mark) * side * (lots * contract["lot_value"]))
                equity -= max(loss, 0)
                if equity < 0:
                    fund = max(0, fund + equity)
                    equity = 0
            if account["mode"] != MODE_ISOLATED:
                cross_equity = equity
            _record(out_liquidations[records], account, a, i, side * lots, mark, position, contract, required, step,
                    round_)
            records += 1
    return n_orders, records, next_event, newly


@kernel
def isolated_equity(position, mark, contract):
    """Return collateral plus unrealised profit of one position [atoms]."""
    return position["collateral"] + to_atoms(position["lots"] * (mark * contract["lot_value"])) - position["cost"]


@kernel
def worst_ticks(side, lots, mark, cover, price_band, contract):
    """Return the worst acceptable price of a liquidation order [ticks]; 0 when none is acceptable.

    `cover` is what the account and the fund can lose on this order [atoms]: a price beyond it would
    leave a loss that nobody pays.
    """
    banded = mark * (1.0 + side * price_band)
    covered = mark + side * (cover / (lots * contract["lot_value"]))
    limit = max(banded, covered) if side < 0 else min(banded, covered)
    if side < 0:
        ticks = int(math.ceil(limit / contract["tick_size"] - 1e-9))
        return ticks if 0 < ticks < contract["n_ticks"] else (1 if ticks <= 0 else 0)
    ticks = int(math.floor(limit / contract["tick_size"] + 1e-9))
    return min(ticks, contract["n_ticks"] - 1) if ticks > 0 else 0


@kernel
def _record(row, account, a, i, signed_lots, mark, position, contract, required, step, round_):
    equity = account["equity"]
    if account["mode"] == MODE_ISOLATED:
        equity = isolated_equity(position, mark, contract)
    row["event"] = account["event"]
    row["step"] = step
    row["round"] = round_
    row["account"] = a
    row["instrument"] = i
    row["lots"] = signed_lots
    row["filled_lots"] = 0
    row["notional"] = 0.0
    row["mark"] = mark
    row["equity"] = equity * contract["atom"]
    row["maintenance"] = required
    row["bankruptcy_price"] = mark - equity / (position["lots"] * contract["lot_value"])
    row["fee"] = 0.0
    row["bad_debt"] = 0.0


@kernel
def _order(out_orders, k, account, instrument, kind, side, lots, ticks, event, latency_us, round_):
    row = out_orders[k]
    row["order_id"] = -1
    row["target"] = -1
    row["lots"] = lots
    row["arrival"] = latency_us
    row["event"] = event
    row["filled_lots"] = 0
    row["resting_lots"] = 0
    row["account"] = account
    row["instrument"] = instrument
    row["price_ticks"] = ticks
    row["round"] = round_
    row["kind"] = kind
    row["side"] = side
    row["reduce_only"] = 1 if side != 0 else 0
    row["cause"] = CAUSE_LIQUIDATION
    row["origin"] = KIND_LIQUIDATOR
    row["status"] = 0
    row["reason"] = 0
    row["pad"] = 0
    return k + 1
