"""Tables of one run as the report reads them: a record's arrays as flat data frames, and back from files."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spirals.simulation.measures.liquidity import BANDS
from spirals.simulation.measures.record import RunRecord
from spirals.simulation.state import Cause, Kind

__all__ = ["TABLES", "event_table", "read_run_tables", "run_tables"]

TABLES = ("steps", "totals", "calls", "liquidations", "adl")
FAMILY = "genealogy"   # beside them, where a run was attributed
SUFFIXES: dict[str, tuple[str, ...]] = {
    "depth_bid": BANDS,
    "depth_ask": BANDS,
    "equity": Kind.names,
    **{f"{side}_{what}": Cause.names for side in ("sold", "bought") for what in ("lots", "notional")},
}


def run_tables(record: RunRecord) -> dict[str, pd.DataFrame]:
    """Return the tables of a run, ready to be written as Parquet.

    Returns
    -------
    dict of str to DataFrame
        ``steps`` (one row per step and instrument, with columns ``step``, ``seconds`` and
        ``instrument``), ``totals`` (with ``step`` and ``seconds``), ``calls``, ``liquidations``,
        ``adl``. Fields with several values become one column each: ``depth_bid_10bp``,
        ``sold_notional_liquidation``, ``equity_maker``. Padding is left out.
    """
    n_steps, n_instruments = record.steps.shape
    steps = event_table(record.steps.ravel())
    step = np.repeat(np.arange(n_steps), n_instruments)
    steps.insert(0, "step", step)
    steps.insert(1, "seconds", step * record.step_seconds)
    steps.insert(2, "instrument", np.tile(np.arange(n_instruments), n_steps))
    totals = event_table(record.totals)
    totals.insert(0, "step", np.arange(n_steps))
    totals.insert(1, "seconds", np.arange(n_steps) * record.step_seconds)
    rows = {name: event_table(getattr(record, name)) for name in TABLES[2:]}
    return {"steps": steps, "totals": totals, **rows}


def read_run_tables(directory: Path, prefix: str = "") -> dict[str, pd.DataFrame]:
    """Return the tables ``<prefix><name>.parquet`` that exist in `directory`."""
    found = {}
    for name in (*TABLES, FAMILY):
        path = directory / f"{prefix}{name}.parquet"
        if path.is_file():
            found[name] = pd.read_parquet(path)
    return found


def event_table(rows: np.ndarray) -> pd.DataFrame:
    """Return a structured array as a data frame without its padding; fields with several values become columns."""
    columns: dict[str, Any] = {}
    for name in rows.dtype.names or ():
        if name == "pad":
            continue
        values = rows[name]
        if values.ndim == 1:
            columns[name] = values
        else:
            columns.update({f"{name}_{word}": values[:, k] for k, word in enumerate(SUFFIXES[name])})
    return pd.DataFrame(columns)
