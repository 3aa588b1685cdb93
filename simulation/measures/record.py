"""RunRecord: everything that the measures may read of one finished run."""

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.contracts import Instrument

if TYPE_CHECKING:   # names and units are listed without compiling anything
    from spirals.simulation.market.random_crash import DrawnCrash

__all__ = ["RunRecord", "Series"]

Series = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """The recorder's arrays of one run, with the accounts at its opening and its close.

    Attributes
    ----------
    steps : ndarray of shape (n_steps + 1, n_instruments), dtype STEP
        Row 0 is the opening; row i holds the state at the end of step i and the flow within it.
    totals : ndarray of shape (n_steps + 1,), dtype STEP_TOTAL
    calls, liquidations, adl : ndarray, dtypes CALL, LIQUIDATION, ADL
        One row per event in order of time; empty arrays when there was none.
    step_seconds : float
        Length of a step [s].
    instruments : tuple of Instrument, length n_instruments
    opening_open_interest_lots : ndarray of shape (n_instruments,), int64
        Sum of the long positions at the opening [lots].
    kinds : ndarray of shape (n_accounts,), int8
        :class:`~spirals.simulation.state.Kind` of every account row.
    opening_equity, closing_equity : ndarray of shape (n_accounts,), float
        Equity at the mark [quote].
    deposits : ndarray of shape (n_accounts,), float
        Deposits less withdrawals during the run [quote].
    opening_side : ndarray of shape (n_accounts,), int8
        Sign of the opening position in the first instrument: 1 long, -1 short, 0 none.
    stop_reason : str
        Why the run ended; a bound that was hit is named here.
    seed : int
    outside_profit : ndarray of shape (n_accounts,), float, optional
        Profit of legs held elsewhere, at the index [quote]; not part of the ledger. None: nobody has any.
    crash : DrawnCrash, optional
        The first random crash as the seed drew it; None: the scenario has none.
    """

    steps: NDArray[Any]
    totals: NDArray[Any]
    calls: NDArray[Any]
    liquidations: NDArray[Any]
    adl: NDArray[Any]
    step_seconds: float
    instruments: tuple[Instrument, ...]
    opening_open_interest_lots: NDArray[np.int64]
    kinds: NDArray[np.int8]
    opening_equity: Series
    closing_equity: Series
    deposits: Series
    opening_side: NDArray[np.int8]
    stop_reason: str
    seed: int
    outside_profit: Series | None = None
    crash: "DrawnCrash | None" = None

    def __post_init__(self) -> None:
        if self.steps.ndim != 2 or self.steps.shape[1] != len(self.instruments):
            raise ValueError(f"steps must have shape (n, {len(self.instruments)}), was {self.steps.shape}")
        if len(self.steps) < 1 or len(self.totals) != len(self.steps):
            raise ValueError(f"totals must have {len(self.steps)} rows, at least one, had {len(self.totals)}")
        for name in ("opening_equity", "closing_equity", "deposits", "opening_side"):
            if len(getattr(self, name)) != len(self.kinds):
                raise ValueError(f"{name} must have {len(self.kinds)} rows, had {len(getattr(self, name))}")

    @property
    def lot_sizes(self) -> Series:
        """Size of one lot of each instrument [base], shape (n_instruments,)."""
        return np.array([instrument.lot_size for instrument in self.instruments])

    @property
    def opening_lot_values(self) -> Series:
        """Value of one lot at the opening mark [quote], shape (n_instruments,)."""
        return self.steps["mark"][0] * self.lot_sizes

    @property
    def opening_open_interest(self) -> float:
        """Open interest at the opening mark, all instruments [quote]."""
        return float(np.add.reduce(self.opening_open_interest_lots * self.opening_lot_values))

    def price(self, name: str, instrument: int = 0) -> Series:
        """Return one price path of one instrument [quote], shape (n_steps + 1,)."""
        return np.ascontiguousarray(self.steps[name][:, instrument])
