"""Stage 3: every account against its requirement; calls are issued and due liquidations listed."""

from spirals.simulation.accounts.ledger import to_atoms
from spirals.simulation.accounts.requirement import initial_requirement, maintenance_requirement
from spirals.simulation.kernel import inlined, lean
from spirals.simulation.state import Mode, Status

__all__ = ["assess", "position_maintenance"]

MODE_ISOLATED = Mode.ISOLATED
ACTIVE, CALLED, LIQUIDATING, CLOSED = Status.ACTIVE, Status.CALLED, Status.LIQUIDATING, Status.CLOSED


@inlined
def position_maintenance(position, mark, contract, brackets, grandfathered):
    """Return the maintenance margin [quote] of one position at `mark`."""
    lots = position["lots"]
    if lots == 0:
        return 0.0
    notional = abs(lots) * mark * contract["lot_size"]
    required = maintenance_requirement(notional, brackets)
    if grandfathered:
        # Rates of all brackets move together: what was in force at entry scales the whole schedule.
        required *= min(1.0, position["entry_rate"] / brackets[0]["maintenance_rate"])
    return required


@inlined
def worst_case_initial(position, resting, mark, contract, brackets):
    """Return the initial margin [quote] of the larger exposure if resting orders of one side all fill."""
    up = abs(position["lots"] + resting["buy_lots"])
    down = abs(position["lots"] - resting["sell_lots"])
    exposure = max(up, down)
    if exposure == 0:
        return 0.0
    return initial_requirement(exposure * mark * contract["lot_size"], brackets)


@lean
def assess(accounts, positions, resting, record, contracts, requirement, grandfathered, rules, step,
           out_due, out_calls):
    """Value every account and compare it with its requirement.

    Sets equity, initial and maintenance margin of every row; issues and lifts calls; writes rows of
    accounts that are due for liquidation to `out_due` (ascending) and CALL records to `out_calls`.

    Parameters
    ----------
    rules : tuple of (float, float, int)
        Call level, liquidation level (multiples of maintenance), grace [steps].

    Returns
    -------
    (int, int)
        Number of due accounts and of new calls.
    """
    call_level, liquidation_level, grace_steps = rules
    due = 0
    calls = 0
    n_instruments = positions.shape[1]
    atom = contracts[0]["atom"]
    for a in range(len(accounts)):
        account = accounts[a]
        equity = account["cash"]
        initial = 0.0
        maintenance = 0.0
        short = False
        below = False
        isolated = account["mode"] == MODE_ISOLATED
        for i in range(n_instruments):
            contract = contracts[i]
            mark = record[i]["mark"]
            position = positions[a, i]
            own = position["collateral"] - position["cost"]
            if position["lots"] != 0:
                own += to_atoms(position["lots"] * (mark * contract["lot_value"]))
            equity += own
            initial += worst_case_initial(position, resting[a, i], mark, contract, requirement[i])
            required = position_maintenance(position, mark, contract, requirement[i], grandfathered)
            maintenance += required
            if isolated and position["lots"] != 0:
                short = short or own * atom < call_level * required
                below = below or own * atom < liquidation_level * required
        account["equity"] = equity
        if account["margined"] == 0:
            continue
        account["initial_margin"] = to_atoms(initial / atom)
        account["maintenance_margin"] = to_atoms(maintenance / atom)
        if not isolated:
            short = maintenance > 0.0 and equity * atom < call_level * maintenance
            below = maintenance > 0.0 and equity * atom < liquidation_level * maintenance
        if not short:
            account["call_step"] = -1
            account["event"] = -1  # what may follow later is another liquidation
            if account["status"] == CALLED or account["status"] == LIQUIDATING:
                account["status"] = ACTIVE
            continue
        if account["call_step"] < 0:
            account["call_step"] = step
            if account["status"] == ACTIVE:
                account["status"] = CALLED
            out_calls[calls]["step"] = step
            out_calls[calls]["account"] = a
            out_calls[calls]["equity"] = equity * atom
            out_calls[calls]["requirement"] = maintenance
            calls += 1
        expired = step - account["call_step"] >= grace_steps
        if below and expired and step >= account["cooldown_step"]:
            out_due[due] = a
            due += 1
    return due, calls
