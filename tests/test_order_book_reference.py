"""The compiled book against the plain one: the same fills, results and totals, order by order."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from order_book_support import instrument, orders_from

from spirals.simulation.order_book import OrderBook
from spirals.simulation.order_book.streams import MIX, random_orders
from spirals.simulation.randomness import generator
from spirals.simulation.reference.order_book import ReferenceBook
from spirals.simulation.state import BUY, MARKET, ORDER, SELL, OrderKind, OrderStatus, Reject

RESULTS = ("status", "reason", "filled_lots", "resting_lots")
UNKNOWN = -7
BRUTAL = {OrderKind.LIMIT: 5, OrderKind.MARKET: 1, OrderKind.IOC: 2, OrderKind.POST_ONLY: 2, OrderKind.CANCEL: 3,
          OrderKind.REPLACE: 4, OrderKind.CANCEL_ALL: 0.3}


class Pair:
    """Both books, fed with the same orders; ids of one are translated for the other."""

    def __init__(self, ladders, n_accounts, capacity=1):
        instruments = [instrument(n_ticks, f"X{k}") for k, n_ticks in enumerate(ladders)]
        self.book = OrderBook(instruments, n_accounts, capacity)
        self.plain = ReferenceBook(instruments, n_accounts)
        self.positions = np.zeros((n_accounts, len(ladders)), np.int64)
        self.plain_ids = {}
        self.ids = {}
        self.market = np.zeros(len(ladders), MARKET)
        self.seen = {"reasons": set(), "trades": 0, "statuses": set()}

    def send(self, orders, sequence=None):
        sequence = np.arange(len(orders)) if sequence is None else sequence
        expected = orders.copy()
        expected["target"] = [self.plain_ids.get(int(t), UNKNOWN) for t in orders["target"]]
        plain_positions = self.positions.copy()
        trades = self.book.match(orders, sequence, self.positions)
        plain_trades = self.plain.match(expected, sequence, plain_positions)
        for row in sequence:
            for name in RESULTS:
                assert orders[row][name] == expected[row][name], (name, row, orders[row], expected[row])
            self._same_id(int(orders[row]["order_id"]), int(expected[row]["order_id"]))
        same = [name for name in trades.dtype.names if name != "maker_order"]
        assert trades[same].tolist() == plain_trades[same].tolist()
        for trade, plain in zip(trades, plain_trades, strict=True):
            self._same_id(int(trade["maker_order"]), int(plain["maker_order"]))
        assert np.array_equal(self.positions, plain_positions)
        self.compare()
        self.seen["trades"] += len(trades)
        self.seen["reasons"] |= set(orders["reason"].tolist())
        self.seen["statuses"] |= set(orders["status"].tolist())

    def _same_id(self, order_id, plain_id):
        if order_id == -1 or plain_id == -1:
            assert order_id == plain_id
            return
        assert self.plain_ids.setdefault(order_id, plain_id) == plain_id
        assert self.ids.setdefault(plain_id, order_id) == order_id

    def compare(self):
        self.book.check()
        n_accounts, n_instruments = self.positions.shape
        for i in range(n_instruments):
            n_ticks = self.book.instruments[i].n_ticks
            for got, expected in zip(self.book.levels(i, n_ticks), self.plain.levels(i, n_ticks), strict=True):
                assert got.tolist() == expected.tolist()
            for side in (BUY, SELL):
                for args in ((7, 0, 0), (10**6, 3, 0), (50, 5, n_ticks // 2)):
                    assert self.book.cost_of(i, side, *args) == self.plain.cost_of(i, side, *args)
            for account in range(n_accounts):
                own = [dataclasses.asdict(o) for o in self.plain.orders_of(account, i)]
                for order in own:
                    order["order_id"], order["price_ticks"] = self.ids[order["order_id"]], order.pop("price")
                found = [dataclasses.asdict(o) for o in self.book.orders_of(account, i)]
                assert sorted(found, key=lambda o: o["order_id"]) == sorted(own, key=lambda o: o["order_id"])
                row = self.book.resting[account, i]
                assert row["buy_lots"] == self.plain.resting_lots(account, i, BUY)
                assert row["sell_lots"] == self.plain.resting_lots(account, i, SELL)
        plain_market = self.market.copy()
        self.book.observe(self.market)
        self.plain.observe(plain_market)
        assert self.market.tobytes() == plain_market.tobytes()


def brutal_orders(draws, n, pair, reduce_only_share):
    """Orders that are often wrong: prices off the ladder, no lots, ids of anybody, stale or invented."""
    n_accounts, n_instruments = pair.positions.shape
    orders = np.zeros(n, ORDER)
    weights = np.array([BRUTAL[kind] for kind in range(len(BRUTAL))], float)
    orders["kind"] = draws.choice(len(BRUTAL), n, p=weights / weights.sum())
    orders["account"] = draws.integers(0, n_accounts, n)
    orders["instrument"] = draws.integers(0, n_instruments, n)
    orders["side"] = draws.choice([BUY, SELL], n)
    orders["lots"] = draws.integers(-1, 12, n)
    ladders = np.array([i.n_ticks for i in pair.book.instruments])
    orders["price_ticks"] = draws.integers(-1, ladders[orders["instrument"]] + 2)
    orders["reduce_only"] = draws.random(n) < reduce_only_share
    for name in ("cause", "origin", "event", "round", "arrival"):
        orders[name] = draws.integers(0, 7, n)
    orders["status"] = np.where(draws.random(n) < 0.02, OrderStatus.REJECTED, OrderStatus.NEW)
    orders["reason"] = np.where(orders["status"] == OrderStatus.REJECTED, Reject.MARGIN, Reject.NONE)
    known = list(pair.plain_ids)[-40:] or [0]
    for row in np.flatnonzero((orders["kind"] == OrderKind.CANCEL) | (orders["kind"] == OrderKind.REPLACE)):
        orders["target"][row] = known[draws.integers(len(known))] if draws.random() < 0.95 else draws.integers(2**40)
        resting = pair.book.order(int(orders["target"][row]))
        if resting is not None and draws.random() < 0.8:
            orders["account"][row], orders["instrument"][row] = resting.account, resting.instrument
            if draws.random() < 0.5:
                orders["side"][row], orders["price_ticks"][row] = resting.side, resting.price_ticks
                orders["lots"][row] = resting.lots + draws.integers(-1, 2)
    return orders


STREAMS = {
    # name: ladders, accounts, share of reduce-only orders
    "one tick wide, everybody meets": ([16], 6, 0.1),
    "two accounts, mostly self-trades": ([20], 2, 0.1),
    "one account, only self-trades": ([20], 1, 0.2),
    "all reduce-only": ([24], 5, 0.6),
    "three ladders of different height": ([16, 64, 300], 4, 0.2),
    "sparse ladder with four rows of words": ([1 << 21], 5, 0.1),
}


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("seed", [1, 2])
def test_brutal_streams_give_the_same_fills_as_the_plain_book(name, seed):
    ladders, n_accounts, reduce_only_share = STREAMS[name]
    draws = generator(seed, f"test.{name}")
    pair = Pair(ladders, n_accounts)
    if max(ladders) > 1000:
        pair.compare = lambda: None  # plain Python does not walk two million ticks every time
    for _ in range(40):
        orders = brutal_orders(draws, 40, pair, reduce_only_share)
        pair.positions += draws.integers(-3, 4, pair.positions.shape)  # the ledger moves between batches
        pair.send(orders, draws.permutation(40)[: draws.integers(20, 41)])
    # the stream was worth the comparison: everything that can happen did happen
    reasons = {Reject.NONE, Reject.MARGIN, Reject.NO_LOTS, Reject.UNKNOWN_ORDER, Reject.REDUCE_ONLY, Reject.WOULD_CROSS}
    assert pair.seen["reasons"] >= reasons
    assert (Reject.PRICE_RANGE in pair.seen["reasons"]) == (max(ladders) < 1000)
    assert (OrderStatus.FILLED in pair.seen["statuses"]) == (n_accounts > 1) == (pair.seen["trades"] > 100)


def test_dense_flow_near_the_touch_gives_the_same_fills_as_the_plain_book():
    draws = generator(5, "test.dense")
    pair = Pair([400, 400], 12)
    for k in range(20):
        orders = random_orders(draws, 150, pair.book, 200 + 3 * (k % 5), mean_distance=6.0, reduce_only_share=0.1)
        pair.send(orders)
    assert pair.seen["trades"] > 500
    assert pair.seen["reasons"] >= {Reject.WOULD_CROSS, Reject.REDUCE_ONLY, Reject.UNKNOWN_ORDER}


def test_far_levels_are_found_across_the_whole_ladder():
    pair = Pair([1 << 21], 3)
    pair.compare = lambda: None
    draws = generator(6, "test.far")
    top = (1 << 21) - 1
    edges = [t for p in range(21) for t in ((1 << p) - 1, 1 << p, (1 << p) + 1) if 1 <= t <= top]
    for _ in range(10):
        prices = draws.permutation(edges)[:30].tolist()
        bids = [{"side": BUY, "lots": 1, "price_ticks": p, "account": 0} for p in sorted(prices)[:15]]
        asks = [{"side": SELL, "lots": 1, "price_ticks": p, "account": 1} for p in sorted(prices)[15:]]
        size = int(draws.integers(1, 20))
        sweep = [{"side": side, "lots": size, "account": 2, "kind": OrderKind.MARKET} for side in (BUY, SELL)]
        pair.send(orders_from([*bids, *asks, *sweep, {"account": 0, "kind": OrderKind.CANCEL_ALL}]))
    pair.book.check()


order_rows = st.fixed_dictionaries({
    "kind": st.sampled_from([0, 0, 0, 1, 2, 3, 4, 5, 5, 6]),
    "account": st.integers(0, 2),
    "side": st.sampled_from([BUY, SELL]),
    "lots": st.integers(0, 6),
    "price_ticks": st.integers(5, 9),
    "reduce_only": st.sampled_from([0, 0, 1]),
    "target": st.integers(1, 8),  # the first eight slots in their first generation, resting or not
})


@settings(max_examples=150)
@given(st.lists(st.lists(order_rows, min_size=1, max_size=12), min_size=1, max_size=4), st.integers(-4, 4))
def test_any_sequence_of_orders_gives_the_same_fills_as_the_plain_book(batches, position):
    pair = Pair([16], 3)
    pair.positions[:, 0] = [position, -position, 0]
    for rows in batches:
        orders = orders_from(rows)
        orders["target"] = [target if target in pair.plain_ids else 0 for target in orders["target"]]
        pair.send(orders)
    assert pair.positions.sum() == 0


def test_mix_of_the_streams_names_every_kind_of_order():
    assert set(MIX) == set(range(OrderKind.CANCEL_ALL + 1))
    assert sum(MIX.values()) == pytest.approx(1.0)
