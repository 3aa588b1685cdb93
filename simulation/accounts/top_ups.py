"""Top-ups: money from finite outside wealth, which takes time to arrive."""

from spirals.simulation.kernel import inlined, lean
from spirals.simulation.state import Mode, Status

__all__ = ["move_top_ups"]

ACTIVE, CLOSED = Status.ACTIVE, Status.CLOSED
ISOLATED = Mode.ISOLATED


@lean
def move_top_ups(accounts, positions, requests, step, transfer_steps, frozen=False):
    """Start requested transfers and credit those that are due.

    Money for an isolated account goes to the collateral of its largest position, where it is needed;
    otherwise, and without a position, to the wallet.

    Parameters
    ----------
    requests : ndarray of shape (n_accounts,), int64
        Amounts asked for [atoms]; cut to the outside wealth, then set to zero. One transfer per
        account at a time: a request during a transfer is dropped.
    frozen : bool
        No transfer starts or arrives in this step; requests are dropped.

    Returns
    -------
    int
        Amount credited in this step [atoms].
    """
    credited = 0
    for a in range(len(accounts)):
        account = accounts[a]
        amount = requests[a]
        if amount > 0 and account["transfer_step"] < 0 and not frozen:
            amount = min(amount, account["outside_wealth"])
            if amount > 0:
                account["outside_wealth"] -= amount
                account["in_transfer"] = amount
                account["transfer_step"] = step + transfer_steps
        requests[a] = 0
        if account["transfer_step"] >= 0 and not frozen and step >= account["transfer_step"]:
            _credit(account, positions[a], account["in_transfer"])
            account["deposits"] += account["in_transfer"]
            credited += account["in_transfer"]
            account["in_transfer"] = 0
            account["transfer_step"] = -1
            if account["status"] == CLOSED:
                account["status"] = ACTIVE
    return credited


@inlined
def _credit(account, positions, amount):
    largest = -1
    if account["mode"] == ISOLATED:
        for i in range(len(positions)):
            if positions[i]["lots"] != 0 and (
                largest < 0 or abs(positions[i]["cost"]) > abs(positions[largest]["cost"])
            ):
                largest = i
    if largest < 0:
        account["cash"] += amount
    else:
        positions[largest]["collateral"] += amount
