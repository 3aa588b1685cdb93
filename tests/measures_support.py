"""Small hand-made run records for the tests of measures and reports."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from spirals.simulation.contracts import Instrument
from spirals.simulation.measures.record import RunRecord
from spirals.simulation.state import ADL, CALL, LIQUIDATION, STEP, STEP_TOTAL, Kind

INSTRUMENT = Instrument(name="TEST", tick_size=0.5, lot_size=0.1, atom=1e-4)


def make_record(mark: Sequence[float], **changes: Any) -> RunRecord:
    """Return a quiet run with the given mark path: 1-s steps, 1,000 lots open, rate 10 % / 5 %, no flow."""
    n = len(mark)
    steps = np.zeros((n, 1), STEP)
    for name in ("exogenous", "index", "oracle", "mark", "mid", "last"):
        steps[name][:, 0] = mark
    steps["spread"] = 0.5
    steps["depth_bid"] = steps["depth_ask"] = [100.0, 500.0, 1000.0]
    steps["initial_rate"], steps["maintenance_rate"] = 0.10, 0.05
    steps["volatility"] = 0.04
    steps["open_interest"] = 1000
    totals = np.zeros(n, STEP_TOTAL)
    totals["margin_locked"], totals["fund"] = 2000.0, 50.0
    kinds = np.array([Kind.FEES, Kind.FUND, Kind.WAREHOUSE, Kind.LIQUIDATOR, Kind.BACKGROUND, Kind.MAKER,
                      Kind.TRADER, Kind.TRADER, Kind.TRADER], np.int8)
    record = RunRecord(
        steps=steps, totals=totals, calls=np.zeros(0, CALL), liquidations=np.zeros(0, LIQUIDATION),
        adl=np.zeros(0, ADL), step_seconds=1.0, instruments=(INSTRUMENT,),
        opening_open_interest_lots=np.array([1000]), kinds=kinds,
        opening_equity=np.full(len(kinds), 100.0), closing_equity=np.full(len(kinds), 100.0),
        deposits=np.zeros(len(kinds)), opening_side=np.array([0, 0, 0, 0, 0, 0, 1, -1, 0], np.int8),
        stop_reason="end", seed=0,
    )
    return dataclasses.replace(record, **changes)


def liquidation_rows(rows: Sequence[tuple[int, int, int, int, int, float]]) -> np.ndarray:
    """Return LIQUIDATION rows of (event, step, round, account, filled_lots, notional)."""
    table = np.zeros(len(rows), LIQUIDATION)
    for k, (event, step, round_, account, lots, notional) in enumerate(rows):
        row = table[k]
        row["event"], row["step"], row["round"], row["account"] = event, step, round_, account
        row["lots"] = row["filled_lots"] = lots
        row["notional"] = notional
    return table
