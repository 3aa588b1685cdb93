"""Stage 5, acceptance: new orders against initial margin, worst case with resting orders.

Orders are checked in the order in which they will be matched. An order that does not raise the worst
case is always accepted; one that raises it beyond the equity is trimmed to what the equity covers,
or rejected when that is nothing. Closed accounts may only reduce. Reduce-only orders, the venue's
liquidation orders among them, cannot raise the exposure and pass.
"""

import math

from spirals.simulation.accounts.requirement import affordable_notional, initial_requirement
from spirals.simulation.kernel import inlined, lean
from spirals.simulation.order_book.queue_kernels import find_slot
from spirals.simulation.order_book.records import NONE, SLOT_MASK
from spirals.simulation.prefetch import prefetch
from spirals.simulation.state import Mode, OrderKind, OrderStatus, Reject, Status

__all__ = ["check_orders"]

CANCEL, REPLACE, CANCEL_ALL = OrderKind.CANCEL, OrderKind.REPLACE, OrderKind.CANCEL_ALL
REJECTED = OrderStatus.REJECTED
MARGIN, TRIMMED, BLOCKED = Reject.MARGIN, Reject.TRIMMED, Reject.ACCOUNT_BLOCKED
CLOSED = Status.CLOSED
MODE_ISOLATED = Mode.ISOLATED
AHEAD = 8   # orders after this one whose target is asked for
UNCHECKED, ALONE, ONE_OF_SEVERAL = range(3)


@lean
def check_orders(orders, sequence, accounts, positions, resting, slots, pool, record, contracts, requirement,
                 pending, work_first, work_turn, out_counts):
    """Accept, trim or reject the orders of a batch.

    Only orders of the same account bear on each other. So accounts with one order are checked row by
    row, which is kind to the memory, and the others afterwards in order of arrival.

    Parameters
    ----------
    sequence : ndarray of shape (n_orders,), int64
        Order of arrival of the first `n_orders` rows of `orders`.
    pending : ndarray of shape (n_accounts, n_instruments, 2), int64
        Scratch of zeros: lots accepted earlier in this batch (buys, sells); zeroed on exit.
    work_first : ndarray of shape (n_accounts,), int64
        Scratch of -1, restored on exit: first row of an account.
    work_turn : ndarray of shape (>= n_orders,), int64
        Scratch, overwritten: how each row is checked.
    out_counts : ndarray, int64
        Counters of the step: rejected and trimmed orders are added at 0 and 1.
    """
    several = False
    for row in range(len(sequence)):
        order = orders[row]
        work_turn[row] = UNCHECKED
        if needs_margin(order, accounts):
            first = work_first[order["account"]]
            work_turn[row] = ALONE if first < 0 else ONE_OF_SEVERAL
            if first < 0:
                work_first[order["account"]] = row
            else:
                work_turn[first] = ONE_OF_SEVERAL
                several = True
    for row in range(len(sequence)):
        if row + AHEAD < len(sequence):
            prefetch(slots, orders[row + AHEAD]["target"] & SLOT_MASK)   # orders rest anywhere in the book
        if work_turn[row] != UNCHECKED:
            order = orders[row]
            work_first[order["account"]] = -1
            if work_turn[row] == ALONE:
                check_order(order, accounts, positions, resting, slots, pool, record, contracts, requirement, pending,
                            out_counts)
    if several:
        for k in range(len(sequence)):
            if work_turn[sequence[k]] == ONE_OF_SEVERAL:
                order = orders[sequence[k]]
                side = 0 if order["side"] > 0 else 1
                added = check_order(order, accounts, positions, resting, slots, pool, record, contracts, requirement,
                                    pending, out_counts)
                pending[order["account"], order["instrument"], side] += added
        for row in range(len(sequence)):
            if work_turn[row] == ONE_OF_SEVERAL:
                pending[orders[row]["account"], orders[row]["instrument"], 0] = 0
                pending[orders[row]["account"], orders[row]["instrument"], 1] = 0
    return 0


@inlined
def needs_margin(order, accounts):
    """Tell whether an order is subject to the check."""
    kind = order["kind"]
    return (
        accounts[order["account"]]["margined"] == 1 and order["reduce_only"] == 0 and order["lots"] > 0
        and kind != CANCEL and kind != CANCEL_ALL
    )


@inlined
def check_order(order, accounts, positions, resting, slots, pool, record, contracts, requirement, pending, out_counts):
    """Accept, trim or reject one order, in place; return the lots it may add to what rests on its side.

    A replaced order makes room for its successor alone: what it gives back is not lent to other orders
    of the batch, or several replacements of one order would give it back several times.
    """
    a = order["account"]
    i = order["instrument"]
    account = accounts[a]
    side = order["side"]
    freed = 0  # lots that a replaced order takes off the same side
    if order["kind"] == REPLACE:
        slot = find_slot(slots, pool, order["target"])
        if slot != NONE and slots[slot]["side"] == side and slots[slot]["account"] == a:
            freed = slots[slot]["lots"]
    held = side * positions[a, i]["lots"]   # seen from the side of the order
    buys = resting[a, i]["buy_lots"] + pending[a, i, 0]
    sells = resting[a, i]["sell_lots"] + pending[a, i, 1]
    mine = buys if side > 0 else sells
    opposite = abs(held - (sells if side > 0 else buys))
    toward = held + mine - freed
    before = max(abs(held + mine), opposite)
    lots = order["lots"]
    if max(toward + lots, opposite) > before:
        if account["status"] == CLOSED:
            order["status"] = REJECTED
            order["reason"] = BLOCKED
            out_counts[0] += 1
            return 0
        size = record[i]["mark"] * contracts[i]["lot_size"]
        required = initial_requirement(before * size, requirement[i])
        change = initial_requirement(max(toward + lots, opposite) * size, requirement[i]) - required
        # Most orders are covered with room to spare; only the others need the exact number of lots.
        room = (account["equity"] - account["initial_margin"]) * contracts[i]["atom"]
        if account["mode"] == MODE_ISOLATED:
            held_margin = initial_requirement(abs(held) * size, requirement[i])
            room = (account["cash"] - account["initial_margin"]) * contracts[i]["atom"] + held_margin
        if change > 0.999 * room:
            allowed = affordable_lots(account, before, positions[a], i, record, contracts, requirement) - toward
            if allowed <= 0:
                order["status"] = REJECTED
                order["reason"] = MARGIN
                out_counts[0] += 1
                return 0
            if allowed < lots:
                lots = allowed
                order["lots"] = lots
                order["reason"] = TRIMMED
                out_counts[1] += 1
                change = initial_requirement(max(toward + lots, opposite) * size, requirement[i]) - required
        account["initial_margin"] += int(math.ceil(change / contracts[i]["atom"]))
    return max(lots - freed, 0)


@inlined
def affordable_lots(account, exposure, positions, i, record, contracts, requirement):
    """Return the largest exposure [lots] in instrument `i` that equity covers, given the margin of the others.

    In isolated mode the wallet covers what goes beyond open positions, in all instruments together.
    """
    atom = contracts[i]["atom"]
    size = record[i]["mark"] * contracts[i]["lot_size"]
    others = account["initial_margin"] * atom - initial_requirement(exposure * size, requirement[i])
    if account["mode"] == MODE_ISOLATED:
        available = account["cash"] * atom - others
        for j in range(len(positions)):
            notional = abs(positions[j]["lots"]) * record[j]["mark"] * contracts[j]["lot_size"]
            available += initial_requirement(notional, requirement[j])
    else:
        available = account["equity"] * atom - others
    return int(math.floor(affordable_notional(available, requirement[i]) / size))
