"""Capital efficiency: how much margin the open interest ties up, and how much leverage is offered."""

import math

import numpy as np

from spirals.simulation.measures.record import RunRecord, Series

__all__ = ["leverage_allowed", "margin_to_open_interest", "open_interest_notional"]


def open_interest_notional(record: RunRecord) -> Series:
    """Return open interest at the mark in each step, all instruments [quote], shape (n_steps + 1,)."""
    steps = record.steps
    return np.add.reduce(steps["open_interest"] * steps["mark"] * record.lot_sizes, axis=1)


def margin_to_open_interest(record: RunRecord) -> float:
    """Return initial margin locked over open interest, both averaged over the run [fraction of notional].

    Open interest is counted on one side, margin on both: with every position margined at rate m the
    value is 2 m. NaN without open interest.
    """
    held = math.fsum(open_interest_notional(record))
    return math.fsum(record.totals["margin_locked"]) / held if held > 0.0 else math.nan


def leverage_allowed(initial_rates: Series) -> tuple[float, float]:
    """Return the mean and the lowest leverage that the initial margin rate allows, 1 / m [ratio]."""
    allowed = 1.0 / initial_rates
    return math.fsum(allowed) / len(allowed), float(allowed.min())
