"""Simulation: the venue and its clock; `step` is the loop on one screen."""

import math
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.accounts.assessment import assess
from spirals.simulation.accounts.ledger import check_identities, settle_trades
from spirals.simulation.accounts.pre_trade import check_orders
from spirals.simulation.accounts.top_ups import move_top_ups
from spirals.simulation.arrival import arrival_sequence
from spirals.simulation.contracts import contracts_of
from spirals.simulation.liquidation.close_out import close_out_orders
from spirals.simulation.liquidation.settlement import settle_liquidations
from spirals.simulation.liquidation.shadow import execute_beside_book, refill_shadow
from spirals.simulation.margin.stage import MarginStage
from spirals.simulation.market.market import Market
from spirals.simulation.market.random_crash import DrawnCrash
from spirals.simulation.measures.record import RunRecord
from spirals.simulation.order_book.book import OrderBook
from spirals.simulation.randomness import stream_key
from spirals.simulation.recorder import (
    CALLS,
    HIT_BOUND,
    LIQUIDATED_ACCOUNTS,
    LIQUIDATIONS,
    N_COUNTS,
    ROUNDS,
    TOPPED_UP,
    Recorder,
    record_step,
)
from spirals.simulation.state import (
    ACCOUNT,
    BACKGROUND_ROW,
    FEES_ROW,
    FUND_ROW,
    LIQUIDATION,
    LIQUIDATOR_ROW,
    ORDER,
    POSITION,
    WAREHOUSE_ROW,
    Kind,
    hash_arrays,
)

__all__ = ["SCHEMA_VERSION", "PopulationLike", "Simulation"]

SCHEMA_VERSION = 1
FIXED_KINDS = {
    FEES_ROW: Kind.FEES, FUND_ROW: Kind.FUND, WAREHOUSE_ROW: Kind.WAREHOUSE,
    LIQUIDATOR_ROW: Kind.LIQUIDATOR, BACKGROUND_ROW: Kind.BACKGROUND,
}


class PopulationLike(Protocol):
    """Who trades: what `agents` provides and the venue calls.

    Where it has them, the venue also calls ``after_deleveraging(simulation, cuts)`` with the ADL records of a
    round, ``react(simulation, orders, round)`` for orders between liquidation rounds, and
    ``outside_profit(simulation)`` for the profit of legs held elsewhere [quote] by account.
    """

    n_accounts: int
    max_orders: int
    top_up_requests: NDArray[np.int64]

    def open(self, simulation: "Simulation") -> None:
        """Write opening money and positions into the ledger."""

    def decide(self, simulation: "Simulation", orders: NDArray[Any]) -> int:
        """Write the orders of this step; return how many."""

    def after_trading(self, simulation: "Simulation", orders: NDArray[Any]) -> None:
        """See what became of the orders."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the state by name."""

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Continue from saved arrays."""


class Simulation:
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
    """

    def __init__(
        self, setup: Any, population: PopulationLike, seed: int, *, branch: int = 0, trades: bool = False
    ) -> None:
        self.setup = setup
        self.population = population
        self._on_deleveraging = getattr(population, "after_deleveraging", None)
        self._on_round = getattr(population, "react", None)
        self.seed = int(seed)
        self.branch = branch
        self.step_index = 0
        self.n_steps = int(setup.steps)
        self.step_seconds = float(setup.step_seconds)
        self.instruments = tuple(setup.instruments)
        self.contracts = contracts_of(self.instruments)
        self._allocate(population)
        self.market = Market(
            self.instruments, setup.outside_world, setup.shocks, setup.price_feed, setup.volatility, setup.funding,
            self.n_steps, self.step_seconds, self.seed, setup.opening_seconds,
        )
        self.book = OrderBook(self.instruments, len(self.accounts))
        self.recorder = Recorder(self.n_steps, len(self.instruments), trades=trades)
        self._read_rules(setup)
        self._open()

    def step(self) -> None:
        """Run one step: the six stages, then liquidation rounds over stages 3 to 6."""
        self.step_index += 1
        market = self.market.advance(self.step_index)        # 1 market
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

    # -- stages -------------------------------------------------------------------------------------

    def _assess(self) -> int:
        due, calls = assess(
            self.accounts, self.positions, self.book.resting, self.market.record, self.contracts, self.margin.table,
            self.margin.grandfathered, self._call_rules, self.step_index, self._due,
            self.recorder.calls.reserve(len(self.accounts)),
        )
        if calls:
            self.recorder.calls.commit(calls)
            self._counts[CALLS] += calls
        return due if self._liquidating and self.step_index % self._period_steps == 0 else 0

    def _decide(self) -> int:
        return self.population.decide(self, self.orders)

    def _react(self, round_: int) -> int:
        """Let those act who are faster than a step; return the number of orders."""
        return self._on_round(self, self.orders, round_) if self._on_round is not None else 0

    def _close_out(self, due: int, n_orders: int, round_: int) -> int:
        self._n_liquidations = 0
        if due == 0:
            return n_orders
        rows = self.recorder.liquidations.reserve(due * len(self.instruments))
        n_orders, self._n_liquidations, self._counters[0], newly = close_out_orders(
            self._due, due, self.accounts, self.positions, self.market.record, self.contracts, self.margin.table,
            self.book.resting, self.margin.grandfathered, self._mechanism, self.setup.liquidation.price_band,
            self._cooldown_steps, self.setup.engine.latency_us, self.step_index, round_, int(self._counters[0]),
            self.orders, n_orders, rows,
        )
        self._liquidations = rows
        self._counts[LIQUIDATIONS] += self._n_liquidations
        self._counts[LIQUIDATED_ACCOUNTS] += newly
        return n_orders

    def _trade(self, n_orders: int) -> NDArray[Any]:
        arrival_sequence(
            self.orders, n_orders, self._step_us, self._tie_key, self.step_index, self._sequence, self._work_sort
        )
        sequence = self._sequence[:n_orders]
        check_orders(
            self.orders, sequence, self.accounts, self.positions, self.book.resting, self.book.slots, self.book.pool,
            self.market.record, self.contracts, self.margin.table, self._pending, self._work_first, self._work_turn,
            self._counts,
        )
        if self._beside_book:
            left = execute_beside_book(
                self.orders, sequence, self._routes, self.book.ladder, self.book.words, self.book.tops,
                self.shadow_consumed, self.accounts, self.positions, self.market.record, self.contracts,
                self.margin.table, self._liquidations, self._n_liquidations, self._work_record, self._book_sequence,
                self._steps_row,
            )
            sequence = self._book_sequence[:left]
        np.copyto(self._reducible, self.positions["lots"])
        return self.book.match(self.orders, sequence, self._reducible)

    def _settle(self, trades: NDArray[Any]) -> bool:
        """Settle trades and liquidations, mark to market; return whether a liquidation moved anything."""
        record = self.market.record
        settle_trades(trades, self.accounts, self.positions, self.contracts, self.margin.table, self._steps_row)
        adl = 0
        n = self._n_liquidations
        if n:
            # Every cut empties a counterparty or the bankrupt account; the fund may take the rest of each.
            space = self.recorder.adl.reserve(len(self.accounts) + 2 * n)
            adl = settle_liquidations(
                trades, self._liquidations, n, self.accounts, self.positions, record, self.contracts, self.margin.table,
                self.setup.liquidation.fee_rate, self.setup.waterfall.deleveraging_code, self.step_index,
                int(self._liquidations[0]["round"]), self._work_record, self._work_score, self._work_rows, space,
                self._steps_row, self._total_row,
            )
            if adl and self._on_deleveraging is not None:
                self._on_deleveraging(self, space[:adl])
            self.recorder.adl.commit(adl)
            self.recorder.liquidations.commit(n)
        if self.recorder.keep_trades:
            self.recorder.keep(trades, self.step_index)
        self.book.observe(record)
        self.market.remark()
        return bool(n) and (adl > 0 or bool(np.any(self._liquidations["filled_lots"][:n] != 0)))

    def _record(self, rounds: int, *, hit_bound: bool) -> None:
        """Close the step: transfers, funding, identities, recorder; prepare the next step's rows."""
        counts = self._counts
        counts[TOPPED_UP] = move_top_ups(
            self.accounts, self.positions, self.population.top_up_requests, self.step_index, self._transfer_steps,
            self._freeze[0] <= self.step_index < self._freeze[1],
        )
        self.market.pay_funding(self.accounts, self.positions, self.contracts)
        if self._beside_book:
            refill_shadow(self.shadow_consumed, self._shadow_keep)
        counts[ROUNDS] = rounds
        counts[HIT_BOUND] = hit_bound
        record_step(
            self.accounts, self.positions, self.market.record, self.margin.table, self.contracts, counts,
            self._steps_row, self._total_row,
        )
        if self.setup.engine.check_identities:
            check_identities(self.accounts, self.positions)
        self._select_rows(self.step_index + 1)

    # -- set-up -------------------------------------------------------------------------------------

    def _allocate(self, population: PopulationLike) -> None:
        n, m = population.n_accounts, len(self.instruments)
        self.accounts = np.zeros(n, ACCOUNT)
        self.positions = np.zeros((n, m), POSITION)
        for name in ("transfer_step", "call_step", "event"):
            self.accounts[name] = -1
        for row, kind in FIXED_KINDS.items():
            self.accounts[row]["kind"] = kind
        capacity = population.max_orders + 2 * n * m
        self.orders = np.zeros(capacity, ORDER)
        self.shadow_consumed = np.zeros((m, 2))
        self._counters = np.zeros(1, np.int64)
        self._due = np.zeros(n, np.int64)
        self._sequence = np.zeros(capacity, np.int64)
        self._book_sequence = np.zeros(capacity, np.int64)
        self._work_sort = np.zeros((3, capacity), np.int64)
        self._work_record = np.full((n, m), -1, np.int64)
        self._work_score = np.zeros(n)
        self._work_rows = np.zeros(n, np.int64)
        self._pending = np.zeros((n, m, 2), np.int64)
        self._work_first = np.full(n, -1, np.int64)
        self._work_turn = np.zeros(capacity, np.int64)
        self._reducible = np.zeros((n, m), np.int64)
        self._counts = np.zeros(N_COUNTS, np.int64)
        self._liquidations = np.zeros(0, LIQUIDATION)
        self._n_liquidations = 0

    def _read_rules(self, setup: Any) -> None:
        """Turn the parameters of the venue into what kernels take."""
        calls, mechanism, engine = setup.margin_calls, setup.liquidation, setup.engine
        self._call_rules = (calls.call_level, calls.liquidation_level, round(calls.grace_seconds / self.step_seconds))
        self._transfer_steps = round(calls.transfer_seconds / self.step_seconds)
        first = round(calls.freeze_at_seconds / self.step_seconds)
        self._freeze = (first, first + round(calls.freeze_seconds / self.step_seconds))
        self._mechanism = (mechanism.size_code, mechanism.fraction, mechanism.partial_above, mechanism.target_ratio,
                           int(mechanism.then_full))
        self._cooldown_steps = round(mechanism.cooldown_seconds / self.step_seconds)
        self._routes = np.array(engine.routes(), np.int64)
        self._beside_book = bool(self._routes.any())
        self._liquidating = bool(engine.liquidation)
        self._period_steps = max(1, round(engine.period_seconds / self.step_seconds))
        self._shadow_keep = math.exp(-self.step_seconds / engine.shadow_refill_seconds)
        self._step_us = max(1, round(self.step_seconds * 1e6))
        self._tie_key = stream_key(self.seed, "arrival.tie", self.branch)

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

    def _select_rows(self, step: int) -> None:
        if step <= self.n_steps:
            self._steps_row = self.recorder.steps[step]
            self._total_row = self.recorder.totals[step : step + 1]

    # -- results and state --------------------------------------------------------------------------

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
            crash=next((shock for shock in self.market.shocks if isinstance(shock, DrawnCrash)), None),
        )

    def _outside_profit(self) -> NDArray[np.float64]:
        asked = getattr(self.population, "outside_profit", None)
        return np.zeros(len(self.accounts)) if asked is None else asked(self)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the whole state by name (live references): what decides how the run continues."""
        found = {
            "accounts": self.accounts, "positions": self.positions, "counters": self._counters,
            "shadow_consumed": self.shadow_consumed, "clock": np.array([self.step_index, self.branch], np.int64),
        }
        for prefix, part in (("market", self.market), ("book", self.book), ("margin", self.margin),
                             ("population", self.population)):
            found.update({f"{prefix}.{name}": array for name, array in part.arrays().items()})
        return found

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Continue from the arrays of a simulation with the same set-up."""
        def part(prefix: str) -> dict[str, NDArray[Any]]:
            return {name[len(prefix):]: array for name, array in arrays.items() if name.startswith(prefix)}

        for name in ("accounts", "positions", "shadow_consumed"):
            np.copyto(getattr(self, name), arrays[name])
        np.copyto(self._counters, arrays["counters"])
        self.step_index, self.branch = (int(value) for value in arrays["clock"])
        self._tie_key = stream_key(self.seed, "arrival.tie", self.branch)
        self.market.restore(part("market."))
        self.book.restore(part("book."))
        self.margin.restore(part("margin."), self.market.state)
        self.population.restore(part("population."))
        self._select_rows(self.step_index + 1)

    def hash(self) -> str:
        """Return a digest of the state; equal digests continue equally."""
        return hash_arrays(self.arrays())

    def save(self, path: Path | str) -> None:
        """Write state and recorder to an `npz` file, whole or not at all."""
        path = Path(path)
        arrays = self.arrays()
        arrays.update({f"recorder.{name}": array for name, array in self.recorder.arrays().items()})
        arrays["schema_version"] = np.array([SCHEMA_VERSION])
        temporary = path.with_name(path.name + ".tmp")
        with temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        temporary.replace(path)

    def load(self, path: Path | str) -> None:
        """Continue from a file written by :meth:`save` of a simulation with the same set-up.

        Raises
        ------
        ValueError
            The file was written by a newer version, or for another set-up.
        """
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        version = int(arrays.pop("schema_version")[0])
        if version > SCHEMA_VERSION:
            raise ValueError(f"{path}: state of schema_version {version}, this program reads up to {SCHEMA_VERSION}")
        mine = (self.accounts.shape, self.recorder.steps.shape)
        if (arrays["accounts"].shape, arrays["recorder.steps"].shape) != mine:
            raise ValueError(f"{path}: state of another set-up (accounts, instruments or steps differ)")
        self.recorder.restore({n[9:]: a for n, a in arrays.items() if n.startswith("recorder.")})
        self.restore(arrays)
