"""Read a depth file: cumulative notional by distance from the mid, as CSV."""

import csv
import functools
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.errors import InputError

__all__ = ["DEPTH_COLUMNS", "read_depth_file"]

MOST = 1e15   # [quote] beyond it lots no longer fit
DEPTH_COLUMNS = ("distance_bp", "bid_notional", "ask_notional")


def read_depth_file(file: str) -> NDArray[np.float64]:
    """Return the rows of a depth file with (0, 0, 0) before them, shape (n_rows + 1, 3).

    Raises
    ------
    InputError
        With every fault of the file: missing columns, not a number, not increasing, negative.
    """
    path = Path(file)
    if not file or not path.is_file():
        raise InputError([f"depth file must exist, was {file!r}"])
    return _read_depth(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=16)
def _read_depth(path: Path, stamp: int) -> NDArray[np.float64]:
    found: list[str] = []
    rows = [[0.0, 0.0, 0.0]]
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        names = [name.strip() for name in reader.fieldnames or ()]
        missing = [name for name in DEPTH_COLUMNS if name not in names]
        if missing:
            raise InputError([f"{path}: columns must be {', '.join(DEPTH_COLUMNS)}; missing {', '.join(missing)}"])
        reader.fieldnames = names
        for line, record in enumerate(reader, start=2):
            values = [_number(record.get(name)) for name in DEPTH_COLUMNS]
            for name, value in zip(DEPTH_COLUMNS, values, strict=True):
                if not 0 <= value < MOST:
                    found.append(f"{path}, line {line}: {name} must be a number of at least 0, below 1e15, "
                                 f"was {record.get(name)!r}")
            if values[0] <= rows[-1][0]:
                found.append(f"{path}, line {line}: distance_bp must increase, was {values[0]:g} after {rows[-1][0]:g}")
            for name, value, last in zip(DEPTH_COLUMNS[1:], values[1:], rows[-1][1:], strict=True):
                if value < last:
                    found.append(f"{path}, line {line}: {name} is cumulative and must not fall, "
                                 f"was {value:g} after {last:g}")
            rows.append(values)
    if len(rows) < 2:
        found.append(f"{path}: must have at least one row")
    elif min(rows[-1][1:]) <= 0:
        found.append(f"{path}: both sides must have some notional")
    if found:
        raise InputError(found)
    table = np.array(rows, np.float64)
    table.flags.writeable = False
    return table


def _number(text: Any) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        return math.nan
