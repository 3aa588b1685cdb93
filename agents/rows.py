"""Records of the agents: one row per actor and instrument, parameters and state side by side.

Parameters are drawn once at the opening; columns marked *state* change with the run. Everything an
agent owns on the venue (cash, position, margin) is in the ledger and never repeated here.
"""

import numpy as np

__all__ = [
    "ARBITRAGEUR", "ARBITRAGEUR_RULE", "BACKGROUND_RULE", "BASIS", "BASIS_RULE", "Behaviour", "ENTRY", "ENTRY_RULE",
    "FLOW", "HEDGE", "HEDGE_RULE", "MAKER", "MAKER_RULE", "PLACE", "QUOTE", "Response", "Stage", "TRADER",
    "TRADER_RULE",
]


class Behaviour:
    """What a leveraged trader does of its own accord."""

    PASSIVE, TREND_FOLLOWING, CONTRARIAN, LEVERAGE_TARGETING, STOP_LOSS, TAKE_PROFIT = range(6)
    names = ("passive", "trend_following", "contrarian", "leverage_targeting", "stop_loss", "take_profit")


class Response:
    """What a leveraged trader does when a margin call comes near."""

    NOTHING, REDUCE, TOP_UP = range(3)
    names = ("nothing", "reduce", "top_up")


class Stage:
    """Where a trader stands on its way into the market."""

    IN, OUT, FUNDING, ENTERING, GONE = range(5)
    names = ("in", "out", "funding", "entering", "gone")


TRADER = np.dtype([                # one leveraged trader in one instrument
    ("order_id", "i8"),            # state: its resting order, 0 when none
    ("home_lots", "i8"),           # signed opening position
    ("unit_lots", "i8"),           # size of one order of its own
    ("exit_price", "f8"),          # state: [quote] of the stop-loss or take-profit; 0 when none or spent
    ("trend_price", "f8"),         # state: [quote] moving average of the mark
    ("target_leverage", "f8"),     # at the opening
    ("horizon", "f8"),             # [s] memory of the trend, pace of leverage targeting
    ("order_rate", "f8"),          # [1/s] orders of its own accord
    ("call_hazard", "f8"),         # [1/s] of reacting at the call
    ("account", "i4"),
    ("instrument", "i4"),
    ("behaviour", "i1"),
    ("response", "i1"),
    ("hedged", "i1"),              # 1: the other leg is held outside (delta-neutral short)
    ("pad", "i1"),
    ("pad_2", "i4"),
])

TRADER_RULE = np.dtype([           # parameters common to all traders
    ("call_distance", "f8"),       # e-folding distance to the call [fraction of notional]
    ("reduce_share", "f8"),        # of the position, sold per reaction to a call
    ("order_distance", "f8"),      # mean log-distance of limit orders from the mid
    ("band", "f8"),                # how far an IOC may trade from the mark
    ("trend_threshold", "f8"),     # [standard deviations over the horizon]
    ("leverage_band", "f8"),       # relative deviation from target that is tolerated
    ("reentry_rate", "f8"),        # [1/s]
    ("limit_orders", "f8"),        # 1: own orders are limit orders that stay, 0: IOC
    ("inventory_units", "f8"),     # own orders keep the position within so many units of the opening
    ("activity", "f8"),            # factor on the rate of own orders: response to the margin of this step
])

ENTRY = np.dtype([                 # one leveraged trader on its way in or back (only where entries are on)
    ("wanted_lots", "i8"),         # state: signed position that it wants
    ("slice_lots", "i8"),          # largest single order while it enters
    ("waiting", "f8"),             # state: [s] before it asks for money
    ("order_rate", "f8"),          # [1/s] of its own orders once it is in
    ("stop_distance", "f8"),       # [log distance] of a stop-loss or take-profit from the price of entry
    ("returns", "i4"),             # state: times it was liquidated
    ("stage", "i1"),               # state: Stage
    ("pad", "i1", (3,)),
])

ENTRY_RULE = np.dtype([("return_share", "f8"), ("return_seconds", "f8")])

PLACE = np.dtype([                 # one place of the background's book
    ("order_id", "i8"),            # state: 0 when free
    ("lots", "i8"),                # state: open lots when last seen
    ("notional", "f8"),            # [quote] mean size when taken
    ("nearest", "f8"),             # [log distance] its stratum
    ("furthest", "f8"),
    ("refill", "f8"),              # [1/s] hazard that a free place is taken
    ("index_weight", "f8"),        # of the index in the reference price, the rest is the mid
    ("side", "i1"),
    ("pad", "i1", (7,)),
])

FLOW = np.dtype([                  # one instrument of the background
    ("bid_depth", "f8"),           # state: fraction of the profile that bids aim at
    ("ask_depth", "f8"),
    ("sold_into", "f8"),           # state: [quote] recent fills of its bids
    ("bought_from", "f8"),         # state: [quote] recent fills of its asks
    ("notional_1pct", "f8"),       # [quote] of the profile
    ("order_notional", "f8"),      # [quote] mean size of a market order
    ("cut_steps", "i8"),           # state: steps in which market orders were cut at MOST_TAKERS
    ("cut_orders", "i8"),          # state: orders that were not sent for it
    ("seen_mid", "f8"),            # state: [quote] mid when the flow last looked
])

BACKGROUND_RULE = np.dtype([
    ("occupancy", "f8"), ("stale_distance", "f8"), ("order_rate", "f8"),
    ("anchor_distance", "f8"), ("anchor_bias", "f8"), ("activity_elasticity", "f8"), ("band", "f8"),
    ("volatility_elasticity", "f8"), ("reference_volatility", "f8"), ("flow_elasticity", "f8"),
    ("flow_memory", "f8"), ("return_seconds", "f8"), ("least", "f8"), ("fast_refill", "f8"),
    ("reaction_seconds", "f8"),
])

MAKER = np.dtype([                 # one market maker in one instrument
    ("away_until", "i8"),          # state: step of return, -1 when quoting
    ("peak_equity", "i8"),         # state: [atoms] since the last return
    ("opening_equity", "i8"),      # state: [atoms] with which it first quoted
    ("outside_profit", "i8"),      # state: [atoms] of its hedge held elsewhere
    ("bare_lots", "i8"),           # state: signed inventory whose hedge auto-deleveraging has stripped
    ("unit_lots", "i8"),           # mean size of a level; unit of inventory
    ("limit_lots", "i8"),          # inventory limit
    ("withdraw_volatility", "f8"), # [per sqrt day]
    ("account", "i4"),
    ("instrument", "i4"),
])

QUOTE = np.dtype([                 # one level of one side of one maker
    ("order_id", "i8"),            # state: 0 when none
    ("lots", "i8"),                # full size
    ("offset", "f8"),              # [bp] beyond the half-spread
])

MAKER_RULE = np.dtype([
    ("risk_aversion", "f8"), ("intensity", "f8"), ("decay", "f8"), ("index_weight", "f8"), ("widening", "f8"),
    ("reference_volatility", "f8"), ("replace_bp", "f8"), ("replace_ticks", "f8"), ("margin_use", "f8"),
    ("loss_limit", "f8"), ("return_seconds", "f8"), ("latency", "f8"), ("hedged_share", "f8"),
    ("capital_elasticity", "f8"), ("bare_widening", "f8"),
    ("reaction_seconds", "f8"),
])

ARBITRAGEUR = np.dtype([           # one arbitrageur in one instrument
    ("outside_lots", "i8"),        # state: hedge held elsewhere
    ("outside_cash", "f8"),        # state: [quote] paid (-) and received (+) for the hedge
    ("limit_lots", "i8"),
    ("order_lots", "i8"),          # largest single order
    ("account", "i4"),
    ("instrument", "i4"),
])

ARBITRAGEUR_RULE = np.dtype([
    ("threshold", "f8"), ("exit_threshold", "f8"), ("latency", "f8"), ("margin_use", "f8"),
    ("reaction_seconds", "f8"),
])

BASIS = np.dtype([                 # one basis trader in one instrument; its outside leg is a HEDGE row
    ("limit_lots", "i8"),          # largest short
    ("order_lots", "i8"),          # largest single order
    ("account", "i4"),
    ("instrument", "i4"),
])

BASIS_RULE = np.dtype([
    ("entry", "f8"), ("exit", "f8"), ("latency", "f8"), ("margin_use", "f8"), ("top_up_level", "f8"),
    ("leverage", "f8"),
])

HEDGE = np.dtype([                 # the outside leg of one account in one instrument (only where somebody hedges)
    ("outside_lots", "i8"),        # state: held elsewhere
    ("outside_cash", "f8"),        # state: [quote] paid (-) and received (+) for it
    ("cut_lots", "i8"),            # state: signed change of the position by auto-deleveraging still to be restored
    ("slice_lots", "i8"),          # largest single order that restores it
    ("share", "f8"),               # of the position held outside
    ("account", "i4"),
    ("instrument", "i4"),
])

HEDGE_RULE = np.dtype([("rehedge_share", "f8"), ("band", "f8"), ("latency", "f8")])
