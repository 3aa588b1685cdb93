"""What each kind of order does, in cases small enough to work by hand."""

import math

import numpy as np
import pytest
from order_book_support import Venue, instrument, orders_from, sent

from spirals.simulation.contracts import Instrument
from spirals.simulation.errors import InputError
from spirals.simulation.order_book import OrderBook
from spirals.simulation.state import BUY, MARKET, SELL, Cause, OrderKind, OrderStatus, Reject

ANN, BEN, CAT, DAN = 1, 2, 3, 4


@pytest.fixture
def venue():
    return Venue()


def outcome(order):
    return int(order["status"]), int(order["reason"]), int(order["filled_lots"]), int(order["resting_lots"])


def rejected(reason):
    return OrderStatus.REJECTED, reason, 0, 0


def test_better_price_trades_first_and_at_one_price_the_older_order(venue):
    venue.limit(ANN, "sell", 2, 101)
    venue.limit(BEN, "sell", 2, 100)
    venue.limit(CAT, "sell", 2, 100)
    order = venue.limit(DAN, "buy", 5, 101)
    assert venue.fills == [(DAN, BEN, 100, 2), (DAN, CAT, 100, 2), (DAN, ANN, 101, 1)]
    assert outcome(order) == (OrderStatus.FILLED, Reject.NONE, 5, 0)
    assert venue.ladder() == ([], [[101, 1]])
    assert venue.positions[[ANN, BEN, CAT, DAN], 0].tolist() == [-1, -2, -2, 5]


def test_incoming_order_trades_at_the_price_of_the_resting_one_and_rests_with_the_remainder(venue):
    venue.limit(ANN, "sell", 3, 100)
    order = venue.limit(BEN, "buy", 5, 105)
    assert venue.fills == [(BEN, ANN, 100, 3)]
    assert outcome(order) == (OrderStatus.RESTING, Reject.NONE, 3, 2)
    assert venue.ladder() == ([[105, 2]], [])
    assert venue.book.order(order["order_id"]).lots == 2


def test_partly_filled_order_keeps_its_place_in_the_queue(venue):
    venue.limit(ANN, "buy", 5, 100)
    venue.limit(BEN, "buy", 5, 100)
    venue.market(CAT, "sell", 2)
    venue.market(CAT, "sell", 4)
    assert venue.fills == [(CAT, ANN, 100, 3), (CAT, BEN, 100, 1)]


def test_market_order_sweeps_the_side_and_its_remainder_is_cancelled(venue):
    venue.limit(ANN, "buy", 1, 50)
    venue.limit(ANN, "buy", 1, 1)
    order = venue.market(BEN, "sell", 5)
    assert venue.fills == [(BEN, ANN, 50, 1), (BEN, ANN, 1, 1)]
    assert outcome(order) == (OrderStatus.CANCELLED, Reject.NONE, 2, 0)
    assert order["order_id"] == -1


def test_market_order_into_an_empty_book_is_cancelled_without_a_fill(venue):
    assert outcome(venue.market(ANN, "buy", 5)) == (OrderStatus.CANCELLED, Reject.NONE, 0, 0)


def test_ioc_does_not_trade_outside_its_band(venue):
    for price in (100, 101, 102):
        venue.limit(ANN, "sell", 1, price)
    order = venue.ioc(BEN, "buy", 3, worst=101)
    assert venue.fills == [(BEN, ANN, 100, 1), (BEN, ANN, 101, 1)]
    assert outcome(order) == (OrderStatus.CANCELLED, Reject.NONE, 2, 0)


def test_ioc_without_a_band_takes_any_price(venue):
    venue.limit(ANN, "sell", 1, 999)
    assert outcome(venue.ioc(BEN, "buy", 1)) == (OrderStatus.FILLED, Reject.NONE, 1, 0)


@pytest.mark.parametrize(("side", "crossing", "passive"), [("buy", 101, 100), ("sell", 99, 100)])
def test_post_only_order_rests_or_is_refused_but_never_takes(venue, side, crossing, passive):
    venue.send(sent(ANN, "buy", 1, 99), sent(ANN, "sell", 1, 101))
    assert outcome(venue.post(BEN, side, 1, crossing)) == rejected(Reject.WOULD_CROSS)
    assert outcome(venue.post(BEN, side, 1, passive)) == (OrderStatus.RESTING, Reject.NONE, 0, 1)
    assert venue.fills == []


def test_cancelled_order_leaves_the_book_and_its_id_is_unknown_afterwards(venue):
    order_id = venue.limit(ANN, "buy", 5, 100)["order_id"]
    assert venue.cancel(ANN, order_id)["status"] == OrderStatus.CANCELLED
    assert venue.ladder() == ([], []) and venue.book.order(order_id) is None
    assert outcome(venue.cancel(ANN, order_id)) == rejected(Reject.UNKNOWN_ORDER)


def test_id_of_a_filled_order_never_reaches_the_next_order_in_its_slot(venue):
    stale = venue.limit(ANN, "buy", 5, 100)["order_id"]
    venue.market(BEN, "sell", 5)
    fresh = venue.limit(ANN, "buy", 5, 100)["order_id"]
    assert fresh != stale
    assert outcome(venue.cancel(ANN, stale)) == rejected(Reject.UNKNOWN_ORDER)
    assert outcome(venue.replace(ANN, stale, "buy", 1, 90)) == rejected(Reject.UNKNOWN_ORDER)
    assert venue.book.order(fresh).lots == 5
    venue.cancel(ANN, fresh)
    following = 2 * fresh - stale  # what the next order in the slot will be called
    assert outcome(venue.cancel(ANN, following)) == rejected(Reject.UNKNOWN_ORDER)
    assert venue.limit(ANN, "buy", 5, 100)["order_id"] == following


@pytest.mark.parametrize("target", [0, -1, 1 << 23, 1 << 40, -(1 << 40), (1 << 63) - 1, -(1 << 63)])
def test_ids_that_were_never_given_out_are_unknown(venue, target):
    venue.limit(ANN, "buy", 5, 100)
    assert outcome(venue.cancel(ANN, target)) == rejected(Reject.UNKNOWN_ORDER)
    assert venue.book.order(target) is None


def test_nobody_cancels_or_replaces_orders_of_others_or_in_another_instrument():
    venue = Venue(n_instruments=2)
    order_id = venue.limit(ANN, "buy", 5, 100)["order_id"]
    assert outcome(venue.cancel(BEN, order_id)) == rejected(Reject.UNKNOWN_ORDER)
    assert outcome(venue.replace(BEN, order_id, "buy", 1, 100)) == rejected(Reject.UNKNOWN_ORDER)
    assert outcome(venue.cancel(ANN, order_id, instrument=1)) == rejected(Reject.UNKNOWN_ORDER)
    assert venue.ladder() == ([[100, 5]], [])


def test_cancel_all_takes_all_orders_of_the_account_in_that_instrument_only():
    venue = Venue(n_instruments=2)
    venue.send(sent(ANN, "buy", 1, 90), sent(ANN, "sell", 2, 110), sent(BEN, "buy", 3, 90),
               sent(ANN, "buy", 4, 80, instrument=1))
    order = venue.send({"account": ANN, "kind": OrderKind.CANCEL_ALL})[0]
    assert order["status"] == OrderStatus.CANCELLED
    assert venue.ladder() == ([[90, 3]], [])
    assert venue.ladder(instrument=1) == ([[80, 4]], [])


@pytest.mark.parametrize("lots", [2, 5])
def test_no_more_lots_at_the_same_price_keep_time_priority(venue, lots):
    first = venue.limit(ANN, "buy", 5, 100)["order_id"]
    venue.limit(BEN, "buy", 5, 100)
    assert outcome(venue.replace(ANN, first, "buy", lots, 100)) == (OrderStatus.RESTING, Reject.NONE, 0, lots)
    venue.market(CAT, "sell", lots + 1)
    assert venue.fills == [(CAT, ANN, 100, lots), (CAT, BEN, 100, 1)]


def test_replace_updates_cause_and_event_even_when_the_order_keeps_its_place(venue):
    order_id = venue.limit(ANN, "buy", 5, 100)["order_id"]
    venue.replace(ANN, order_id, "buy", 5, 100, cause=Cause.STOP_LOSS, event=4, origin=2)
    order = venue.book.order(order_id)
    assert (order.cause, order.event, order.origin) == (Cause.STOP_LOSS, 4, 2)


@pytest.mark.parametrize(("lots", "price"), [(6, 100), (5, 101)])
def test_more_lots_or_another_price_lose_time_priority(venue, lots, price):
    first = venue.limit(ANN, "buy", 5, 100)["order_id"]
    venue.limit(BEN, "buy", 5, price)
    order = venue.replace(ANN, first, "buy", lots, price)
    assert outcome(order) == (OrderStatus.RESTING, Reject.NONE, 0, lots) and order["order_id"] == first
    venue.market(CAT, "sell", 6)
    assert venue.fills == [(CAT, BEN, price, 5), (CAT, ANN, price, 1)]


def test_replace_through_the_touch_trades_and_a_filled_id_is_gone(venue):
    venue.limit(ANN, "sell", 3, 105)
    order_id = venue.limit(BEN, "buy", 5, 100)["order_id"]
    assert outcome(venue.replace(BEN, order_id, "buy", 5, 105)) == (OrderStatus.RESTING, Reject.NONE, 3, 2)
    venue.limit(ANN, "sell", 3, 106)
    assert outcome(venue.replace(BEN, order_id, "buy", 2, 106)) == (OrderStatus.FILLED, Reject.NONE, 2, 0)
    assert outcome(venue.cancel(BEN, order_id)) == rejected(Reject.UNKNOWN_ORDER)


def test_replace_can_turn_a_buy_into_a_sell_under_the_same_id(venue):
    order_id = venue.limit(ANN, "buy", 5, 100)["order_id"]
    assert venue.replace(ANN, order_id, "sell", 4, 99)["order_id"] == order_id
    assert venue.fills == [] and venue.ladder() == ([], [[99, 4]])
    assert venue.book.resting[ANN, 0]["buy_lots"] == 0 and venue.book.resting[ANN, 0]["sell_lots"] == 4


@pytest.mark.parametrize(("lots", "price", "reason"), [(0, 100, Reject.NO_LOTS), (5, 1000, Reject.PRICE_RANGE)])
def test_refused_replace_leaves_the_old_order_in_its_place(venue, lots, price, reason):
    order_id = venue.limit(ANN, "buy", 5, 100)["order_id"]
    assert outcome(venue.replace(ANN, order_id, "buy", lots, price)) == rejected(reason)
    assert venue.book.order(order_id).lots == 5


@pytest.mark.parametrize("price", [0, -1, 1000, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize("kind", [OrderKind.LIMIT, OrderKind.POST_ONLY])
def test_price_outside_the_ladder_is_refused(venue, price, kind):
    assert outcome(venue.limit(ANN, "buy", 1, price, kind=kind)) == rejected(Reject.PRICE_RANGE)


@pytest.mark.parametrize("price", [-1, 1000])
def test_band_outside_the_ladder_is_refused_but_a_market_orders_price_is_not_read(venue, price):
    venue.limit(ANN, "sell", 2, 100)
    assert outcome(venue.ioc(BEN, "buy", 1, worst=price)) == rejected(Reject.PRICE_RANGE)
    assert outcome(venue.limit(BEN, "buy", 1, price, kind=OrderKind.MARKET))[2] == 1


@pytest.mark.parametrize("kind", [OrderKind.LIMIT, OrderKind.MARKET, OrderKind.IOC, OrderKind.POST_ONLY])
@pytest.mark.parametrize("lots", [0, -1, -(2**63)])
def test_order_without_lots_is_refused(venue, kind, lots):
    assert outcome(venue.limit(ANN, "buy", lots, 100, kind=kind)) == rejected(Reject.NO_LOTS)


def test_lowest_and_highest_price_of_the_ladder_can_trade(venue):
    venue.send(sent(ANN, "buy", 1, 1), sent(ANN, "sell", 1, 999))
    assert venue.ladder() == ([[1, 1]], [[999, 1]])
    venue.send(sent(BEN, "sell", 1, 1), sent(BEN, "buy", 1, 999))
    assert venue.ladder() == ([], [])


def test_own_resting_order_in_the_way_is_cancelled_instead_of_traded(venue):
    venue.limit(ANN, "sell", 2, 100)
    venue.limit(BEN, "sell", 2, 101)
    order = venue.limit(ANN, "buy", 3, 101)
    assert venue.fills == [(ANN, BEN, 101, 2)]
    assert outcome(order) == (OrderStatus.RESTING, Reject.NONE, 2, 1)
    assert venue.book.resting[ANN, 0]["sell_lots"] == 0


def test_own_order_behind_the_last_fill_is_left_alone(venue):
    venue.limit(BEN, "sell", 2, 100)
    venue.limit(ANN, "sell", 2, 100)
    venue.market(ANN, "buy", 2)
    assert venue.fills == [(ANN, BEN, 100, 2)] and venue.ladder() == ([], [[100, 2]])


def test_reduce_only_order_is_cut_to_the_position(venue):
    venue.positions[ANN, 0] = 3
    venue.limit(BEN, "buy", 10, 100)
    order = venue.ioc(ANN, "sell", 5, reduce_only=1)
    assert outcome(order) == (OrderStatus.CANCELLED, Reject.REDUCE_ONLY, 3, 0)
    assert venue.positions[ANN, 0] == 0


@pytest.mark.parametrize(("position", "side"), [(0, "buy"), (0, "sell"), (3, "buy"), (-3, "sell")])
def test_reduce_only_order_that_would_open_or_increase_is_refused(venue, position, side):
    venue.positions[ANN, 0] = position
    assert outcome(venue.limit(ANN, side, 1, 100, reduce_only=1)) == rejected(Reject.REDUCE_ONLY)


def test_resting_reduce_only_order_never_turns_the_position_around(venue):
    venue.positions[ANN, 0] = 5
    venue.limit(ANN, "sell", 5, 100, reduce_only=1)
    venue.limit(ANN, "sell", 5, 101, reduce_only=1)
    venue.limit(BEN, "sell", 5, 102)
    venue.positions[ANN, 0] = 3  # two lots were closed elsewhere, e.g. by a liquidation
    venue.market(CAT, "buy", 6)
    assert venue.fills == [(CAT, ANN, 100, 3), (CAT, BEN, 102, 3)]
    assert venue.positions[ANN, 0] == 0 and venue.book.orders_of(ANN, 0) == []


def test_reduce_only_order_hit_in_part_keeps_no_more_than_the_position(venue):
    venue.positions[ANN, 0] = 5
    order_id = venue.limit(ANN, "sell", 5, 100, reduce_only=1)["order_id"]
    venue.positions[ANN, 0] = 3
    venue.market(CAT, "buy", 1)
    assert venue.book.order(order_id).lots == 2 and venue.positions[ANN, 0] == 2


def test_positions_follow_the_fills_within_a_batch(venue):
    venue.positions[ANN, 0] = 2
    orders = venue.send(
        sent(BEN, "buy", 9, 100),
        sent(ANN, "sell", 2, kind=OrderKind.MARKET, reduce_only=1),
        sent(ANN, "sell", 2, kind=OrderKind.MARKET, reduce_only=1),
    )
    assert [outcome(o)[:3] for o in orders[1:]] == [
        (OrderStatus.FILLED, Reject.NONE, 2), (OrderStatus.REJECTED, Reject.REDUCE_ONLY, 0)
    ]


def test_orders_refused_by_the_margin_check_are_passed_over(venue):
    order = venue.limit(ANN, "buy", 5, 100, status=OrderStatus.REJECTED, reason=Reject.MARGIN)
    assert outcome(order) == rejected(Reject.MARGIN) and order["order_id"] == -1
    assert venue.ladder() == ([], [])


def test_reason_of_a_trimmed_order_survives_the_book(venue):
    order = venue.limit(ANN, "buy", 5, 100, reason=Reject.TRIMMED)
    assert outcome(order) == (OrderStatus.RESTING, Reject.TRIMMED, 0, 5)


def test_sequence_decides_who_comes_first_and_other_rows_are_not_read(venue):
    orders = orders_from([sent(ANN, "buy", 1, 100), sent(BEN, "buy", 1, 100), sent(CAT, "sell", 1, 100),
                          sent(DAN, "sell", 1, 100)])
    trades = venue.book.match(orders, np.array([1, 0, 2], np.int32), venue.positions)
    assert trades["maker"].tolist() == [BEN]
    # BEN's row says what was true when it was processed: it rested; its fill is a trade
    assert orders["status"].tolist() == [
        OrderStatus.RESTING, OrderStatus.RESTING, OrderStatus.FILLED, OrderStatus.NEW
    ]


def test_trade_carries_cause_origin_event_and_round_of_both_sides(venue):
    maker = venue.limit(ANN, "buy", 5, 100, cause=Cause.CALL_RESPONSE, event=11)["order_id"]
    taker = sent(BEN, "sell", 2, kind=OrderKind.MARKET, cause=Cause.LIQUIDATION, event=7, origin=3, round=4,
                 arrival=250)
    orders = orders_from([sent(CAT, "buy", 1, 90), taker])
    (trade,) = venue.book.match(orders, np.arange(2), venue.positions)
    expected = dict(lots=2, taker_event=7, maker_event=11, arrival=250, taker_order=1, maker_order=maker,
                    price_ticks=100, instrument=0, taker=BEN, maker=ANN, round=4, side=SELL,
                    taker_cause=Cause.LIQUIDATION, maker_cause=Cause.CALL_RESPONSE, taker_origin=3)
    assert {name: trade[name] for name in trade.dtype.names} == expected


def test_instruments_do_not_touch_each_other():
    venue = Venue(n_instruments=2)
    venue.send(sent(ANN, "buy", 1, 100), sent(BEN, "sell", 1, 100, instrument=1))
    assert venue.fills == []
    assert venue.ladder(instrument=0) == ([[100, 1]], []) and venue.ladder(instrument=1) == ([], [[100, 1]])


def test_resting_totals_are_the_open_lots_per_side(venue):
    venue.send(sent(ANN, "buy", 3, 90), sent(ANN, "buy", 4, 91), sent(ANN, "sell", 5, 110))
    venue.market(BEN, "sell", 6)
    row = venue.book.resting[ANN, 0]
    assert (row["buy_lots"], row["sell_lots"], row["orders"]) == (1, 5, 2)
    assert [(o.price_ticks, o.lots) for o in venue.book.orders_of(ANN, 0)] == [(110, 5), (90, 1)]


def test_cost_of_walks_the_book_behind_the_lots_already_taken_without_touching_it(venue):
    venue.send(sent(ANN, "sell", 2, 100), sent(ANN, "sell", 3, 102), sent(ANN, "sell", 9, 105))
    before = venue.ladder()
    assert venue.book.cost_of(0, BUY, 4) == (4, 2 * 100 + 2 * 102)
    assert venue.book.cost_of(0, BUY, 4, skip_lots=3) == (4, 2 * 102 + 2 * 105)
    assert venue.book.cost_of(0, BUY, 4, skip_lots=3, worst_ticks=104) == (2, 2 * 102)
    assert venue.book.cost_of(0, BUY, 99) == (14, 2 * 100 + 3 * 102 + 9 * 105)
    assert venue.book.cost_of(0, SELL, 4) == (0, 0)
    assert venue.ladder() == before


def test_depth_counts_notional_within_10_bp_50_bp_and_1_percent_of_the_mid():
    venue = Venue(n_ticks=20001)
    # mid 10000: the bands reach 10, 50 and 100 ticks; levels on the edge are inside
    for distance in (5, 10, 11, 50, 51, 100, 101):
        venue.send(sent(ANN, "buy", 1, 10000 - distance), sent(BEN, "sell", 2, 10000 + distance))
    market = np.zeros(1, MARKET)
    venue.book.observe(market)
    assert market["mid"][0] == 10000.0 and market["spread"][0] == 10.0
    bids = np.cumsum([9995 + 9990, 9989 + 9950, 9949 + 9900])
    asks = np.cumsum([10005 + 10010, 10011 + 10050, 10051 + 10100]) * 2
    assert market["depth_bid"][0].tolist() == bids.tolist()
    assert market["depth_ask"][0].tolist() == asks.tolist()


def test_empty_side_is_seen_as_nan_and_the_last_mid_is_kept(venue):
    market = np.zeros(1, MARKET)
    market["mid"], market["last"] = 77.0, 66.0
    venue.book.observe(market)
    assert math.isnan(market["best_bid"][0]) and math.isnan(market["best_ask"][0])
    assert math.isnan(market["spread"][0]) and market["mid"][0] == 77.0 and market["last"][0] == 66.0
    venue.send(sent(ANN, "buy", 2, 90), sent(BEN, "sell", 3, 110))
    venue.market(CAT, "buy", 3)
    venue.book.observe(market)
    assert market["best_bid"][0] == 90.0 and math.isnan(market["best_ask"][0])
    assert market["mid"][0] == 77.0 and market["last"][0] == 110.0
    assert market["depth_bid"][0].tolist() == [180.0, 180.0, 180.0]  # a bid above the kept mid is inside every band


@pytest.mark.parametrize(("field", "value"), [
    ("account", 10), ("account", -1), ("instrument", 1), ("instrument", -1),
    ("kind", 7), ("kind", -1), ("side", 0), ("side", 2),
])
def test_order_that_makes_no_sense_is_an_error_and_changes_nothing(venue, field, value):
    with pytest.raises(InputError, match=f"order 1: {field} must lie in .*, was {value}"):
        venue.send(sent(ANN, "buy", 1, 100), {**sent(ANN, "buy", 1, 100), field: value})
    assert venue.ladder() == ([], [])


def test_all_bad_arguments_are_named(venue):
    book = venue.book
    good = orders_from([sent(ANN, "buy", 1, 100)])
    with pytest.raises(InputError, match="sequence must hold rows"):
        book.match(good, np.array([1]), venue.positions)
    with pytest.raises(InputError, match="positions must be"):
        book.match(good, np.array([0]), venue.positions.astype(np.int32))
    with pytest.raises(InputError, match="orders must be"):
        book.match(np.zeros(1), np.array([0]), venue.positions)
    with pytest.raises(InputError, match="market must be"):
        book.observe(np.zeros(2, MARKET))
    with pytest.raises(InputError) as error:
        OrderBook([], 0, capacity=0)
    assert len(error.value.problems) == 3


def test_price_range_follows_each_instruments_own_ladder():
    book = OrderBook([instrument(100), instrument(5000)], 10)
    venue = Venue(n_instruments=2, book=book)
    assert outcome(venue.limit(ANN, "buy", 1, 4000)) == rejected(Reject.PRICE_RANGE)
    assert outcome(venue.limit(ANN, "buy", 1, 4000, instrument=1))[0] == OrderStatus.RESTING


def test_level_on_the_edge_of_a_band_is_inside_whatever_the_rounding_of_the_mid():
    tenths = Instrument(tick_size=0.7, lot_size=1.0, atom=0.1, max_price=1400.0)
    venue = Venue(book=OrderBook([tenths], 10))
    market = np.zeros(1, MARKET)
    market["mid"] = 700.0  # 1000 ticks, but 700.0 / 0.7 is a little more than 1000
    venue.limit(ANN, "buy", 1, 999)
    venue.book.observe(market)
    assert market["depth_bid"][0].tolist() == pytest.approx([699.3, 699.3, 699.3])
