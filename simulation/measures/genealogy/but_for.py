"""But-for flags: what twin T1, in which forced orders move no price, says of every liquidation."""

from typing import Any

from numpy.typing import NDArray

from spirals.simulation.measures.genealogy.family_tree import EARLIER, EXTRA, SAME
from spirals.simulation.measures.genealogy.forced_trades import first_orders
from spirals.simulation.measures.record import RunRecord

__all__ = ["flag_but_for"]


def flag_but_for(events: NDArray[Any], twin: RunRecord) -> tuple[int, int]:
    """Fill the but-for flags: the n-th liquidation of an account is compared with its n-th one in the twin.

    Parameters
    ----------
    events : ndarray, EVENT
        In order of time; filled in place.
    twin : RunRecord
        Twin T1.

    Returns
    -------
    averted, averted_accounts : int
        Liquidations of the twin without a counterpart in the run, and accounts that are liquidated in the twin only.
    """
    there: dict[int, list[int]] = {}
    for row in first_orders(twin):
        there.setdefault(int(row["account"]), []).append(int(row["step"]))
    seen: dict[int, int] = {}
    for event in events:
        account = int(event["account"])
        turn = seen.get(account, 0)
        seen[account] = turn + 1
        steps = there.get(account, [])
        if turn >= len(steps):
            event["but_for"] = EXTRA
        else:
            event["but_for"] = EARLIER if event["step"] < steps[turn] else SAME
    averted = sum(max(0, len(steps) - seen.get(account, 0)) for account, steps in there.items())
    return averted, len(set(there) - set(seen))
