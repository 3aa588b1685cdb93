"""Background flow: everybody who is not modelled one by one, as a state-dependent order flow.

A zero-intelligence book after Cont, Stoikov and Talreja (2010), "A stochastic model for order book
dynamics": limit orders arrive by distance, each is cancelled with its own hazard, market orders
arrive as a Poisson process. Two changes make droughts possible and the depth profile exact:

- The distance axis is cut into strata of equal log width, one *place* per stratum and side. A place
  is free or taken, a two-state Markov chain with refill hazard ``a(x)`` (fast at the touch, slow far
  away) and stationary occupancy ``f``; a taken place holds ``[C(x+) - C(x-)] / f0`` of notional, so
  the expected cumulative depth is the profile ``C`` of the :class:`Depth` object for ``f = f0``.
- ``f = f0 * m`` where the multiplier ``m`` of each side falls with volatility and with recent fills
  of that side and returns slowly (see :mod:`spirals.simulation.market.depth`), times any scripted
  withdrawal.

Draws are keyed by (step, place): thinning, not a list of survivors, so a fill never shifts noise.
"""

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.agents.orders import NO_ORDER, its_turn, open_lots, write_order
from spirals.agents.rows import BACKGROUND_RULE, FLOW, PLACE
from spirals.simulation.kernel import inlined, lean
from spirals.simulation.market.depth import Depth, far_position
from spirals.simulation.parameters import Part, parameter
from spirals.simulation.randomness import exponential, poisson_quantile, uniforms
from spirals.simulation.state import BACKGROUND_ROW, BUY, SELL, Cause, Kind, OrderKind

__all__ = [
    "MOST_TAKERS", "SCRIPTED", "BackgroundFlow", "background_rule", "decide_background", "flow_rows", "place_rows",
]

BACKGROUND = Kind.BACKGROUND
VOLUNTARY = Cause.VOLUNTARY
POST_ONLY, IOC, CANCEL = OrderKind.POST_ONLY, OrderKind.IOC, OrderKind.CANCEL
MOST_TAKERS = 64   # market orders per step and instrument
SCRIPTED = 4       # market orders into which scripted flow is cut per step
ACTORS = 4096      # counters reserved per instrument
OPENING_SECONDS = 1e9   # long enough for every place to be stationary


@dataclasses.dataclass(frozen=True)
class BackgroundFlow(Part):
    """Parameters of the background flow; its depth comes from the scenario's `Depth`."""

    places: int = parameter(56, unit="orders per side", low=8, high=1000, help="strata of distance, one order each")
    nearest_bp: float = parameter(0.7, unit="bp", above=0, high=100, help="width of the first stratum")
    occupancy: float = parameter(0.8, unit="fraction", above=0, below=1, help="share of places taken in calm times")
    index_weight: float = parameter(0.5, low=0, high=1, help="index in the price that orders at the touch refer to, "
                                                             "the rest is the mid")
    far_index_weight: float = parameter(0.5, low=0, high=1, help="the same 1 % away and beyond: who quotes far from "
                                                                 "the touch quotes value [assumption]")
    stale_bp: float = parameter(15.0, unit="bp", above=0, high=10000,
                                help="orders further on the wrong side of the index are cancelled fast")
    order_rate: float = parameter(1.0, unit="1/s", low=0, high=100, help="market orders, both sides, calm")
    order_share: float = parameter(0.02, unit="fraction of depth within 10 bp", low=0, high=10,
                                   help="mean size of a market order (exponential)")
    anchor_bp: float = parameter(10.0, unit="bp", above=0, high=10000,
                                 help="gap between index and mid at which the side bias is full")
    anchor_bias: float = parameter(0.3, low=0, high=0.5, help="full bias of market orders toward the index")
    activity_elasticity: float = parameter(0.5, low=0, high=3, help="of the order rate in volatility")
    band: float = parameter(0.03, unit="log distance", above=0, high=0.5, help="market orders trade no further")
    reaction_seconds: float = parameter(1.0, unit="s", low=0, high=3600,
                                        help="resting orders refer to the mid of the last look; one look in so long")

    def rule(self, depth: Depth) -> NDArray[Any]:
        """Return the parameters as one BACKGROUND_RULE row."""
        row = np.zeros(1, BACKGROUND_RULE)
        row[0] = (
            self.occupancy, self.stale_bp * 1e-4, self.order_rate,
            self.anchor_bp * 1e-4, self.anchor_bias, self.activity_elasticity, self.band,
            depth.volatility_elasticity, depth.reference_volatility, depth.flow_elasticity,
            depth.flow_memory_seconds, depth.return_seconds, depth.least, 1.0 / depth.fast_refill_seconds,
            self.reaction_seconds,
        )
        return row

    def weight_of_index(self, distance: float) -> float:
        """Return the index's weight in the reference of orders at a log-distance: linear in its log, 1 bp to 1 %."""
        return self.index_weight + far_position(distance) * (self.far_index_weight - self.index_weight)

    def max_orders(self, n_instruments: int) -> int:
        return n_instruments * (2 * self.places + MOST_TAKERS + SCRIPTED)


def place_rows(flow: BackgroundFlow, depth: Depth, maker_share: float, maker_reach: float) -> NDArray[Any]:
    """Return the places of one instrument, shape (2 * places,), PLACE: bids first, nearest first.

    Within `maker_reach` (log-distance) the makers supply `maker_share` of the profile, the
    background the rest.
    """
    nearest = flow.nearest_bp * 1e-4
    edges = [0.0] + [nearest * (depth.reach / nearest) ** (k / (flow.places - 1)) for k in range(flow.places)]
    rows = np.zeros(2 * flow.places, PLACE)
    for s, side in enumerate((BUY, SELL)):
        cumulative = [float(depth.cumulative(x, side)) for x in edges]
        shared = [float(depth.cumulative(min(x, maker_reach), side)) for x in edges]
        for k in range(flow.places):
            row = rows[s * flow.places + k]
            own = cumulative[k + 1] - cumulative[k] - maker_share * (shared[k + 1] - shared[k])
            row["notional"] = own / flow.occupancy
            row["nearest"], row["furthest"], row["side"] = edges[k], edges[k + 1], side
            row["refill"] = 1.0 / depth.refill_seconds(edges[k + 1])
            row["index_weight"] = flow.weight_of_index(edges[k + 1])
    return rows


def flow_rows(flow: BackgroundFlow, depths: list[Depth]) -> NDArray[Any]:
    """Return the opening state of the flow, shape (n_instruments,), FLOW."""
    rows = np.zeros(len(depths), FLOW)
    for row, depth in zip(rows, depths, strict=True):
        row["bid_depth"] = row["ask_depth"] = 1.0
        row["notional_1pct"] = 0.5 * float(depth.cumulative(0.01, BUY) + depth.cumulative(0.01, SELL))
        near = 0.5 * float(depth.cumulative(0.001, BUY) + depth.cumulative(0.001, SELL))
        row["order_notional"] = flow.order_share * near
    return rows


@lean
def decide_background(
    first, last, rules, flows, places, record, contracts, slots, pool, step, seconds, keys, depth_factor,
    flow_notional, takers, orders, n, out_owners,
):
    """Let the background act in instruments `first` .. `last` - 1; return the number of order rows."""
    for i in range(first, last):
        n = background_rule(
            i, rules[i], flows[i], places[i], record[i], contracts[i], slots, pool, step, seconds, keys,
            depth_factor[i], flow_notional[i], takers, orders, n, out_owners,
        )
    return n


@inlined
def background_rule(
    i, rule, flow, places, market, contract, slots, pool, step, seconds, keys, depth_factor, flow_notional,
    takers, orders, n, out_owners,
):
    """Write the background's orders in instrument `i` from row `n` on; return the next free row.

    Limit orders and cancellations belong to the background row, market orders to the row `takers`
    (one account may not trade with itself).
    """
    volatility = market["volatility"]
    ratio = volatility / rule["reference_volatility"] if volatility > 0.0 else 1.0
    memory = math.exp(-seconds / rule["flow_memory"])
    count_fills(flow, places, slots, pool, market["mid"] * contract["lot_size"], memory)
    withdraw(rule, flow, ratio, seconds)
    if flow["seen_mid"] == 0.0 or its_turn(rule["reaction_seconds"], seconds, step, 0):
        flow["seen_mid"] = market["mid"]
    if step == 0:  # the opening book: every place in its stationary state, nobody takes
        return renew_places(
            i, rule, flow, places, market, contract, slots, step, OPENING_SECONDS, keys[0], depth_factor, orders, n,
            out_owners,
        )
    n = renew_places(
        i, rule, flow, places, market, contract, slots, step, seconds, keys[0], depth_factor, orders, n, out_owners,
    )
    n = market_orders(i, rule, flow, market, contract, ratio, step, seconds, keys[1], takers, orders, n, out_owners)
    return scripted_orders(i, rule, market, contract, flow_notional, seconds, takers, orders, n, out_owners)


@inlined
def count_fills(flow, places, slots, pool, quote_per_lot, memory):
    """Update open lots of all places and the recent fills of each side."""
    sold = 0
    bought = 0
    for p in range(len(places)):
        place = places[p]
        if place["order_id"] != NO_ORDER:
            lots = open_lots(slots, pool, place["order_id"])
            if lots != place["lots"]:
                if place["side"] > 0:
                    sold += place["lots"] - lots
                else:
                    bought += place["lots"] - lots
                place["lots"] = lots
                if lots == 0:
                    place["order_id"] = NO_ORDER
    flow["sold_into"] = flow["sold_into"] * memory + sold * quote_per_lot
    flow["bought_from"] = flow["bought_from"] * memory + bought * quote_per_lot


@inlined
def withdraw(rule, flow, ratio, seconds):
    """Move the depth multipliers: down at once, up with the time constant of returning liquidity."""
    calm = min(1.0, math.pow(ratio, -rule["volatility_elasticity"]))
    back = 1.0 - math.exp(-seconds / rule["return_seconds"])
    scale = rule["flow_elasticity"] / max(flow["notional_1pct"], 1e-9)
    bid = max(rule["least"], calm * math.exp(-scale * flow["sold_into"]))
    ask = max(rule["least"], calm * math.exp(-scale * flow["bought_from"]))
    flow["bid_depth"] = bid if bid < flow["bid_depth"] else flow["bid_depth"] + back * (bid - flow["bid_depth"])
    flow["ask_depth"] = ask if ask < flow["ask_depth"] else flow["ask_depth"] + back * (ask - flow["ask_depth"])


@inlined
def renew_places(
    i, rule, flow, places, market, contract, slots, step, seconds, key, depth_factor, orders, n, out_owners,
):
    """Take free places, give up taken ones; return the next free order row."""
    tick = contract["tick_size"]
    step_us = min(seconds, 1.0) * 1e6 if step == 0 else seconds * 1e6
    highest_bid = contract["n_ticks"] - 1
    lowest_ask = 1
    if market["best_ask"] > 0.0:  # NaN when the side is empty
        highest_bid = int(round(market["best_ask"] / tick)) - 1
    if market["best_bid"] > 0.0:
        lowest_ask = int(round(market["best_bid"] / tick)) + 1
    bids = min(max(rule["occupancy"] * flow["bid_depth"] * depth_factor, 1e-4), 0.99)
    asks = min(max(rule["occupancy"] * flow["ask_depth"] * depth_factor, 1e-4), 0.99)
    fast = 1.0 - math.exp(-rule["fast_refill"] * seconds)
    for p in range(len(places)):
        place = places[p]
        side = place["side"]
        reference = place["index_weight"] * market["index"] + (1.0 - place["index_weight"]) * flow["seen_mid"]
        taken = bids if side > 0 else asks
        moving = 1.0 - math.exp(-place["refill"] * seconds / taken)
        first, second = uniforms(key, step, i * ACTORS + p, 0)
        if place["order_id"] != NO_ORDER:
            price = slots[place["order_id"] & 0xFFFFFF]["price_ticks"] * tick
            chance = (1.0 - taken) * moving
            distance = side * (1.0 - price / reference)
            if distance > 2.0 * place["furthest"] or distance < 0.5 * place["nearest"] - 0.0002:
                chance = max(chance, taken * moving)  # out of its stratum: move
            if side * (price / market["index"] - 1.0) > rule["stale_distance"]:
                chance = max(chance, fast)
            if first < chance:
                write_order(orders[n], CANCEL, side, 0, 0, int(step_us * (first / chance)), BACKGROUND_ROW, i,
                            BACKGROUND, VOLUNTARY, place["order_id"])
                out_owners[n] = p
                n += 1
        elif first < taken * moving:
            price, lots = new_limit_order(place, second, reference, contract, key, step, i * ACTORS + p)
            price = min(price, highest_bid) if side > 0 else max(price, lowest_ask)
            if lots > 0 and 0 < price < contract["n_ticks"]:
                write_order(orders[n], POST_ONLY, side, price, lots, int(step_us * (first / (taken * moving))),
                            BACKGROUND_ROW, i, BACKGROUND, VOLUNTARY, 0)
                out_owners[n] = p
                n += 1
    return n


@inlined
def new_limit_order(place, u, reference, contract, key, step, actor):
    """Return price [ticks] and lots of a new order: log-distance uniform in the stratum, size 0.5-1.5 x mean."""
    if place["nearest"] > 0.0:
        distance = place["nearest"] * math.pow(place["furthest"] / place["nearest"], u)
    else:
        distance = u * place["furthest"]
    exact = reference * math.exp(-place["side"] * distance)
    ticks = exact / contract["tick_size"]
    price = int(math.floor(ticks)) if place["side"] > 0 else int(math.ceil(ticks))
    size, rounding = uniforms(key, step, actor, 1)
    lots = int(math.floor(place["notional"] * (0.5 + size) / (exact * contract["lot_size"]) + rounding))
    return price, lots


@inlined
def market_orders(i, rule, flow, market, contract, ratio, step, seconds, key, takers, orders, n, out_owners):
    """Write Poisson market orders, biased toward closing the gap between index and mid."""
    rate = rule["order_rate"] * math.pow(ratio, rule["activity_elasticity"]) * seconds
    gap = (market["index"] / market["mid"] - 1.0) / rule["anchor_distance"]
    buying = 0.5 + rule["anchor_bias"] * min(max(gap, -1.0), 1.0)
    count, _ = uniforms(key, step, i * ACTORS, 0)
    per_lot = market["mid"] * contract["lot_size"]
    wanted = poisson_quantile(rate, count)
    if wanted > MOST_TAKERS:
        flow["cut_steps"] += 1
        flow["cut_orders"] += wanted - MOST_TAKERS
    for k in range(min(wanted, MOST_TAKERS)):
        side_draw, size = uniforms(key, step, i * ACTORS, 2 * k + 1)
        when, rounding = uniforms(key, step, i * ACTORS, 2 * k + 2)
        side = BUY if side_draw < buying else SELL
        lots = int(math.floor(flow["order_notional"] * exponential(size) / per_lot + rounding))
        n = write_taker(rule, market, contract, i, side, lots, int(when * seconds * 1e6), takers, orders, n, out_owners)
    return n


@inlined
def scripted_orders(i, rule, market, contract, notional, seconds, takers, orders, n, out_owners):
    """Write scripted order flow [quote, signed] of this step, evenly spread over it."""
    lots = int(abs(notional) / (market["mid"] * contract["lot_size"]) + 0.5)
    side = BUY if notional > 0.0 else SELL
    for k in range(SCRIPTED):
        part = lots // SCRIPTED + (1 if k < lots % SCRIPTED else 0)
        arrival = int((k + 0.5) / SCRIPTED * seconds * 1e6)
        n = write_taker(rule, market, contract, i, side, part, arrival, takers, orders, n, out_owners)
    return n


@inlined
def write_taker(rule, market, contract, i, side, lots, arrival, takers, orders, n, out_owners):
    """Write one market order with the band as its limit; return the next free row."""
    if lots <= 0:
        return n
    ticks = market["mid"] * (1.0 + side * rule["band"]) / contract["tick_size"]
    price = int(math.floor(ticks)) if side > 0 else int(math.ceil(ticks))
    price = min(max(price, 1), contract["n_ticks"] - 1)
    write_order(orders[n], IOC, side, price, lots, arrival, takers, i, BACKGROUND, VOLUNTARY, 0)
    out_owners[n] = -1
    return n + 1
