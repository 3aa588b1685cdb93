"""Workspace: everything a run allocates once, and the rules of its set-up as kernels take them."""

import math
from typing import Any

import numpy as np

from spirals.simulation.contracts import contracts_of
from spirals.simulation.margin.stage import MarginStage
from spirals.simulation.market.market import Market
from spirals.simulation.open_loop import ClosedLoop
from spirals.simulation.order_book.book import OrderBook
from spirals.simulation.population_like import PopulationLike
from spirals.simulation.randomness import stream_key
from spirals.simulation.recorder import N_COUNTS, Recorder
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
)

__all__ = ["Workspace"]

FIXED_KINDS = {
    FEES_ROW: Kind.FEES, FUND_ROW: Kind.FUND, WAREHOUSE_ROW: Kind.WAREHOUSE,
    LIQUIDATOR_ROW: Kind.LIQUIDATOR, BACKGROUND_ROW: Kind.BACKGROUND,
}


class Workspace:
    """Arrays and parts of a run before anybody has opened an account; the parameters are those of `Simulation`."""

    margin: MarginStage   # set when the accounts open

    def __init__(
        self, setup: Any, population: PopulationLike, seed: int, *, branch: int = 0, trades: bool = False,
        loop: ClosedLoop | None = None,
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
        self.loop = loop or ClosedLoop()
        self.loop.attach(self.market)
        self.book = OrderBook(self.instruments, len(self.accounts))
        self.recorder = Recorder(self.n_steps, len(self.instruments), trades=trades)
        self._read_rules(setup)

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

    def _select_rows(self, step: int) -> None:
        if step <= self.n_steps:
            self._steps_row = self.recorder.steps[step]
            self._total_row = self.recorder.totals[step : step + 1]
