"""The table of runs: its columns, its Parquet form, and the digest that says "same table"."""

import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["LEFT_OUT", "parquet_bytes", "read_runs", "run_table", "table_digest"]

#: Columns that differ between two runs of the same sweep and do not belong to its result.
LEFT_OUT = ("attempts", "host", "run_id", "seconds", "traceback")
LEADING = ("run_id", "scenario")
AFTER_DESIGN = ("replication", "seed", "status", "stop_reason")
TRAILING = ("error", "attempts", "seconds", "host", "traceback")


def run_table(rows: Iterable[Mapping[str, Any]], design_columns: Iterable[str] = ()) -> pd.DataFrame:
    """Return one row per run, sorted by run id.

    Columns: run id, design, replication and seed, status, outcomes in alphabetical order, and last
    what is no result. An outcome that is missing in some rows is NaN there.
    """
    records = sorted((dict(row) for row in rows), key=lambda row: row["run_id"])
    present = {name for record in records for name in record}
    leading = [*LEADING, *design_columns, *AFTER_DESIGN]
    outcomes = sorted(present - set(leading) - set(TRAILING))
    columns = [name for name in dict.fromkeys([*leading, *outcomes, *TRAILING]) if name in present]
    return pd.DataFrame({name: _column([record.get(name) for record in records]) for name in columns})


def parquet_bytes(table: pd.DataFrame, schema_version: int) -> bytes:
    """Return `table` as a Parquet file with the schema version in its metadata."""
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    metadata = {**(arrow.schema.metadata or {}), b"schema_version": str(schema_version).encode()}
    arrow = arrow.replace_schema_metadata(metadata)
    stream = io.BytesIO()
    pq.write_table(arrow, stream, compression="zstd")
    return stream.getvalue()


def read_runs(path: Any) -> pd.DataFrame:
    """Return the table of runs of a results folder, or of its Parquet file."""
    path = Path(path)
    return pq.read_table(path / "runs.parquet" if path.is_dir() else path).to_pandas()


def table_digest(table: pd.DataFrame) -> str:
    """Return a digest of all rows without times, attempts, host names and run ids.

    Equal digests mean the same table. Run ids are left out because they also name the versions of
    the libraries, under which the outcomes may well be the same.
    """
    kept = table[[name for name in sorted(table.columns) if name not in LEFT_OUT]]
    lines = []
    for record in kept.to_dict("records"):
        plain = {name: None if _missing(value) else value for name, value in record.items()}
        lines.append(json.dumps(plain, sort_keys=True, default=_python))
    text = "\n".join([json.dumps(list(kept.columns)), *sorted(lines)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _column(values: list[Any]) -> pd.Series:
    """Return a column of one type: whole numbers, numbers, true/false or text."""
    given = [value for value in values if value is not None]
    kinds = {type(value) for value in given}
    if kinds <= {int, float}:
        whole = kinds == {int} and len(given) == len(values)
        return pd.Series(values, dtype="int64" if whole else "float64")
    if kinds == {bool} and len(given) == len(values):
        return pd.Series(values, dtype="bool")
    return pd.Series([value if value is None or isinstance(value, str) else json.dumps(value) for value in values],
                     dtype="object")


def _missing(value: Any) -> bool:
    return value is None or value != value


def _python(value: Any) -> Any:
    return value.item()
