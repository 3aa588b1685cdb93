"""Requirement of one position: bracket lookup, with deductions that keep it continuous in notional.

``requirement(N) = rate_k * N - deduction_k`` in the bracket k that holds the notional N
(Binance's documentation calls the deduction "maintenance amount").
"""

from spirals.simulation.kernel import inlined

__all__ = ["affordable_notional", "initial_requirement", "maintenance_requirement"]


@inlined
def bracket_of(notional, brackets):
    """Return the index of the bracket that contains `notional` [quote]."""
    k = 0
    while k + 1 < len(brackets) and notional >= brackets[k + 1]["floor"]:
        k += 1
    return k


@inlined
def initial_requirement(notional, brackets):
    """Return the initial margin [quote] of a position of `notional` [quote]."""
    row = brackets[bracket_of(notional, brackets)]
    return row["initial_rate"] * notional - row["initial_deduction"]


@inlined
def maintenance_requirement(notional, brackets):
    """Return the maintenance margin [quote] of a position of `notional` [quote]."""
    row = brackets[bracket_of(notional, brackets)]
    return row["maintenance_rate"] * notional - row["maintenance_deduction"]


@inlined
def affordable_notional(margin, brackets):
    """Return the largest notional [quote] whose initial margin does not exceed `margin` [quote]."""
    if margin <= 0.0:
        return 0.0
    for k in range(len(brackets)):
        row = brackets[k]
        notional = (margin + row["initial_deduction"]) / row["initial_rate"]
        if k + 1 == len(brackets) or notional < brackets[k + 1]["floor"]:
            return notional
    return 0.0
