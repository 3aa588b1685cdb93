"""Orders of switched-off causes: executed beside the book, against the warehouse row.

*Shadow* orders (twin T1) pay what a walk through the other side of the book would have cost, after
the lots that earlier shadow orders would have consumed and that have not refilled yet, but leave
the book alone. *Transfer* orders (twin T2) are filled at the mark.
"""

import math

from spirals.simulation.accounts.ledger import apply_fill, to_atoms
from spirals.simulation.kernel import kernel
from spirals.simulation.order_book.observe import walk
from spirals.simulation.state import FEES_ROW, WAREHOUSE_ROW, Cause, OrderKind, OrderStatus

__all__ = ["execute_beside_book", "refill_shadow"]

CAUSE_LIQUIDATION, CAUSE_VOLUNTARY = Cause.LIQUIDATION, Cause.VOLUNTARY
NEW, FILLED, CANCELLED = OrderStatus.NEW, OrderStatus.FILLED, OrderStatus.CANCELLED
CANCEL_ALL, CANCEL = OrderKind.CANCEL_ALL, OrderKind.CANCEL
TRANSFER = 2


@kernel
def refill_shadow(consumed, keep):
    """Let the consumed lots of the shadow book refill by the factor `keep` of one step."""
    for i in range(consumed.shape[0]):
        consumed[i, 0] *= keep
        consumed[i, 1] *= keep
    return 0


@kernel
def execute_beside_book(orders, sequence, routes, ladder, words, tops, consumed, accounts, positions, record,
                        contracts, requirement, liquidations, n_liquidations, work_record, out_sequence, out_steps):
    """Execute orders whose cause is routed beside the book; return how many orders are left for the book.

    Parameters
    ----------
    routes : ndarray of shape (7,), int64
        Per cause: 0 book, 1 shadow, 2 transfer.
    consumed : ndarray of shape (n_instruments, 2), float64
        Lots consumed of the shadow book: bids (hit by sells), asks (hit by buys); modified in place.
    liquidations, n_liquidations, work_record
        Records of this round, which get lots and notional of their orders; scratch of -1.
    out_sequence : ndarray, int64
        Rows that still go to the book, in order.
    """
    for k in range(n_liquidations):
        work_record[liquidations[k]["account"], liquidations[k]["instrument"]] = k
    left = 0
    for k in range(len(sequence)):
        row = sequence[k]
        order = orders[row]
        route = routes[order["cause"]]
        kind = order["kind"]
        if route == 0 or order["status"] != NEW or kind in (CANCEL, CANCEL_ALL):
            out_sequence[left] = row
            left += 1
            continue
        a = order["account"]
        i = order["instrument"]
        side = order["side"]
        contract = contracts[i]
        lots = order["lots"]
        if order["reduce_only"] == 1:
            lots = min(lots, max(0, -side * positions[a, i]["lots"]))
        if route == TRANSFER:
            value = to_atoms(lots * (record[i]["mark"] * contract["lot_value"]))
        else:
            book_side = 0 if side < 0 else 1
            skip = int(math.floor(consumed[i, book_side]))
            lots, tick_lots = walk(ladder, words, tops, i, side, lots, skip, order["price_ticks"])
            consumed[i, book_side] += lots
            value = tick_lots * contract["atoms_per_tick_lot"]
        order["order_id"] = -1
        order["resting_lots"] = 0
        order["filled_lots"] = lots
        order["status"] = FILLED if lots == order["lots"] else CANCELLED
        if lots == 0:
            continue
        if order["cause"] != CAUSE_LIQUIDATION and route != TRANSFER:
            fee = to_atoms(value * contract["taker_fee_rate"])
            accounts[a]["cash"] -= fee
            accounts[a]["fees"] += fee
            accounts[FEES_ROW]["cash"] += fee
        rates = requirement[i, 0]
        apply_fill(accounts[a], positions[a, i], side * lots, side * value, rates["initial_rate"],
                   rates["maintenance_rate"])
        apply_fill(accounts[WAREHOUSE_ROW], positions[WAREHOUSE_ROW, i], -side * lots, -side * value,
                   rates["initial_rate"], rates["maintenance_rate"])
        notional = value * contract["atom"]
        step = out_steps[i]
        if side > 0:
            step["bought_lots"][order["cause"]] += lots
            step["bought_notional"][order["cause"]] += notional
        else:
            step["sold_lots"][order["cause"]] += lots
            step["sold_notional"][order["cause"]] += notional
        if order["cause"] == CAUSE_LIQUIDATION and work_record[a, i] >= 0:
            liquidations[work_record[a, i]]["filled_lots"] += side * lots
            liquidations[work_record[a, i]]["notional"] += notional
    for k in range(n_liquidations):
        work_record[liquidations[k]["account"], liquidations[k]["instrument"]] = -1
    return left
