"""A positions file of the user's: one row per account and instrument, checked as a whole.

Columns: ``account`` (any label), ``instrument`` (its name), ``size`` [base], ``entry_price`` [quote],
``collateral`` [quote]; optional ``side`` (long or short; without it `size` is signed) and ``mode``
(cross or isolated, cross by default). Rows of one account share its ledger row.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.agents.opening import HOLDING
from spirals.simulation.contracts import Instrument
from spirals.simulation.errors import InputError
from spirals.simulation.market.csv_file import csv_number, read_csv
from spirals.simulation.state import Mode

__all__ = ["PositionTable", "read_positions"]

REQUIRED = ("account", "instrument", "size", "entry_price", "collateral")
OPTIONAL = ("side", "mode")
MODES = ("cross", "isolated")
MOST = 1e12   # beyond it money no longer fits into whole atoms


class PositionTable:
    """Opening positions of a file.

    Attributes
    ----------
    labels : tuple of str
        Accounts in order of appearance; a row's `account` is the index into it.
    holdings : ndarray of HOLDING
        Account, instrument, lots, entry and mode; the rest is filled at the opening.
    collateral : ndarray of float
        [quote] One value per holding.
    surplus : ndarray of int64
        [lots] Sum of the positions of each instrument; 0 when the file is net zero.
    """

    def __init__(self, labels: list[str], holdings: NDArray[Any], collateral: list[float], surplus: list[int]) -> None:
        self.labels = tuple(labels)
        self.holdings = holdings
        self.collateral = np.array(collateral, np.float64)
        self.surplus = np.array(surplus, np.int64)


def read_positions(file: str, instruments: tuple[Instrument, ...], balance: str) -> PositionTable:
    """Read and check a positions file.

    Raises
    ------
    InputError
        With every fault: missing file or columns, unknown instrument, not a number, part of a lot,
        twice the same position, two modes of one account, not net zero when `balance` is "refuse".
    """
    path = Path(file)
    if not path.is_file():
        raise InputError([f"positions file must exist, was {file!r}"])
    table = read_csv(path, "positions file")
    missing = [name for name in REQUIRED if name not in table.names]
    unknown = [name for name in table.names if name not in REQUIRED + OPTIONAL]
    found = [f"{path}: columns must be {', '.join(REQUIRED)} (and side, mode); missing {name}" for name in missing]
    found += [f"{path}: unknown column {name!r}; allowed: {', '.join(REQUIRED + OPTIONAL)}" for name in unknown]
    found += table.problems
    if missing:
        raise InputError(found)
    parser = _Parser(path, instruments, found)
    for line, record in zip(table.lines, table.rows, strict=True):
        parser.read(line, record)
    return parser.finish(balance)


class _Parser:
    """Collects rows and faults of one file."""

    def __init__(self, path: Path, instruments: tuple[Instrument, ...], found: list[str]) -> None:
        self.path, self.instruments, self.found = path, instruments, found
        self.names = [instrument.name for instrument in instruments]
        self.numbers: dict[str, int] = {}
        self.rows: list[tuple[int, int, int, int, int]] = []
        self.collateral: list[float] = []
        self.modes: dict[str, str] = {}
        self.seen: set[tuple[str, str]] = set()

    def read(self, line: int, record: dict[str, str]) -> None:
        def wrong(what: str, allowed: str, given: str) -> None:
            self.found.append(f"{self.path}, line {line}: {what} must be {allowed}, was {given!r}")

        before = len(self.found)
        label, name = record["account"], record["instrument"]
        mode = record.get("mode") or "cross"
        if not label:
            wrong("account", "a label", label)
        if name not in self.names:
            wrong("instrument", f"one of {', '.join(self.names)}", name)
        if mode not in MODES:
            wrong("mode", "cross or isolated", mode)
        if self.modes.setdefault(label, mode) != mode:
            wrong(f"mode of account {label!r}", f"the same in all rows ({self.modes[label]})", mode)
        if (label, name) in self.seen:
            wrong("account and instrument", "together in one row only", f"{label}, {name}")
        self.seen.add((label, name))
        size, entry = csv_number(record["size"]), csv_number(record["entry_price"])
        collateral = csv_number(record["collateral"])
        side = record.get("side", "")
        if side not in ("", "long", "short"):
            wrong("side", "long, short or empty", side)
        if not abs(size) < MOST or size == 0 or (side and size < 0):
            wanted = "a number above 0" if side else "a number other than 0"
            wrong("size", wanted + ", below 1e12", record["size"])
        if not 0 < entry < MOST:
            wrong("entry_price", "a number above 0, below 1e12", record["entry_price"])
        if not 0 <= collateral < MOST:
            wrong("collateral", "a number of at least 0, below 1e12", record["collateral"])
        if len(self.found) > before:
            return
        instrument = self.names.index(name)
        contract = self.instruments[instrument]
        lots = size / contract.lot_size
        if abs(lots - round(lots)) > 1e-6:
            wrong("size", f"a whole number of lots of {contract.lot_size:g}", record["size"])
        ticks = round(entry / contract.tick_size)
        if not 1 <= ticks < contract.n_ticks:
            wrong("entry_price", f"below max_price ({contract.max_price:g})", record["entry_price"])
        if label not in self.numbers:
            self.numbers[label] = len(self.numbers)
        signed = round(lots) * (-1 if side == "short" else 1)
        self.rows.append((self.numbers[label], instrument, signed, ticks, MODES.index(mode)))
        self.collateral.append(collateral)

    def finish(self, balance: str) -> PositionTable:
        if not self.rows and not self.found:
            self.found.append(f"{self.path}: must have at least one position")
        surplus = [sum(row[2] for row in self.rows if row[1] == i) for i in range(len(self.instruments))]
        for instrument, lots in zip(self.instruments, surplus, strict=True):
            if lots != 0 and balance != "background" and not self.found:
                self.found.append(f"{self.path}: positions in {instrument.name} must add up to 0, sum was "
                                  f"{lots * instrument.lot_size:g}; with balance = \"background\" the background "
                                  "holds the rest")
        if self.found:
            raise InputError(self.found)
        holdings = np.zeros(len(self.rows), HOLDING)
        for holding, (account, column, signed, ticks, mode) in zip(holdings, self.rows, strict=True):
            holding["account"], holding["instrument"], holding["lots"] = account, column, signed
            holding["entry_ticks"], holding["isolated"] = ticks, int(mode == Mode.ISOLATED)
        return PositionTable(list(self.numbers), holdings, self.collateral, surplus)
