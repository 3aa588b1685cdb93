"""Leveraged traders: hold a position on margin, follow a behaviour, and react when a call comes near.

The reaction to a call is a hazard that rises as the distance to the call shrinks, not a rule at the
call (Bian, He, Shue and Zhou 2018, "Leverage-induced fire sales and stock market crashes"): with
``d = (equity - maintenance margin) / notional``, about the log-distance to the call,

    P(react within dt) = 1 - exp(-h exp(-max(d, 0) / d0) dt).

A reacting trader sells part of the position, asks for money from its finite outside wealth, or does
nothing, as drawn once at the opening. Behaviours of its own accord: passive, trend following,
contrarian, leverage targeting (Adrian and Shin 2010), stop-loss (Osler 2005).
"""

import math

import numpy as np

from spirals.agents.orders import NO_ORDER, write_order
from spirals.agents.rows import Behaviour, Response
from spirals.simulation.accounts.requirement import initial_requirement, maintenance_requirement
from spirals.simulation.kernel import kernel
from spirals.simulation.order_book.queue_kernels import find_slot
from spirals.simulation.randomness import uniforms
from spirals.simulation.state import BUY, SELL, Cause, Kind, Mode, OrderKind, Status

__all__ = ["decide_traders", "trader_rule"]

ORIGIN = Kind.TRADER
ISOLATED = Mode.ISOLATED
LIQUIDATING = Status.LIQUIDATING
IOC, LIMIT, REPLACE = OrderKind.IOC, OrderKind.LIMIT, OrderKind.REPLACE
VOLUNTARY, CALL_RESPONSE = Cause.VOLUNTARY, Cause.CALL_RESPONSE
LEVERAGE_TARGET, STOP_LOSS_CAUSE = Cause.LEVERAGE_TARGET, Cause.STOP_LOSS
NOTHING, REDUCE = Response.NOTHING, Response.REDUCE
TREND_FOLLOWING, CONTRARIAN = Behaviour.TREND_FOLLOWING, Behaviour.CONTRARIAN
LEVERAGE_TARGETING = Behaviour.LEVERAGE_TARGETING
FAR = 6.0                          # call distances beyond which the hazard (< 0.25 %) is taken as zero
MOST_ORDERS = 2                    # rows one trader may write in a step
DAY = 86400.0
CHUNK = 64


@kernel
def decide_traders(
    first, last, rule, traders, accounts, positions, record, contracts, requirement, slots, pool, step, seconds, key,
    top_up_requests, orders, n, out_owners,
):
    """Let traders `first` .. `last` - 1 act; return the number of order rows."""
    draws = np.empty((CHUNK, 2))
    for start in range(first, last, CHUNK):
        stop = min(start + CHUNK, last)
        for t in range(start, stop):  # drawn ahead: independent draws overlap in the processor
            draws[t - start, 0], draws[t - start, 1] = uniforms(
                key, step, traders[t]["account"], traders[t]["instrument"]
            )
        for t in range(start, stop):
            trader = traders[t]
            account = trader["account"]
            i = trader["instrument"]
            before = n
            n = trader_rule(
                rule[0], trader, accounts[account], positions[account, i], record[i], contracts[i], requirement[i],
                slots, pool, seconds, draws[t - start, 0], draws[t - start, 1], top_up_requests, orders, n,
            )
            for k in range(before, n):
                out_owners[k] = t
    return n


@kernel
def trader_rule(
    rule, trader, account, position, market, contract, brackets, slots, pool, seconds, first, second, top_up_requests,
    orders, n,
):
    """Write one trader's orders from row `n` on (at most two); return the next free row.

    `first` and `second` are the trader's uniforms of this step.

    Precedence: a venue that liquidates leaves no choice; then the stop, the call, the behaviour. A
    top-up is asked for in `top_up_requests` [atoms], which the venue's transfer turns into a deposit.
    """
    if account["status"] >= LIQUIDATING:
        return n
    lots = position["lots"]
    mark = market["mark"]
    if lots == 0:
        if trader["home_lots"] != 0:  # out of the market: only a re-entry brings it back
            return reenter(rule, trader, account, market, contract, brackets, seconds, first, second, top_up_requests,
                           orders, n)
    else:
        if trader["stop_price"] > 0.0 and (mark - trader["stop_price"]) * lots <= 0.0:
            trader["stop_price"] = 0.0
            return close(rule, trader, market, contract, lots, abs(lots), STOP_LOSS_CAUSE, seconds, second, orders, n)
        if near_call(rule, account, position, mark * contract["lot_value"]) and trader["response"] != NOTHING:
            asked = before_call(rule, trader, account, position, mark, contract, brackets, seconds, first,
                                top_up_requests)
            if asked > 0:
                return close(rule, trader, market, contract, lots, asked, CALL_RESPONSE, seconds, second, orders, n)
    behaviour = trader["behaviour"]
    if behaviour == LEVERAGE_TARGETING:
        if lots != 0:
            n = target_leverage(rule, trader, account, position, market, contract, seconds, first, second, orders, n)
    elif behaviour == TREND_FOLLOWING or behaviour == CONTRARIAN:
        return follow_trend(rule, trader, position, market, contract, seconds, first, second, orders, n)
    return trade_around(rule, trader, position, market, contract, slots, pool, seconds, first, second, orders, n)


@kernel
def near_call(rule, account, position, lot):
    """Tell whether a call is so near that the hazard counts; cheap, never false by mistake.

    `lot` is the value of one lot [atoms]. Maintenance of all positions stands for that of this one.
    """
    value = position["lots"] * lot
    own = position["collateral"] - position["cost"] + value
    equity = own if account["mode"] == ISOLATED else np.float64(account["equity"])
    return equity - account["maintenance_margin"] <= FAR * rule["call_distance"] * abs(value)


@kernel
def before_call(rule, trader, account, position, mark, contract, brackets, seconds, u, top_up_requests):
    """Return the lots to sell because a call is near; a top-up is asked for in place and returns 0."""
    lots = abs(position["lots"])
    notional = lots * mark * contract["lot_value"]
    if account["mode"] == ISOLATED:
        equity = position["collateral"] - position["cost"] + position["lots"] * mark * contract["lot_value"]
        maintenance = maintenance_requirement(notional * contract["atom"], brackets) / contract["atom"]
    else:
        equity = np.float64(account["equity"])
        maintenance = np.float64(account["maintenance_margin"])
    scale = notional * rule["call_distance"]
    if equity - maintenance > FAR * scale:
        return 0
    hazard = trader["call_hazard"] * math.exp(-max((equity - maintenance) / scale, 0.0))
    if u >= 1.0 - math.exp(-hazard * seconds):
        return 0
    if trader["response"] == REDUCE:
        return max(1, np.int64(rule["reduce_share"] * lots))
    if account["outside_wealth"] > 0 and account["transfer_step"] < 0:
        wanted = np.int64(max(notional / trader["target_leverage"] - equity, 0.0))
        top_up_requests[trader["account"]] = min(wanted, account["outside_wealth"])
    return 0


@kernel
def band_ticks(rule, market, contract, side):
    """Return the worst price [ticks] of a marketable order."""
    ticks = market["mark"] * (1.0 + side * rule["band"]) / contract["tick_size"]
    price = int(math.floor(ticks)) if side > 0 else int(math.ceil(ticks))
    return min(max(price, 1), contract["n_ticks"] - 1)


@kernel
def close(rule, trader, market, contract, held, lots, cause, seconds, u, orders, n):
    """Write an IOC that closes `lots` of the `held` lots; return the next free row."""
    side = SELL if held > 0 else BUY
    write_order(orders[n], IOC, side, band_ticks(rule, market, contract, side), lots, int(u * seconds * 1e6),
                trader["account"], trader["instrument"], ORIGIN, cause, 0)
    orders[n]["reduce_only"] = 1
    return n + 1


@kernel
def target_leverage(rule, trader, account, position, market, contract, seconds, u, when, orders, n):
    """Trade back to the target leverage once the deviation is out of the band, at the pace of the horizon."""
    notional = abs(position["lots"]) * market["mark"] * contract["lot_value"]
    equity = np.float64(account["equity"])
    excess = notional - trader["target_leverage"] * equity
    if equity <= 0.0 or abs(excess) <= rule["leverage_band"] * notional:
        return n
    if u >= 1.0 - math.exp(-seconds / trader["horizon"]):
        return n
    lots = np.int64(abs(excess) / (market["mark"] * contract["lot_value"]))
    if excess > 0.0:
        return close(rule, trader, market, contract, position["lots"], min(lots, abs(position["lots"])),
                     LEVERAGE_TARGET, seconds, when, orders, n) if lots > 0 else n
    side = BUY if position["lots"] > 0 else SELL
    if lots > 0:
        write_order(orders[n], IOC, side, band_ticks(rule, market, contract, side), lots, int(when * seconds * 1e6),
                    trader["account"], trader["instrument"], ORIGIN, LEVERAGE_TARGET, 0)
        n += 1
    return n


@kernel
def follow_trend(rule, trader, position, market, contract, seconds, u, when, orders, n):
    """Buy a rising market (trend following) or a falling one (contrarian), one unit at a time."""
    mark = market["mark"]
    if trader["trend_price"] <= 0.0:
        trader["trend_price"] = mark
    trader["trend_price"] += (mark - trader["trend_price"]) * min(1.0, seconds / trader["horizon"])
    if u >= trader["order_rate"] * seconds:
        return n
    volatility = max(market["volatility"], 1e-6) * math.sqrt(trader["horizon"] / DAY)
    signal = (mark / trader["trend_price"] - 1.0) / volatility
    if abs(signal) < rule["trend_threshold"]:
        return n
    side = BUY if (signal > 0.0) == (trader["behaviour"] == TREND_FOLLOWING) else SELL
    if side * (position["lots"] - trader["home_lots"]) >= rule["inventory_units"] * trader["unit_lots"]:
        return n
    write_order(orders[n], IOC, side, band_ticks(rule, market, contract, side), trader["unit_lots"],
                int(when * seconds * 1e6), trader["account"], trader["instrument"], ORIGIN, VOLUNTARY, 0)
    return n + 1


@kernel
def trade_around(rule, trader, position, market, contract, slots, pool, seconds, u, draw, orders, n):
    """Trade a unit on either side, by IOC or by replacing one limit order near the mid; stay near the opening size."""
    chance = trader["order_rate"] * seconds
    if draw >= chance:
        return n
    if chance < 1.0:
        draw /= chance
    drift = position["lots"] - trader["home_lots"]
    most = rule["inventory_units"] * trader["unit_lots"]
    # Half of the draw decides the side, its place within the half the distance.
    half = np.int64(2.0 * draw)
    place = 2.0 * draw - half
    side = BUY - (BUY - SELL) * half
    if side * drift >= most:
        side = -side
    if rule["limit_orders"] == 0.0:
        write_order(orders[n], IOC, side, band_ticks(rule, market, contract, side), trader["unit_lots"],
                    np.int64(u * seconds * 1e6), trader["account"], trader["instrument"], ORIGIN, VOLUNTARY, NO_ORDER)
        return n + 1
    exact = market["mid"] * (1.0 - side * 2.0 * place * rule["order_distance"]) / contract["tick_size"]
    price = min(max(np.int64(exact + 0.5), 1), contract["n_ticks"] - 1)
    resting = find_slot(slots, pool, trader["order_id"]) != 0
    kind = REPLACE if resting else LIMIT
    target = trader["order_id"] if resting else NO_ORDER
    write_order(orders[n], kind, side, price, trader["unit_lots"], np.int64(u * seconds * 1e6), trader["account"],
                trader["instrument"], ORIGIN, VOLUNTARY, target)
    return n + 1


@kernel
def reenter(rule, trader, account, market, contract, brackets, seconds, u, when, top_up_requests, orders, n):
    """Open the old position anew, as large as the wallet allows, or fetch money for it first."""
    if rule["reentry_rate"] <= 0.0 or u >= 1.0 - math.exp(-rule["reentry_rate"] * seconds):
        return n
    lot = market["mark"] * contract["lot_value"]
    wanted = abs(trader["home_lots"])
    needed = wanted * lot / trader["target_leverage"]
    if account["cash"] < 0.5 * needed:
        if account["outside_wealth"] > 0 and account["transfer_step"] < 0:
            top_up_requests[trader["account"]] = min(np.int64(needed), account["outside_wealth"])
        return n
    lots = min(wanted, np.int64(account["cash"] * trader["target_leverage"] / lot))
    while lots > 0 and initial_requirement(lots * lot * contract["atom"], brackets) > account["cash"] * contract["atom"]:
        lots = lots // 2
    if lots > 0:
        side = BUY if trader["home_lots"] > 0 else SELL
        write_order(orders[n], IOC, side, band_ticks(rule, market, contract, side), lots, int(when * seconds * 1e6),
                    trader["account"], trader["instrument"], ORIGIN, VOLUNTARY, 0)
        n += 1
    return n
