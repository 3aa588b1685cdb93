"""Recorder: what a run leaves behind. Memory is bounded by what is recorded."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.kernel import lean
from spirals.simulation.state import ADL, CALL, FEES_ROW, FUND_ROW, LIQUIDATION, STEP, STEP_TOTAL, TRADE

__all__ = ["Recorder", "Table", "record_step"]

# Counters of the step that is running, int64; cleared when they are recorded.
REJECTED, TRIMMED, CALLS, LIQUIDATIONS, LIQUIDATED_ACCOUNTS, TOPPED_UP, ROUNDS, HIT_BOUND = range(8)
N_COUNTS = 8


class Table:
    """A growing table of one structured dtype; rows are written by kernels into reserved space."""

    def __init__(self, dtype: np.dtype, capacity: int = 256) -> None:
        self._rows = np.zeros(capacity, dtype)
        self.count = 0

    def reserve(self, n: int) -> NDArray[Any]:
        """Return writable space for `n` more rows; call :meth:`commit` with the number used."""
        needed = self.count + n
        if needed > len(self._rows):
            rows = np.zeros(max(needed, 2 * len(self._rows)), self._rows.dtype)
            rows[: self.count] = self._rows[: self.count]
            self._rows = rows
        return self._rows[self.count:]

    def commit(self, n: int) -> None:
        """Keep the first `n` reserved rows."""
        self.count += n

    @property
    def rows(self) -> NDArray[Any]:
        """The rows written so far (a view)."""
        return self._rows[: self.count]

    def restore(self, rows: NDArray[Any]) -> None:
        """Replace the content by a copy of `rows`."""
        self._rows = np.array(rows, self._rows.dtype)
        if not len(self._rows):
            self._rows = np.zeros(16, self._rows.dtype)
        self.count = len(rows)


class Recorder:
    """Rows per step, and tables of calls, liquidations, auto-deleveraging and (on request) trades.

    Attributes
    ----------
    steps : ndarray of shape (n_steps + 1, n_instruments), STEP
        Row 0 is the opening.
    totals : ndarray of shape (n_steps + 1,), STEP_TOTAL
    calls, liquidations, adl, trades : Table
    """

    def __init__(self, n_steps: int, n_instruments: int, *, trades: bool = False) -> None:
        self.steps = np.zeros((n_steps + 1, n_instruments), STEP)
        self.totals = np.zeros(n_steps + 1, STEP_TOTAL)
        self.calls = Table(CALL)
        self.liquidations = Table(LIQUIDATION)
        self.adl = Table(ADL)
        self.trades = Table(TRADE)
        self.trade_steps: list[tuple[int, int]] = []
        self.keep_trades = trades

    def keep(self, trades: NDArray[Any], step: int) -> None:
        """Copy the trades of a step to the trade table."""
        self.trades.reserve(len(trades))[: len(trades)] = trades
        self.trades.commit(len(trades))
        self.trade_steps.append((step, len(trades)))

    def forget(self, step: int) -> None:
        """Void the rows of steps after `step`, and all tables: what follows is another course of events."""
        self.steps[step + 1:] = 0
        self.totals[step + 1:] = 0
        for table in (self.calls, self.liquidations, self.adl, self.trades):
            table.count = 0
        self.trade_steps.clear()

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything recorded, by name."""
        return {
            "steps": self.steps, "totals": self.totals, "calls": self.calls.rows,
            "liquidations": self.liquidations.rows, "adl": self.adl.rows, "trades": self.trades.rows,
            "trade_steps": np.array(self.trade_steps, np.int64).reshape(-1, 2),
        }

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Continue from recorded arrays."""
        self.steps[...] = arrays["steps"]
        self.totals[...] = arrays["totals"]
        for name in ("calls", "liquidations", "adl", "trades"):
            getattr(self, name).restore(arrays[name])
        self.trade_steps = [(int(step), int(count)) for step, count in arrays["trade_steps"]]


@lean
def record_step(accounts, positions, record, requirement, contracts, counts, out_steps, out_totals):
    """Write the state at the end of a step into its STEP rows and STEP_TOTAL row; clear `counts`."""
    out_total = out_totals[0]
    atom = contracts[0]["atom"]
    for i in range(len(record)):
        market = record[i]
        row = out_steps[i]
        row["exogenous"] = market["exogenous"]
        row["index"] = market["index"]
        row["oracle"] = market["oracle"]
        row["mark"] = market["mark"]
        row["mid"] = market["mid"]
        row["last"] = market["last"]
        row["spread"] = market["spread"]
        for band in range(3):
            row["depth_bid"][band] = market["depth_bid"][band]
            row["depth_ask"][band] = market["depth_ask"][band]
        row["volatility"] = market["volatility"]
        row["initial_rate"] = requirement[i, 0]["initial_rate"]
        row["maintenance_rate"] = requirement[i, 0]["maintenance_rate"]
        row["funding_rate"] = market["funding_rate"]
        open_interest = 0
        for a in range(len(accounts)):
            lots = positions[a, i]["lots"]
            if lots > 0:
                open_interest += lots
        market["open_interest"] = open_interest
        row["open_interest"] = open_interest
    initial = 0
    maintenance = 0
    for a in range(len(accounts)):
        account = accounts[a]
        out_total["equity"][account["kind"]] += account["equity"] * atom
        if account["margined"] == 1:
            initial += account["initial_margin"]
            maintenance += account["maintenance_margin"]
    out_total["rounds"] = counts[ROUNDS]
    out_total["hit_bound"] = counts[HIT_BOUND]
    out_total["calls"] = counts[CALLS]
    out_total["liquidations"] = counts[LIQUIDATIONS]
    out_total["liquidated_accounts"] = counts[LIQUIDATED_ACCOUNTS]
    out_total["rejected"] = counts[REJECTED]
    out_total["trimmed"] = counts[TRIMMED]
    out_total["topped_up"] = counts[TOPPED_UP] * atom
    counts[:] = 0
    out_total["margin_locked"] = initial * atom
    out_total["maintenance_locked"] = maintenance * atom
    out_total["fund"] = accounts[FUND_ROW]["cash"] * atom
    out_total["fees"] = accounts[FEES_ROW]["cash"] * atom
    out_total["uncovered"] = max(-accounts[FUND_ROW]["equity"], 0) * atom
    return 0
