"""The whole venue in plain Python: ledger, margin, matching, liquidation, waterfall, totals.

The step is that of `Simulation.step`, with objects and loops in the place of arrays and kernels. Left
out: margin policies that change or have tiers, the shadow and transfer routes of twins, scripted
shocks, depth in the record, and saving.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from spirals.simulation.reference.ledger import Account, Position, fill, rounded, unrealised_value
from spirals.simulation.reference.liquidation import Liquidation, close_out, settle_liquidation
from spirals.simulation.reference.margin import assess, check_orders
from spirals.simulation.reference.order_book import ReferenceBook
from spirals.simulation.reference.prices import ReferenceMarket, pay_funding
from spirals.simulation.reference.random_numbers import stream_key, tie
from spirals.simulation.state import (
    ACCOUNT,
    BACKGROUND_ROW,
    BUY,
    FEES_ROW,
    FUND_ROW,
    LIQUIDATOR_ROW,
    SELL,
    WAREHOUSE_ROW,
    Cause,
    Kind,
    Status,
)

__all__ = ["ReferenceVenue"]

Order = dict[str, int]
FIXED_KINDS = {
    FEES_ROW: Kind.FEES, FUND_ROW: Kind.FUND, WAREHOUSE_ROW: Kind.WAREHOUSE,
    LIQUIDATOR_ROW: Kind.LIQUIDATOR, BACKGROUND_ROW: Kind.BACKGROUND,
}


class Trade(NamedTuple):
    """What the book reports of one trade; fields as in TRADE."""

    lots: int
    taker_event: int
    maker_event: int
    arrival: int
    taker_order: int
    maker_order: int
    price_ticks: int
    instrument: int
    taker: int
    maker: int
    round: int
    side: int
    taker_cause: int
    maker_cause: int
    taker_origin: int


class ReferenceVenue:
    """Everything but the agents.

    Parameters
    ----------
    setup : object
        Parts of a run as `Simulation` takes them; `margin` must be a `Static` policy.
    n_accounts : int
    seed : int

    Attributes
    ----------
    accounts : list of Account
    markets : list of ReferenceMarket
    book : ReferenceBook
    trades : list of Trade
        Of the current step, rounds included.
    liquidations, adl : list of dict
        Of the whole run, fields as in LIQUIDATION and ADL.
    totals : list of dict
        One per step, row 0 the opening; fields as in STEP_TOTAL and the volumes of STEP.
    top_up_requests : dict of int to int
        [atoms] By account row; agents write, the venue clears.
    """

    def __init__(self, setup: Any, n_accounts: int, seed: int) -> None:
        self.setup, self.seed = setup, seed
        self.instruments = tuple(setup.instruments)
        self.step_seconds, self.step_index = float(setup.step_seconds), 0
        n = len(self.instruments)
        self.rates = [(_of(setup.margin.initial, i), _of(setup.margin.maintenance, i)) for i in range(n)]
        path = setup.outside_world.path(setup.steps, self.step_seconds, n, seed).price.tolist()
        self.markets = [ReferenceMarket(setup, [row[i] for row in path]) for i in range(n)]
        self.accounts = [
            Account(row, [Position() for _ in range(n)], FIXED_KINDS.get(row, Kind.TRADER)) for row in range(n_accounts)
        ]
        fund = self.accounts[FUND_ROW]
        fund.cash = fund.deposits = round(setup.waterfall.insurance_fund / self.instruments[0].atom)
        self.book = ReferenceBook(self.instruments, n_accounts)
        self.trades: list[Trade] = []
        self.liquidations: list[Liquidation] = []
        self.adl: list[dict[str, Any]] = []
        self.totals: list[dict[str, Any]] = []
        self.top_up_requests: dict[int, int] = {}
        self.count: Counter[Any] = Counter()
        self._next_event = 0
        self._tie_key = stream_key(seed, "arrival.tie")

    def load_ledger(self, accounts: Any, positions: Any) -> None:
        """Take over opening rows of ACCOUNT (n_accounts,) and POSITION (n_accounts, n_instruments)."""
        for account, row, holdings in zip(self.accounts, accounts, positions, strict=True):
            for name in ACCOUNT.names or ():
                if name not in ("pad", "margined"):
                    setattr(account, name, int(row[name]))
            account.margined = bool(row["margined"])
            for position, holding in zip(account.positions, holdings, strict=True):
                for name in ("lots", "cost", "collateral", "realised_pnl", "funding"):
                    setattr(position, name, int(holding[name]))

    def open(self, decide: Callable[[], list[Order]]) -> None:
        """Trade the first orders at the opening prices; nobody is liquidated yet."""
        self.assess()
        self.settle(self.trade(decide()), [])
        self.assess()
        self.record(rounds=1, hit_bound=False)

    def step(self, decide: Callable[[], list[Order]]) -> None:
        """Run one step; `decide` is called once and returns the agents' orders."""
        self.step_index += 1
        self.trades = []
        for market in self.markets:
            market.advance(self.step_index)
        due = self.assess()
        orders = decide()
        liquidations = self.liquidate(due, 0, orders)
        moved = self.settle(self.trade(orders), liquidations)
        due = self.assess()
        rounds = 1
        while due and moved and rounds < self.setup.engine.rounds_per_step(self.step_seconds):
            orders = []
            liquidations = self.liquidate(due, rounds, orders)
            moved = self.settle(self.trade(orders), liquidations)
            due = self.assess()
            rounds += 1
        paced = self.setup.engine.rounds_per_step(self.step_seconds) < self.setup.engine.max_rounds
        self.record(rounds, hit_bound=bool(due and moved) and not paced)

    def equity(self, account: Account) -> int:
        """Return wallet, collateral and unrealised profit at the mark [atoms]."""
        return account.cash + sum(
            unrealised_value(position, market.mark, instrument)
            for position, market, instrument in zip(account.positions, self.markets, self.instruments, strict=True)
        )

    def resting(self) -> Counter[tuple[int, int, int]]:
        """Count the open lots of resting orders by account, instrument and side."""
        lots: Counter[tuple[int, int, int]] = Counter()
        for order in self.book.orders.values():
            lots[order.account, order.instrument, order.side] += order.lots
        return lots

    def assess(self) -> list[Account]:
        """Stage 3: value everybody, issue calls; return the accounts due for liquidation."""
        rules, due = self.setup.margin_calls, []
        grace = round(rules.grace_seconds / self.step_seconds)
        marks, resting = [market.mark for market in self.markets], self.resting()
        for account in self.accounts:
            called, is_due = assess(
                account, marks, self.instruments, self.rates, resting, rules, grace, self.step_index)
            self.count["calls"] += called
            if is_due:
                due.append(account)
        return due if self.setup.engine.liquidation else []

    def liquidate(self, due: list[Account], round_: int, orders: list[Order]) -> list[Liquidation]:
        """Stage 4: append the venue's own orders to `orders`; return their records."""
        fund, records = max(self.accounts[FUND_ROW].cash, 0), []
        for account in due:
            first = account.event < 0
            if first:
                account.event = self._next_event
                self._next_event += 1
                self.count["liquidated_accounts"] += 1
            sent, recorded, fund = close_out(self, account, round_, fund, first)
            orders += sent
            records += recorded
        self.count["liquidations"] += len(records)
        return records

    def trade(self, orders: list[Order]) -> list[Trade]:
        """Stage 5: order by arrival, check against margin, match."""
        step_us = max(1, round(self.step_seconds * 1e6))

        def turn(row: int) -> tuple[int, int]:
            order = orders[row]
            slot = min(order["arrival"] * 2048 // step_us, 2047)
            return slot, tie(self._tie_key, self.step_index, order["account"]) % 2**22

        sequence = sorted(range(len(orders)), key=turn)
        marks = [market.mark for market in self.markets]
        rejected, trimmed = check_orders(
            [orders[row] for row in sequence], self.accounts, marks, self.instruments, self.rates, self.resting(),
            self.book.orders,
        )
        self.count["rejected"] += rejected
        self.count["trimmed"] += trimmed
        lots: Any = {(a.row, i): p.lots for a in self.accounts for i, p in enumerate(a.positions)}
        book_orders: Any = orders
        self.book.match(book_orders, sequence, lots)
        return [Trade(*trade) for trade in self.book.trades]

    def settle(self, trades: list[Trade], liquidations: list[Liquidation]) -> bool:
        """Stage 6: book trades, run the waterfall, mark; return whether a liquidation moved anything."""
        sent = {(record["account"], record["instrument"]): record for record in liquidations}
        for trade in trades:
            self._settle_trade(trade)
            record = sent.get((trade.taker, trade.instrument))
            if trade.taker_cause == Cause.LIQUIDATION and record is not None:
                record["filled_lots"] += trade.side * trade.lots
                record["notional"] += self._value(trade) * self.instruments[trade.instrument].atom
        adl = []
        for record in liquidations:
            cut = settle_liquidation(self, record)
            adl += cut
            self.count["adl_events"] += len(cut)
            self.count["adl_lots", record["instrument"]] += sum(abs(row["lots"]) for row in cut)
            self.count["bad_debt"] += record["bad_debt"]
        self.trades += trades
        self.liquidations += liquidations
        self.adl += adl
        for i, (market, instrument) in enumerate(zip(self.markets, self.instruments, strict=True)):
            bid, ask = self.book.best(i, BUY), self.book.best(i, SELL)
            market.bid, market.ask = ((ticks or 0) * instrument.tick_size for ticks in (bid, ask))
            if bid is not None and ask is not None:
                market.mid = 0.5 * (bid + ask) * instrument.tick_size
            if self.book.last_ticks[i]:
                market.last = self.book.last_ticks[i] * instrument.tick_size
            market.remark()
        return bool(adl) or any(record["filled_lots"] for record in liquidations)

    def record(self, rounds: int, *, hit_bound: bool) -> None:
        """Close the step: transfers, funding, one row of totals."""
        self.count["topped_up"] = self._move_top_ups()
        for i, market in enumerate(self.markets):
            pay_funding(self.accounts, i, market, self.instruments[i])
        atom, margined = self.instruments[0].atom, [a for a in self.accounts if a.margined]
        total: dict[str, Any] = dict(self.count)
        total.update(
            rounds=rounds, hit_bound=hit_bound, topped_up=self.count["topped_up"] * atom,
            fund=self.accounts[FUND_ROW].cash * atom, fees=self.accounts[FEES_ROW].cash * atom,
            uncovered=max(-self.accounts[FUND_ROW].equity, 0) * atom,
            margin_locked=sum(a.initial_margin for a in margined) * atom,
            maintenance_locked=sum(a.maintenance_margin for a in margined) * atom,
            open_interest=[sum(max(a.positions[i].lots, 0) for a in self.accounts) for i in range(len(self.markets))],
            marks=[market.mark for market in self.markets],
        )
        self.totals.append(total)
        self.count.clear()

    def _settle_trade(self, trade: Trade) -> None:
        i, instrument, rate = trade.instrument, self.instruments[trade.instrument], self.rates[trade.instrument][0]
        value = self._value(trade)
        taker, maker = self.accounts[trade.taker], self.accounts[trade.maker]
        if trade.taker_cause != Cause.LIQUIDATION:  # those pay the liquidation fee instead
            self._charge(taker, rounded(value * instrument.taker_fee_rate))
        self._charge(maker, rounded(value * instrument.maker_fee_rate))
        fill(taker, i, trade.side * trade.lots, trade.side * value, rate)
        fill(maker, i, -trade.side * trade.lots, -trade.side * value, rate)
        buyer, seller = (trade.taker_cause, trade.maker_cause)[:: trade.side]
        self.count["traded_lots", i] += trade.lots
        self.count["bought_lots", i, buyer] += trade.lots
        self.count["sold_lots", i, seller] += trade.lots

    def _value(self, trade: Trade) -> int:
        return int(trade.lots * trade.price_ticks * self.instruments[trade.instrument].atoms_per_tick_lot)

    def _charge(self, account: Account, fee: int) -> None:
        account.cash -= fee
        account.fees += fee
        self.accounts[FEES_ROW].cash += fee

    def _move_top_ups(self) -> int:
        credited = 0
        delay = round(self.setup.margin_calls.transfer_seconds / self.step_seconds)
        for account in self.accounts:
            amount = min(self.top_up_requests.get(account.row, 0), account.outside_wealth)
            if amount > 0 and account.transfer_step < 0:
                account.outside_wealth -= amount
                account.in_transfer, account.transfer_step = amount, self.step_index + delay
            if 0 <= account.transfer_step <= self.step_index:
                held = [position for position in account.positions if position.lots]
                if account.isolated and held:  # where it is needed
                    max(held, key=lambda position: abs(position.cost)).collateral += account.in_transfer
                else:
                    account.cash += account.in_transfer
                account.deposits += account.in_transfer
                credited += account.in_transfer
                account.in_transfer, account.transfer_step = 0, -1
                if account.status == Status.CLOSED:
                    account.status = Status.ACTIVE
        self.top_up_requests.clear()
        return credited


def _of(rate: float | tuple[float, ...], i: int) -> float:
    """Return the rate of instrument `i`: one rate may stand for all."""
    return rate if isinstance(rate, float) else rate[min(i, len(rate) - 1)]
