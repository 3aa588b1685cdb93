"""The records that the stages hand on: a few structured arrays, allocated once and filled in place.

Money is int64 *atoms* of the quote currency, quantities int64 *lots*, book prices integer *ticks*;
a long position is positive. Market prices are float64 quote units. Rows of accounts never move.
Padding fields are zero: the state is hashed byte by byte.
"""

import hashlib
from typing import Any

import numpy as np

__all__ = [
    "ACCOUNT", "ADL", "BACKGROUND_ROW", "BUY", "CALL", "CONTRACT", "FEES_ROW", "FIRST_ROW", "FUND_ROW", "LIQUIDATION",
    "LIQUIDATOR_ROW", "MARKET", "NEVER", "NO_PRICE", "ORDER", "POSITION", "REQUIREMENT", "SELL", "STEP", "STEP_TOTAL",
    "TRADE", "WAREHOUSE_ROW", "Cause", "Kind", "Mode", "OrderKind", "OrderStatus", "Reject", "Status", "hash_arrays",
]

BUY = 1
SELL = -1
NO_PRICE = 0
NEVER = -1

# Fixed rows of the ledger; arbitrageurs, makers, traders and users' agents follow from FIRST_ROW on.
FEES_ROW, FUND_ROW, WAREHOUSE_ROW, LIQUIDATOR_ROW, BACKGROUND_ROW, FIRST_ROW = range(6)


class Kind:
    """Who owns an account row."""

    TRADER, MAKER, BACKGROUND, LIQUIDATOR, ARBITRAGEUR, WAREHOUSE, FUND, FEES, USER, BASIS_TRADER = range(10)
    names = (
        "trader", "maker", "background", "liquidator", "arbitrageur", "warehouse", "fund", "fees", "user",
        "basis_trader",
    )


class Mode:
    """Which positions share collateral."""

    CROSS, ISOLATED = range(2)


class Status:
    """State of an account: calls and liquidation happen only to accounts with a margin requirement."""

    ACTIVE, CALLED, LIQUIDATING, CLOSED = range(4)


class Cause:
    """Why an order was sent; every forced cause has its own switch."""

    VOLUNTARY, LIQUIDATION, CALL_RESPONSE, LEVERAGE_TARGET, STOP_LOSS, ADL, ADL_HEDGE = range(7)
    names = ("voluntary", "liquidation", "call_response", "leverage_target", "stop_loss", "adl", "adl_hedge")


class OrderKind:
    """What an order asks for. An IOC's price is its band: what cannot trade inside is cancelled."""

    LIMIT, MARKET, IOC, POST_ONLY, CANCEL, REPLACE, CANCEL_ALL = range(7)


class OrderStatus:
    """What became of an order."""

    NEW, RESTING, FILLED, CANCELLED, REJECTED = range(5)


class Reject:
    """Why an order was rejected or trimmed."""

    NONE, MARGIN, PRICE_RANGE, NO_LOTS, WOULD_CROSS, UNKNOWN_ORDER, REDUCE_ONLY, ACCOUNT_BLOCKED, TRIMMED = range(9)
    names = (
        "none", "margin", "price_range", "no_lots", "would_cross", "unknown_order", "reduce_only", "account_blocked",
        "trimmed",
    )


ACCOUNT = np.dtype([
    ("cash", "i8"),                # [atoms] free wallet; cross collateral
    ("deposits", "i8"),            # [atoms] cumulative
    ("withdrawals", "i8"),         # [atoms] cumulative
    ("outside_wealth", "i8"),      # [atoms] not on the venue; finite source of top-ups
    ("in_transfer", "i8"),         # [atoms] left outside wealth, not yet arrived
    ("transfer_step", "i8"),       # step of arrival, -1 when none
    ("equity", "i8"),              # [atoms] at the mark, as of stage 3 (cross positions and wallet)
    ("initial_margin", "i8"),      # [atoms] worst case with resting orders, as of stage 3
    ("maintenance_margin", "i8"),  # [atoms] of cross positions, as of stage 3
    ("fees", "i8"),                # [atoms] paid, cumulative
    ("bad_debt", "i8"),            # [atoms] gross negative equity at close, cumulative
    ("advance", "i8"),             # [atoms] paid by the fund for a liquidation that goes on
    ("call_step", "i8"),           # step at which the open call was issued, -1 when none
    ("cooldown_step", "i8"),       # no further liquidation order before this step
    ("event", "i8"),               # event id of the open liquidation, -1 when none
    ("kind", "i1"),
    ("mode", "i1"),
    ("status", "i1"),
    ("margined", "i1"),            # 1: calls and liquidation apply; 0: exempt (background, fund, ...)
    ("pad", "i4"),
])

POSITION = np.dtype([
    ("lots", "i8"),                # signed
    ("cost", "i8"),                # [atoms] signed amount paid for the open lots
    ("collateral", "i8"),          # [atoms] set aside (isolated mode), else 0
    ("realised_pnl", "i8"),        # [atoms] cumulative, before fees and funding
    ("funding", "i8"),             # [atoms] received (+) or paid (-), cumulative
    ("entry_rate", "f8"),          # maintenance rate of the first bracket at entry, averaged over lots
])

MARKET = np.dtype([
    ("exogenous", "f8"),           # [quote] outside value before feedback of the venue
    ("index", "f8"),               # [quote] outside price with feedback
    ("oracle", "f8"),              # [quote] lagged index
    ("mark", "f8"),                # [quote] margin price
    ("mid", "f8"),                 # [quote] last known mid
    ("last", "f8"),                # [quote] last trade
    ("best_bid", "f8"),            # [quote] NaN when the side is empty
    ("best_ask", "f8"),
    ("spread", "f8"),              # [quote] NaN when a side is empty
    ("volatility", "f8"),          # [per sqrt day] the estimate that policies read
    ("stressed_volatility", "f8"), # [per sqrt day] of the fixed stressed window
    ("depth_bid", "f8", (3,)),     # [quote] within 10 bp, 50 bp, 1 % of the mid
    ("depth_ask", "f8", (3,)),
    ("open_interest", "i8"),       # [lots] sum of long positions
    ("basis", "f8"),               # [fraction] EMA of mid / index - 1
    ("funding_rate", "f8"),        # [fraction per interval] last paid
    ("premium", "f8"),             # [fraction] running mean of the funding premium
])

REQUIREMENT = np.dtype([           # one row per instrument and bracket of notional
    ("floor", "f8"),               # [quote] lower bound of the bracket
    ("initial_rate", "f8"),
    ("maintenance_rate", "f8"),
    ("initial_deduction", "f8"),   # [quote] keeps the requirement continuous in notional
    ("maintenance_deduction", "f8"),
])

ORDER = np.dtype([
    ("order_id", "i8"),            # out: id of the resting order, -1 when none
    ("target", "i8"),              # id of the order to cancel or replace
    ("lots", "i8"),
    ("arrival", "i8"),             # [us after the start of the step]
    ("event", "i8"),               # liquidation event it belongs to, -1 when none
    ("filled_lots", "i8"),         # out
    ("resting_lots", "i8"),        # out
    ("account", "i4"),
    ("instrument", "i4"),
    ("price_ticks", "i4"),         # limit; for IOC the worst price; 0 = none
    ("round", "i4"),
    ("kind", "i1"),
    ("side", "i1"),
    ("reduce_only", "i1"),
    ("cause", "i1"),
    ("origin", "i1"),              # Kind of who sent it
    ("status", "i1"),              # out
    ("reason", "i1"),              # out: Reject
    ("pad", "i1"),
])

TRADE = np.dtype([
    ("lots", "i8"),
    ("taker_event", "i8"),
    ("maker_event", "i8"),
    ("arrival", "i8"),
    ("taker_order", "i8"),         # row of the incoming order in this batch
    ("maker_order", "i8"),         # order id of the resting order
    ("price_ticks", "i4"),
    ("instrument", "i4"),
    ("taker", "i4"),               # account rows
    ("maker", "i4"),
    ("round", "i4"),
    ("side", "i1"),                # of the taker
    ("taker_cause", "i1"),
    ("maker_cause", "i1"),
    ("taker_origin", "i1"),
])


CONTRACT = np.dtype([              # one row per instrument, what kernels need of `Instrument`
    ("tick_size", "f8"),           # [quote]
    ("lot_size", "f8"),            # [base]
    ("atom", "f8"),                # [quote]
    ("lot_value", "f8"),           # [atoms per quote price unit and lot] = lot_size / atom
    ("maker_fee_rate", "f8"),
    ("taker_fee_rate", "f8"),
    ("atoms_per_tick_lot", "i8"),
    ("n_ticks", "i8"),
])

STEP = np.dtype([                  # one row per step and instrument, written by the recorder
    ("exogenous", "f8"), ("index", "f8"), ("oracle", "f8"), ("mark", "f8"), ("mid", "f8"), ("last", "f8"),   # [quote]
    ("spread", "f8"),              # [quote]
    ("depth_bid", "f8", (3,)), ("depth_ask", "f8", (3,)),  # [quote] within 10 bp, 50 bp, 1 % of the mid
    ("volatility", "f8"),          # [per sqrt day]
    ("initial_rate", "f8"), ("maintenance_rate", "f8"),    # first bracket
    ("funding_rate", "f8"),
    ("open_interest", "i8"),       # [lots]
    ("traded_lots", "i8"),         # book trades
    ("sold_lots", "i8", (7,)),     # executed sells by Cause (book and shadow)
    ("bought_lots", "i8", (7,)),   # executed buys by Cause
    ("adl_lots", "i8"),            # [lots] closed by auto-deleveraging (one side)
    ("sold_notional", "f8", (7,)),    # [quote] executed sells by Cause
    ("bought_notional", "f8", (7,)),  # [quote] executed buys by Cause
])

STEP_TOTAL = np.dtype([            # one row per step
    ("rounds", "i4"),              # liquidation rounds used
    ("hit_bound", "i4"),           # 1 when the round bound stopped the inner loop
    ("calls", "i8"),               # margin calls issued
    ("liquidations", "i8"),        # liquidation orders sent
    ("liquidated_accounts", "i8"), # accounts whose first liquidation order fell in this step
    ("adl_events", "i8"),
    ("rejected", "i8"), ("trimmed", "i8"),  # orders refused or cut by the pre-trade check
    ("bad_debt", "f8"),            # [quote] gross negative equity at close, before any fund
    ("fund", "f8"),                # [quote] cash of the insurance fund after the step
    ("fees", "f8"),                # [quote] cash of the fee account
    ("uncovered", "f8"),           # [quote] losses that neither fund nor ADL covered, cumulative
    ("margin_locked", "f8"),       # [quote] sum of initial margin of margined accounts
    ("maintenance_locked", "f8"),  # [quote]
    ("equity", "f8", (10,)),       # [quote] equity by Kind
    ("topped_up", "f8"),           # [quote] deposits that arrived in this step
])

CALL = np.dtype([                  # margin calls
    ("step", "i4"), ("account", "i4"),
    ("equity", "f8"), ("requirement", "f8"),   # [quote] at issue
])

LIQUIDATION = np.dtype([           # one row per liquidation order executed (book, shadow or transfer)
    ("event", "i8"),               # id shared by all orders of one account's liquidation
    ("step", "i4"), ("round", "i4"), ("account", "i4"), ("instrument", "i4"),
    ("lots", "i8"),                # signed, + bought back a short, - sold a long
    ("filled_lots", "i8"),         # signed
    ("notional", "f8"),            # [quote] of the filled lots
    ("mark", "f8"),                # [quote] at trigger
    ("equity", "f8"),              # [quote] of the account at trigger
    ("maintenance", "f8"),         # [quote] requirement at trigger
    ("bankruptcy_price", "f8"),    # [quote]
    ("fee", "f8"),                 # [quote] liquidation fee taken
    ("bad_debt", "f8"),            # [quote] gross negative equity at close
])

ADL = np.dtype([                   # one row per counterparty cut
    ("event", "i8"), ("step", "i4"), ("round", "i4"), ("account", "i4"), ("counterparty", "i4"),
    ("instrument", "i4"), ("pad", "i4"),
    ("lots", "i8"),                # signed change of the bankrupt account
    ("price", "f8"), ("mark", "f8"),  # [quote] bankruptcy price and mark
])


def hash_arrays(arrays: dict[str, Any]) -> str:
    """Return a digest of named arrays: names, dtypes, shapes and bytes, in sorted order of names."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}|{array.dtype.descr}|{array.shape}|".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
