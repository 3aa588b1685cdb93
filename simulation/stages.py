"""The stages of a step: each method is one line of `Simulation.step`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.accounts.assessment import assess
from spirals.simulation.accounts.ledger import check_identities, settle_trades
from spirals.simulation.accounts.pre_trade import check_orders
from spirals.simulation.accounts.top_ups import move_top_ups
from spirals.simulation.arrival import arrival_sequence
from spirals.simulation.liquidation.close_out import close_out_orders
from spirals.simulation.liquidation.settlement import settle_liquidations
from spirals.simulation.liquidation.shadow import execute_beside_book, refill_shadow
from spirals.simulation.market.view import MarketState
from spirals.simulation.recorder import (
    CALLS,
    HIT_BOUND,
    LIQUIDATED_ACCOUNTS,
    LIQUIDATIONS,
    ROUNDS,
    TOPPED_UP,
    record_step,
)
from spirals.simulation.workspace import Workspace

__all__ = ["Stages"]


class Stages(Workspace):
    """A workspace that can assess accounts, collect orders, close out, trade, settle and record."""

    def _advance(self) -> MarketState:
        """Advance the market; return what the margin policy sees of it."""
        self.loop.before(self.step_index)
        self.market.advance(self.step_index)
        return self.loop.advanced(self.step_index)

    def _assess(self) -> int:
        due, calls = assess(
            self.accounts, self.positions, self.book.resting, self.loop.seen, self.contracts, self.margin.table,
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
            self.loop.seen, self.contracts, self.margin.table, self._pending, self._work_first, self._work_turn,
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
        self.loop.traded(self.step_index)
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
