"""Leveraged traders: hold a position on margin, follow a behaviour, and react when a call comes near.

The reaction to a call is a hazard that rises as the distance to the call shrinks, not a rule at the
call (Bian, He, Shue and Zhou 2018, "Leverage-induced fire sales and stock market crashes"): with
``d = (equity - maintenance margin) / notional``, about the log-distance to the call,

    P(react within dt) = 1 - exp(-h exp(-max(d, 0) / d0) dt).

A reacting trader sells part of the position, asks for money from its finite outside wealth, or does
nothing, as drawn once at the opening. Behaviours of its own accord: passive, trend following,
contrarian, leverage targeting (Adrian and Shin 2010), stop-loss and take-profit (Osler 2005).
"""

import math

import numpy as np

from spirals.agents.draws import uniforms_of_rows
from spirals.agents.orders import NO_ORDER, write_order
from spirals.agents.rows import Behaviour, Response
from spirals.simulation.accounts.requirement import affordable_notional, maintenance_requirement
from spirals.simulation.kernel import inlined, kernel
from spirals.simulation.order_book.queue_kernels import find_slot
from spirals.simulation.order_book.records import SLOT_MASK
from spirals.simulation.prefetch import prefetch
from spirals.simulation.state import BUY, SELL, Cause, Kind, Mode, OrderKind, Status

__all__ = ["MOST_ORDERS", "decide_traders", "trader_rule"]

ORIGIN = Kind.TRADER
ISOLATED = Mode.ISOLATED
LIQUIDATING = Status.LIQUIDATING
IOC, LIMIT, REPLACE = OrderKind.IOC, OrderKind.LIMIT, OrderKind.REPLACE
VOLUNTARY, CALL_RESPONSE = Cause.VOLUNTARY, Cause.CALL_RESPONSE
LEVERAGE_TARGET, STOP_LOSS = Cause.LEVERAGE_TARGET, Cause.STOP_LOSS
NOTHING, REDUCE = Response.NOTHING, Response.REDUCE
TREND_FOLLOWING, CONTRARIAN = Behaviour.TREND_FOLLOWING, Behaviour.CONTRARIAN
LEVERAGE_TARGETING, STOPPING = Behaviour.LEVERAGE_TARGETING, Behaviour.STOP_LOSS
IDLE, ORDERED, ASKED = range(3)    # what a trader did: nothing, wrote its order, wants a top-up of `lots` atoms
FAR = 6.0                          # call distances beyond which the hazard (< 0.25 %) is taken as zero
MOST_ORDERS = 1                    # rows one trader may write in a step
DAY = 86400.0
CHUNK = 64


@kernel
def decide_traders(
    first, last, rules, traders, accounts, positions, record, contracts, requirement, slots, pool, step, seconds, key,
    top_up_requests, orders, n, out_owners,
):
    """Let traders `first` .. `last` - 1 act; return the number of order rows.

    `rules` has one row per instrument.
    """
    draws = np.empty((2, CHUNK))
    work = np.empty((4, CHUNK), np.uint64)
    for start in range(first, last, CHUNK):
        stop = min(start + CHUNK, last)
        for t in range(start, stop):   # orders rest anywhere in the book: ask for them while the draws are made
            prefetch(slots, traders[t]["order_id"] & SLOT_MASK)
        uniforms_of_rows(key, step, traders, start, stop, work, draws)
        for t in range(start, stop):
            trader = traders[t]
            account = trader["account"]
            i = trader["instrument"]
            resting = find_slot(slots, pool, trader["order_id"]) != 0
            did = trader_rule(
                rules[i], trader, accounts[account], positions[account, i], record[i], contracts[i], requirement[i],
                resting, seconds, draws[0, t - start], draws[1, t - start], orders[n],
            )
            if did == ORDERED:
                out_owners[n] = t
                n += 1
            elif did == ASKED:
                top_up_requests[account] = orders[n]["lots"]
    return n


@inlined
def trader_rule(
    rule, trader, account, position, market, contract, brackets, resting, seconds, first, second, out_order,
):
    """Decide for one trader; fill `out_order` and return ORDERED, or ASKED with the top-up in its `lots`, or IDLE.

    Precedence: a venue that liquidates leaves no choice; then the exit price, the call, the behaviour.

    Parameters
    ----------
    rule : TRADER_RULE record
    trader : TRADER record
        Its state is modified in place.
    account, position, market, contract : records of the ledger and the market
    brackets : ndarray of REQUIREMENT, shape (n_brackets,)
    resting : bool
        Whether the trader's own order still rests.
    seconds : float
        [s] Length of the step.
    first, second : float
        The trader's uniforms of this step.
    """
    if account["status"] >= LIQUIDATING:
        return IDLE
    lots = position["lots"]
    if lots == 0:
        if trader["home_lots"] != 0:  # out of the market: only a re-entry brings it back
            return reenter(rule, trader, account, market, contract, brackets, seconds, first, second, out_order)
    else:
        if trader["exit_price"] > 0.0 and reached_exit(trader, market["mark"], lots):
            trader["exit_price"] = 0.0
            cause = STOP_LOSS if trader["behaviour"] == STOPPING else VOLUNTARY
            return close(rule, trader, market, contract, lots, abs(lots), cause, seconds, second, out_order)
        if near_call(rule, account, position, market["mark"] * contract["lot_value"]) and trader["response"] != NOTHING:
            chance = call_chance(rule, trader, account, position, market, contract, brackets, seconds)
            if first < chance:
                did = before_call(rule, trader, account, position, market, contract, seconds, second, out_order)
                if did != IDLE:
                    return did
                first /= chance
            else:
                first = (first - chance) / (1.0 - chance)  # uniform again: the behaviour is a decision of its own
    behaviour = trader["behaviour"]
    if behaviour == LEVERAGE_TARGETING and lots != 0:
        did = target_leverage(rule, trader, account, position, market, contract, seconds, first, second, out_order)
        if did != IDLE:
            return did
    if rule["limit_orders"] == 0.0 and behaviour in (TREND_FOLLOWING, CONTRARIAN):
        return follow_trend(rule, trader, position, market, contract, seconds, first, second, out_order)
    return trade_around(rule, trader, position, market, contract, resting, seconds, first, second, out_order)


@inlined
def reached_exit(trader, mark, lots):
    """Tell whether the mark has passed the trader's stop-loss (against it) or take-profit (in its favour)."""
    gain = (mark - trader["exit_price"]) * lots
    return gain <= 0.0 if trader["behaviour"] == STOPPING else gain >= 0.0


@inlined
def near_call(rule, account, position, lot):
    """Tell whether a call is so near that the hazard counts; cheap, never false by mistake.

    `lot` is the value of one lot [atoms]. Maintenance of all positions stands for that of this one.
    """
    value = position["lots"] * lot
    own = position["collateral"] - position["cost"] + value
    equity = own if account["mode"] == ISOLATED else np.float64(account["equity"])
    return equity - account["maintenance_margin"] <= FAR * rule["call_distance"] * abs(value)


@inlined
def call_chance(rule, trader, account, position, market, contract, brackets, seconds):
    """Return the chance that the trader reacts to a near call in this step: the hazard of the module docstring."""
    lots = position["lots"]
    notional = abs(lots) * market["mark"] * contract["lot_value"]
    equity = np.float64(account["equity"])
    maintenance = np.float64(account["maintenance_margin"])
    if account["mode"] == ISOLATED:
        equity = position["collateral"] - position["cost"] + lots * market["mark"] * contract["lot_value"]
        maintenance = maintenance_requirement(notional * contract["atom"], brackets) / contract["atom"]
    distance = (equity - maintenance) / (notional * rule["call_distance"])
    hazard = trader["call_hazard"] * math.exp(-max(distance, 0.0))
    return 1.0 - math.exp(-hazard * seconds)


@inlined
def before_call(rule, trader, account, position, market, contract, seconds, when, out_order):
    """React to a near call: reduce, or ask for money."""
    lots = position["lots"]
    if trader["response"] == REDUCE:
        part = max(np.int64(1), np.int64(rule["reduce_share"] * abs(lots)))
        return close(rule, trader, market, contract, lots, part, CALL_RESPONSE, seconds, when, out_order)
    if account["transfer_step"] >= 0:
        return IDLE
    value = lots * market["mark"] * contract["lot_value"]
    equity = np.float64(account["equity"])
    if account["mode"] == ISOLATED:
        equity = position["collateral"] - position["cost"] + value
    wanted = np.int64(max(abs(value) / trader["target_leverage"] - equity, 0.0))
    out_order["lots"] = min(wanted, account["outside_wealth"])
    return ASKED if out_order["lots"] > 0 else IDLE


@inlined
def take(rule, trader, market, contract, side, lots, cause, seconds, when, out_order):
    """Write a marketable order inside the band around the mark."""
    ticks = market["mark"] * (1.0 + side * rule["band"]) / contract["tick_size"]
    price = math.floor(ticks) if side > 0 else math.ceil(ticks)
    price = np.int64(min(max(price, 1), contract["n_ticks"] - 1))
    write_order(out_order, IOC, side, price, lots, np.int64(when * seconds * 1e6), trader["account"],
                trader["instrument"], ORIGIN, cause, NO_ORDER)
    return ORDERED


@inlined
def close(rule, trader, market, contract, held, lots, cause, seconds, when, out_order):
    """Write a marketable order that closes `lots` of the `held` lots."""
    side = SELL if held > 0 else BUY
    take(rule, trader, market, contract, side, lots, cause, seconds, when, out_order)
    out_order["reduce_only"] = 1
    return ORDERED


@inlined
def target_leverage(rule, trader, account, position, market, contract, seconds, u, when, out_order):
    """Trade back to the target leverage once the deviation is out of the band, at the pace of the horizon."""
    lot = market["mark"] * contract["lot_value"]
    notional = abs(position["lots"]) * lot
    equity = np.float64(account["equity"])
    excess = notional - trader["target_leverage"] * equity
    if equity <= 0.0 or abs(excess) <= rule["leverage_band"] * notional:
        return IDLE
    lots = np.int64(abs(excess) / lot)
    if lots == 0 or u >= 1.0 - math.exp(-seconds / trader["horizon"]):
        return IDLE
    if excess > 0.0:
        return close(rule, trader, market, contract, position["lots"], min(lots, abs(position["lots"])),
                     LEVERAGE_TARGET, seconds, when, out_order)
    side = BUY if position["lots"] > 0 else SELL
    return take(rule, trader, market, contract, side, lots, LEVERAGE_TARGET, seconds, when, out_order)


@inlined
def follow_trend(rule, trader, position, market, contract, seconds, u, when, out_order):
    """Buy a rising market (trend following) or a falling one (contrarian), one unit at a time."""
    mark = market["mark"]
    if trader["trend_price"] <= 0.0:
        trader["trend_price"] = mark
    trader["trend_price"] += (mark - trader["trend_price"]) * min(1.0, seconds / trader["horizon"])
    if u >= trader["order_rate"] * rule["activity"] * seconds:
        return IDLE
    volatility = max(market["volatility"], 1e-6) * math.sqrt(trader["horizon"] / DAY)
    signal = (mark / trader["trend_price"] - 1.0) / volatility
    if abs(signal) < rule["trend_threshold"]:
        return IDLE
    side = BUY if (signal > 0.0) == (trader["behaviour"] == TREND_FOLLOWING) else SELL
    if side * (position["lots"] - trader["home_lots"]) >= rule["inventory_units"] * trader["unit_lots"]:
        return IDLE
    return take(rule, trader, market, contract, side, trader["unit_lots"], VOLUNTARY, seconds, when, out_order)


@inlined
def trade_around(rule, trader, position, market, contract, resting, seconds, u, draw, out_order):
    """Trade a unit on either side, by IOC or by replacing one limit order near the mid; stay near the opening size."""
    chance = trader["order_rate"] * rule["activity"] * seconds
    if draw >= chance:
        return IDLE
    if chance < 1.0:
        draw /= chance
    # Half of the draw decides the side, its place within the half the distance.
    half = np.int64(2.0 * draw)
    place = 2.0 * draw - half
    side = BUY - (BUY - SELL) * half
    if side * (position["lots"] - trader["home_lots"]) >= rule["inventory_units"] * trader["unit_lots"]:
        side = -side
    if rule["limit_orders"] == 0.0:
        return take(rule, trader, market, contract, side, trader["unit_lots"], VOLUNTARY, seconds, u, out_order)
    exact = market["mid"] * (1.0 - side * 2.0 * place * rule["order_distance"]) / contract["tick_size"]
    price = min(max(np.int64(exact + 0.5), 1), contract["n_ticks"] - 1)
    write_order(out_order, REPLACE if resting else LIMIT, side, price, trader["unit_lots"],
                np.int64(u * seconds * 1e6), trader["account"], trader["instrument"], ORIGIN, VOLUNTARY,
                trader["order_id"] if resting else NO_ORDER)
    return ORDERED


@inlined
def reenter(rule, trader, account, market, contract, brackets, seconds, u, when, out_order):
    """Open the old position anew, as large as the wallet allows, or fetch money for it first."""
    if rule["reentry_rate"] <= 0.0 or u >= 1.0 - math.exp(-rule["reentry_rate"] * seconds):
        return IDLE
    lot = market["mark"] * contract["lot_value"]
    wanted = abs(trader["home_lots"])
    needed = wanted * lot / trader["target_leverage"]
    if account["cash"] < 0.5 * needed:
        if account["transfer_step"] >= 0:
            return IDLE
        out_order["lots"] = min(np.int64(needed), account["outside_wealth"])
        return ASKED if out_order["lots"] > 0 else IDLE
    allowed = affordable_notional(account["cash"] * contract["atom"], brackets) / contract["atom"]
    lots = min(wanted, np.int64(min(account["cash"] * trader["target_leverage"], allowed) / lot))
    if lots <= 0:
        return IDLE
    side = BUY if trader["home_lots"] > 0 else SELL
    return take(rule, trader, market, contract, side, lots, VOLUNTARY, seconds, when, out_order)
