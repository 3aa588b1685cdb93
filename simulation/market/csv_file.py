"""CSV files, read strictly: what a spreadsheet or a cut-off download does to a file is told, never guessed.

UTF-8 with or without a byte-order mark, any line ends, commas between columns, decimal points. Blank lines are
skipped; line numbers are those of the file.
"""

import csv
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

from spirals.simulation.errors import InputError

__all__ = ["SHOWN", "CsvTable", "csv_number", "read_csv", "shortened"]

SHOWN = 5  # lines named per kind of fault; the others are counted


@dataclasses.dataclass(frozen=True)
class CsvTable:
    """Text of a CSV file by line and column.

    Attributes
    ----------
    path : Path
    names : tuple of str
        Columns of the header, without blanks around them.
    lines : list of int
        Line number of each row; the header is line 1 unless blank lines stand before it.
    rows : list of dict of str to str
        Values by column, without blanks around them; lines of another length are left out.
    problems : list of str
        One line per row that has more or fewer values than the header has columns.
    """

    path: Path
    names: tuple[str, ...]
    lines: list[int]
    rows: list[dict[str, str]]
    problems: list[str]


def read_csv(path: Path, what: str) -> CsvTable:
    """Return the table of a file; `what` says in messages what the file should be.

    Raises
    ------
    InputError
        No file, no UTF-8 text, no header, columns separated by something else, two columns of one name.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream)
            lines = [(reader.line_num, [text.strip() for text in line]) for line in reader if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError([f"{path}: {what} must be readable CSV text in UTF-8, gave {error}"]) from None
    if not lines:
        raise InputError([f"{path}: {what} must have a header and rows, was empty"])
    names = tuple(lines[0][1])
    if len(names) == 1 and (";" in names[0] or "\t" in names[0]):
        raise InputError([f"{path}: columns must be separated by commas, decimals by points; header was {names[0]!r}"])
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError([f"{path}: columns must have different names, had several called {', '.join(repeated)}"])
    good = [(line, values) for line, values in lines[1:] if len(values) == len(names)]
    uneven = [f"{path}, line {line}: must have {len(names)} values, one per column, had {len(values)} (a comma for "
              "the decimal point, or a line cut off?)" for line, values in lines[1:] if len(values) != len(names)]
    return CsvTable(path, names, [line for line, _ in good],
                    [dict(zip(names, values, strict=True)) for _, values in good], shortened(uneven, path))


def csv_number(text: str | None) -> float:
    """Return a number, or NaN for anything else; digits are not grouped, by whatever sign."""
    try:
        return math.nan if text is None or "_" in text else float(text)
    except ValueError:
        return math.nan


def shortened(problems: Sequence[str], path: Path) -> list[str]:
    """Return the first few problems of one kind and how many more there are."""
    more = len(problems) - SHOWN
    return [*problems[:SHOWN], *([f"{path}: the same in {more} further lines"] if more > 0 else [])]
