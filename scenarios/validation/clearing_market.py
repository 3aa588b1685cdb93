"""Markets for the margin and loss spirals: one that clears at a price, and a linear stretch of the real order book.

Clearing market: customers sell `supply` and buy back `slope` per unit of price below value; speculators hold the
rest, and no more than their wealth allows at the margin of that price. Nothing here knows a multiplier.
"""

import dataclasses
import math

import numpy as np

from spirals.simulation.contracts import Instrument
from spirals.simulation.kernel import kernel
from spirals.simulation.order_book import OrderBook
from spirals.simulation.state import BUY, ORDER, SELL, OrderKind

__all__ = ["Spiral", "book_move", "clearing_price", "leverage_target_move", "threshold_move"]

PRICE = 100.0
TICK = 0.0001
LOT = 1e-6
TICKS = 100_000       # bids from PRICE downwards
ROUNDS = 2000


@dataclasses.dataclass(frozen=True)
class Spiral:
    """Speculators at their constraint at the price 100, as seen by the market model.

    Attributes
    ----------
    slope : float
        k, units that customers buy per unit of price.
    margin : float
        m, money per unit held.
    margin_slope : float
        m', its change per unit of price.
    holding : float
        x_1, units that speculators carry now.
    exposed : float
        x_0, units on whose price change their wealth depends.
    """

    slope: float
    margin: float
    margin_slope: float
    holding: float
    exposed: float


def clearing_price(spiral: Spiral, shock: float, value: float = 0.0, supply: float = 0.0) -> float:
    """Return the price change at which the market clears after `shock` to the wealth of the speculators.

    The root is the first one on the way from the price before the shock, in the direction in which
    speculators are pushed; NaN when there is none within 50 moves of a market without spirals.

    Parameters
    ----------
    spiral : Spiral
    shock : float
        Change of wealth [money].
    value, supply : float
        Noise: change of the fundamental value [price] and of what customers sell [units]; the speculators'
        wealth is taken such that they are at their constraint before the shock all the same.
    """
    return float(first_root(spiral.slope, spiral.margin, spiral.margin_slope, spiral.holding, spiral.exposed, shock,
                            supply - spiral.slope * value))


@kernel
def need(change, slope, margin, margin_slope, holding, exposed, shock, extra):
    """Return margin needed less wealth when the price has changed by `change`."""
    held = holding + extra + slope * change
    wealth = margin * (holding + extra) + exposed * change + shock
    return (margin + margin_slope * change) * held - wealth


@kernel
def first_root(slope, margin, margin_slope, holding, exposed, shock, extra):
    """Return the first change of price, on the way from 0, at which need is met; NaN when none is near."""
    reach = 50.0 * abs(shock) / (slope * margin)
    direction = 1.0 if shock > 0.0 else -1.0
    parts = 500
    before = 0.0
    sign = need(0.0, slope, margin, margin_slope, holding, exposed, shock, extra)
    for part in range(1, parts + 1):
        after = direction * reach * part / parts
        if need(after, slope, margin, margin_slope, holding, exposed, shock, extra) * sign <= 0.0:
            for _ in range(80):
                middle = 0.5 * (before + after)
                if need(middle, slope, margin, margin_slope, holding, exposed, shock, extra) * sign <= 0.0:
                    after = middle
                else:
                    before = middle
            return after
        before = after
    return math.nan


def book_move(spiral: Spiral, shock: float) -> float:
    """Return the price change after a loss of `shock` (negative), by rounds of forced sales through the order book.

    The book holds `slope` units per unit of price from the price downwards; each round the speculators sell what
    their margin no longer allows at the last price, until nothing is left to sell. NaN when the book runs dry or the
    rounds do not end.
    """
    instrument = Instrument(tick_size=TICK, lot_size=LOT, atom=TICK * LOT, max_price=PRICE + 1.0)
    book = OrderBook([instrument], 2, TICKS + 16)
    positions = np.zeros((2, 1), np.int64)
    top = round(PRICE / TICK)
    bids = np.zeros(min(TICKS, top) - 1, ORDER)
    bids["side"], bids["kind"], bids["event"] = BUY, OrderKind.LIMIT, -1
    bids["price_ticks"] = top - np.arange(len(bids))
    bids["lots"] = round(spiral.slope * TICK / LOT)
    book.match(bids, np.arange(len(bids)), positions)
    wealth, held, change = spiral.margin * spiral.holding + shock, spiral.holding, 0.0
    sale = np.zeros(1, ORDER)
    for _ in range(ROUNDS):
        required = max(spiral.margin + spiral.margin_slope * change, 1e-9)
        lots = int((held - (wealth + spiral.exposed * change) / required) / LOT)
        if lots <= 0:
            return change
        sale["account"], sale["side"], sale["kind"], sale["lots"], sale["event"] = 1, SELL, OrderKind.MARKET, lots, -1
        book.match(sale, np.zeros(1, np.int64), positions)
        if sale["filled_lots"][0] < lots:
            return math.nan
        held -= lots * LOT
        change = book.tops["best_bid"][0] * TICK - PRICE
    return math.nan


@kernel
def leverage_target_move(assets, leverage, elasticity, depth, shock):
    """Return the log price change after a shock to it, when a fund keeps a leverage that falls with the price.

    Each round it sells what exceeds `leverage` times (price ratio to the power `elasticity`) its equity; a sale of one
    unit of money moves the log price by 1 / depth. Returns NaN when the rounds do not end.
    """
    held = assets                 # units, at a price of 1
    debt = assets * (1.0 - 1.0 / leverage)
    change = shock
    for _ in range(100_000):
        price = math.exp(change)
        wanted = leverage * price**elasticity * (held * price - debt)
        sale = held * price - wanted
        if abs(sale) < 1e-10 * abs(shock) * assets:
            return change
        held -= sale / price
        debt -= sale
        change -= sale / depth
        if abs(change) > 1.0:
            return math.nan
    return math.nan


@kernel
def threshold_move(bankruptcy, notional, rate, elasticity, depth, shock):
    """Return the log price fall after a fall by `shock`, when long accounts are closed at their maintenance margin.

    Parameters: `bankruptcy`, log prices (falling) at which an account's equity is 0; `notional` of each;
    maintenance `rate` at the log price 0, which grows as the price to the power -elasticity; `depth`, notional per
    unit of log price. An account is closed when ``price (1 - rate) < bankruptcy price``.
    """
    fall = shock
    closed = 0
    while closed < len(bankruptcy):
        now = rate * math.exp(elasticity * fall)
        if -fall + math.log(1.0 - now) >= bankruptcy[closed]:
            break
        closed += 1
        fall += notional / depth
    return fall
