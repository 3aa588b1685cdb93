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
from spirals.simulation.order_book.records import NONE
from spirals.simulation.state import Mode, OrderKind, OrderStatus, Reject, Status

__all__ = ["check_orders"]

CANCEL, REPLACE, CANCEL_ALL = OrderKind.CANCEL, OrderKind.REPLACE, OrderKind.CANCEL_ALL
REJECTED = OrderStatus.REJECTED
MARGIN, TRIMMED, BLOCKED = Reject.MARGIN, Reject.TRIMMED, Reject.ACCOUNT_BLOCKED
CLOSED = Status.CLOSED
MODE_ISOLATED = Mode.ISOLATED


@lean
def check_orders(orders, sequence, accounts, positions, resting, slots, pool, record, contracts, requirement,
                 pending, out_counts):
    """Accept, trim or reject the orders of a batch.

    Parameters
    ----------
    pending : ndarray of shape (n_accounts, n_instruments, 2), int64
        Scratch of zeros: lots accepted earlier in this batch (buys, sells); zeroed on exit.
    out_counts : ndarray, int64
        Counters of the step: rejected and trimmed orders are added at 0 and 1.
    """
    for k in range(len(sequence)):
        order = orders[sequence[k]]
        a = order["account"]
        account = accounts[a]
        kind = order["kind"]
        if account["margined"] == 0 or order["reduce_only"] == 1 or kind in (CANCEL, CANCEL_ALL) or order["lots"] <= 0:
            continue
        i = order["instrument"]
        side = 0 if order["side"] > 0 else 1
        freed = 0  # lots that a replaced order takes off the same side
        if kind == REPLACE:
            slot = find_slot(slots, pool, order["target"])
            if slot != NONE and slots[slot]["side"] == order["side"] and slots[slot]["account"] == a:
                freed = slots[slot]["lots"]
        signed = positions[a, i]["lots"]
        buys = resting[a, i]["buy_lots"] + pending[a, i, 0]
        sells = resting[a, i]["sell_lots"] + pending[a, i, 1]
        if order["side"] > 0:
            toward = signed + buys - freed
            opposite = abs(signed - sells)
        else:
            toward = -signed + sells - freed
            opposite = abs(signed + buys)
        before = max(abs(signed + buys), abs(signed - sells))
        lots = order["lots"]
        if max(toward + lots, opposite) > before:
            if account["status"] == CLOSED:
                order["status"] = REJECTED
                order["reason"] = BLOCKED
                out_counts[0] += 1
                continue
            allowed = affordable_lots(account, before, positions[a, i], record[i], contracts[i], requirement[i])
            allowed -= toward
            if allowed < lots:
                if allowed <= 0:
                    order["status"] = REJECTED
                    order["reason"] = MARGIN
                    out_counts[0] += 1
                    continue
                lots = allowed
                order["lots"] = lots
                order["reason"] = TRIMMED
                out_counts[1] += 1
            size = record[i]["mark"] * contracts[i]["lot_size"]
            exposure = max(toward + lots, opposite)
            change = initial_requirement(exposure * size, requirement[i])
            change -= initial_requirement(before * size, requirement[i])
            account["initial_margin"] += int(math.ceil(change / contracts[i]["atom"]))
        pending[a, i, side] += lots - freed
    for k in range(len(sequence)):
        order = orders[sequence[k]]
        pending[order["account"], order["instrument"], 0] = 0
        pending[order["account"], order["instrument"], 1] = 0
    return 0


@inlined
def affordable_lots(account, exposure, position, market, contract, brackets):
    """Return the largest exposure [lots] that equity covers, given the margin of other positions."""
    size = market["mark"] * contract["lot_size"]
    own = initial_requirement(exposure * size, brackets)
    if account["mode"] == MODE_ISOLATED:
        available = account["cash"] * contract["atom"] + initial_requirement(abs(position["lots"]) * size, brackets)
    else:
        available = (account["equity"] - account["initial_margin"]) * contract["atom"] + own
    return int(math.floor(affordable_notional(available, brackets) / size))
