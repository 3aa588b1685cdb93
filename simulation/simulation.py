"""Simulation: the venue and its clock; `step` is the loop on one screen.

What a run allocates stands in `workspace`, its stages in `stages`, saving and restoring in `saved_state`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.margin.stage import MarginStage
from spirals.simulation.measures.record import RunRecord
from spirals.simulation.open_loop import ClosedLoop
from spirals.simulation.population_like import PopulationLike
from spirals.simulation.saved_state import SCHEMA_VERSION, SavedState
from spirals.simulation.state import FUND_ROW

__all__ = ["SCHEMA_VERSION", "PopulationLike", "Simulation"]


class Simulation(SavedState):
    """One run: state, parts, clock and recorder. Knows no agents beyond `population`, and no Mesa.

    Parameters
    ----------
    setup : object
        Has the parts of a run as attributes: instruments, outside_world, shocks, price_feed,
        volatility, funding, margin, margin_calls, liquidation, waterfall, engine, steps,
        step_seconds, opening_seconds (a `spirals.scenarios.Scenario` has).
    population : PopulationLike
    seed : int
    branch : int
        Fork of the run; changes every draw made after the fork.
    trades : bool
        Keep every trade.
    loop : ClosedLoop, optional
        Which edges of the loop are cut, or taped for others; closed by default.
    """

    def __init__(
        self, setup: Any, population: PopulationLike, seed: int, *, branch: int = 0, trades: bool = False,
        loop: ClosedLoop | None = None,
    ) -> None:
        super().__init__(setup, population, seed, branch=branch, trades=trades, loop=loop)
        self._open()

    def step(self) -> None:
        """Run one step: the six stages, then liquidation rounds over stages 3 to 6."""
        self.step_index += 1
        market = self._advance()                             # 1 market
        self.margin.update(market)                           # 2 margin policy
        due = self._assess()                                 # 3 accounts
        n_orders = self._decide()                            # 4 decisions
        n_orders = self._close_out(due, n_orders, round_=0)
        trades = self._trade(n_orders)                       # 5 trading
        moved = self._settle(trades)                         # 6 settlement: the new mark is read next step
        self.population.after_trading(self, self.orders[:n_orders])
        due = self._assess()
        rounds = 1
        while due and moved and rounds < self.setup.engine.max_rounds:
            reacting = self._react(rounds)
            n_orders = self._close_out(due, reacting, round_=rounds)
            moved = self._settle(self._trade(n_orders))
            if reacting:
                self.population.after_trading(self, self.orders[:reacting])
            due = self._assess()
            rounds += 1
        self._record(rounds, hit_bound=bool(due and moved))

    def run(self, steps: int | None = None) -> None:
        """Run `steps` steps, or to the end of the scenario."""
        last = self.n_steps if steps is None else min(self.n_steps, self.step_index + steps)
        while self.step_index < last:
            self.step()

    @property
    def stop_reason(self) -> str:
        """Why the run stands where it stands; names every bound that was hit."""
        done = self.step_index
        reason = "horizon" if done >= self.n_steps else f"stopped at step {done} of {self.n_steps}"
        bounded = int(self.recorder.totals["hit_bound"][: done + 1].sum())
        if bounded:
            reason += f"; round bound ({self.setup.engine.max_rounds}) hit in {bounded} steps"
        for k, instrument in enumerate(self.instruments):
            beyond = int((self.recorder.steps["index"][: done + 1, k] >= instrument.max_price).sum())
            if beyond:
                reason += f"; {instrument.name} above max_price ({instrument.max_price:g}) in {beyond} steps"
        return reason

    def _open(self) -> None:
        """Open the accounts, seed the book, record row 0."""
        self._select_rows(0)
        fund = round(self.setup.waterfall.insurance_fund / self.instruments[0].atom)
        self.accounts[FUND_ROW]["cash"] = self.accounts[FUND_ROW]["deposits"] = fund
        self.margin = MarginStage(self.setup.margin, self.market.state)
        self.population.open(self)
        self.opening_open_interest = np.maximum(self.positions["lots"], 0).sum(axis=0)
        self.opening_side = np.sign(self.positions["lots"][:, 0]).astype(np.int8)
        self._assess()
        self.opening_equity = self.accounts["equity"] * self.instruments[0].atom
        self._opening_deposits = (self.accounts["deposits"] - self.accounts["withdrawals"]).copy()
        n_orders = self._decide()
        self._settle(self._trade(n_orders))
        self.population.after_trading(self, self.orders[:n_orders])
        self._assess()
        self._record(1, hit_bound=False)

    def record(self) -> RunRecord:
        """Return what the run has left behind so far, for the measures."""
        atom = self.instruments[0].atom
        deposits = self.accounts["deposits"] - self.accounts["withdrawals"] - self._opening_deposits
        return RunRecord(
            steps=self.recorder.steps[: self.step_index + 1],
            totals=self.recorder.totals[: self.step_index + 1],
            calls=self.recorder.calls.rows, liquidations=self.recorder.liquidations.rows, adl=self.recorder.adl.rows,
            step_seconds=self.step_seconds, instruments=self.instruments,
            opening_open_interest_lots=self.opening_open_interest, kinds=self.accounts["kind"].copy(),
            opening_equity=self.opening_equity, closing_equity=self.accounts["equity"] * atom,
            deposits=deposits * atom, opening_side=self.opening_side, stop_reason=self.stop_reason, seed=self.seed,
            outside_profit=self._outside_profit(),
        )

    def _outside_profit(self) -> NDArray[np.float64]:
        asked = getattr(self.population, "outside_profit", None)
        return np.zeros(len(self.accounts)) if asked is None else asked(self)
