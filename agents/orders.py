"""Writing an order: one compiled function that fills a row completely, whatever stood in it before."""

import math

from spirals.simulation.kernel import inlined
from spirals.simulation.order_book.queue_kernels import find_slot
from spirals.simulation.state import OrderStatus, Reject

__all__ = ["NO_ORDER", "its_turn", "note_resting", "open_lots", "write_order"]

NEW = OrderStatus.NEW
RESTING = OrderStatus.RESTING
REJECTED = OrderStatus.REJECTED
NO_REASON = Reject.NONE
NO_ORDER = 0


@inlined
def its_turn(reaction_seconds, seconds, step, actor):
    """Tell whether an actor that looks once in `reaction_seconds` looks in this step; the opening is everybody's.

    Actors take their turns one after the other, so that not all of them look in the same step.
    """
    every = int(math.ceil(reaction_seconds / seconds - 1e-9))   # never sooner, where steps do not divide it
    return every <= 1 or step == 0 or (step + actor) % every == 0


@inlined
def write_order(order, kind, side, price_ticks, lots, arrival, account, instrument, origin, cause, target):
    """Fill one ORDER row; result columns are reset."""
    order["order_id"] = -1
    order["target"] = target
    order["lots"] = lots
    order["arrival"] = arrival
    order["event"] = -1
    order["filled_lots"] = 0
    order["resting_lots"] = 0
    order["account"] = account
    order["instrument"] = instrument
    order["price_ticks"] = price_ticks
    order["round"] = 0
    order["kind"] = kind
    order["side"] = side
    order["reduce_only"] = 0
    order["cause"] = cause
    order["origin"] = origin
    order["status"] = NEW
    order["reason"] = NO_REASON
    order["pad"] = 0


@inlined
def open_lots(slots, pool, order_id):
    """Return the lots that still rest under `order_id`, 0 when the order is gone."""
    return slots[find_slot(slots, pool, order_id)]["lots"]


@inlined
def note_resting(holder, order):
    """Remember in `holder` ("order_id") which order rests after trading; a refused order changes nothing."""
    if order["status"] == RESTING:
        holder["order_id"] = order["order_id"]
    elif order["status"] != REJECTED:
        holder["order_id"] = NO_ORDER
