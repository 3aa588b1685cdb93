"""But-for flags: what twin T1, in which forced orders move no price, says of every liquidation."""

from typing import Any

from numpy.typing import NDArray

from spirals.simulation.measures.family_tree import EARLIER, EXTRA, SAME
from spirals.simulation.measures.forced_trades import first_orders
from spirals.simulation.measures.record import RunRecord

__all__ = ["flag_but_for"]


def flag_but_for(events: NDArray[Any], rows: NDArray[Any], twin: RunRecord) -> int:
    """Fill the but-for flags; return the number of accounts that fall only in the twin."""
    there: dict[int, list[int]] = {}
    for row in first_orders(twin):
        there.setdefault(int(row["account"]), []).append(int(row["step"]))
    seen: dict[int, int] = {}
    for event, row in zip(events, rows, strict=True):
        account = int(row["account"])
        turn = seen.get(account, 0)
        seen[account] = turn + 1
        steps = there.get(account, [])
        if turn >= len(steps):
            event["but_for"] = EXTRA
        else:
            event["but_for"] = EARLIER if row["step"] < steps[turn] else SAME
    return sum(max(0, len(steps) - seen.get(account, 0)) for account, steps in there.items())
