"""Market makers: quotes on several levels around a fair price, skewed by inventory.

Half-spread and skew are the asymptotic quotes of Guéant, Lehalle and Fernandez-Tapia (2013),
"Dealing with the inventory risk", for orders of one unit (Delta = 1), prices in bp:

    c1 = ln(1 + gamma / k) / gamma
    c2 = sqrt( gamma / (2 A k) * (1 + gamma / k)^(k / gamma + 1) )
    half-spread = c1 + sigma c2 / 2,    skew = sigma c2 per unit of inventory

with risk aversion ``gamma`` [1/bp], fill intensity ``A exp(-k delta)`` [1/s] and volatility ``sigma``
[bp per sqrt second]. A maker quotes only as far as its inventory limit and its own margin allow,
leaves when volatility or its losses exceed a threshold and comes back after minutes, with the capital
that it has left: sizes and inventory limit are multiplied by ``min(1, equity / opening equity) ^
capital_elasticity``. Inventory that is hedged elsewhere bears no risk; what auto-deleveraging leaves
without its other leg does, moves the quotes like any inventory and may widen them.
"""

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.agents.orders import NO_ORDER, its_turn, write_order
from spirals.agents.rows import MAKER, MAKER_RULE, QUOTE
from spirals.simulation.kernel import inlined, lean
from spirals.simulation.market.depth import Depth
from spirals.simulation.order_book.queue_kernels import find_slot
from spirals.simulation.parameters import Part, parameter, problems_of
from spirals.simulation.randomness import uniforms
from spirals.simulation.state import BUY, SELL, Cause, Kind, OrderKind, Status

__all__ = ["MarketMakers", "decide_makers", "glft", "maker_rows", "maker_rule"]

ORIGIN = Kind.MAKER
VOLUNTARY = Cause.VOLUNTARY
LIMIT, CANCEL, REPLACE, CANCEL_ALL = OrderKind.LIMIT, OrderKind.CANCEL, OrderKind.REPLACE, OrderKind.CANCEL_ALL
LIQUIDATING = Status.LIQUIDATING
BP_PER_ROOT_SECOND = 1e4 / math.sqrt(86400.0)   # of a volatility per sqrt day


@dataclasses.dataclass(frozen=True)
class MarketMakers(Part):
    """Parameters of the makers. `count` 0 leaves the book to the background.

    The first level is at the half-spread, the others follow geometrically so that the profile is shared
    up to `reach_bp`; together they supply `depth_share` of it there, the background the rest.
    """

    count: int = parameter(3, unit="makers", low=0, high=1000)
    levels: int = parameter(4, unit="per side", low=1, high=50)
    depth_share: float = parameter(0.5, unit="fraction of depth within reach", low=0, high=1,
                                   help="what all makers together quote")
    reach_bp: float = parameter(12.0, unit="bp", above=0, high=1000,
                                help="distance up to which makers share the profile")
    capital: float = parameter(0.0, unit="quote per maker", low=0, help="0: capital_share of open interest")
    capital_share: float = parameter(0.01, unit="fraction of open interest per maker", above=0, high=10)
    risk_aversion: float = parameter(0.01, unit="1/bp", above=0, high=10, help="gamma, per unit of inventory")
    intensity: float = parameter(1.4, unit="1/s", above=0, high=1000, help="A: fills at zero distance")
    decay: float = parameter(1.5, unit="1/bp", above=0, high=100, help="k: fall of the fill rate with distance")
    index_weight: float = parameter(0.7, low=0, high=1, help="index in the fair price, the rest is the mid")
    widening: float = parameter(0.5, low=0, high=3, help="half-spread grows as (volatility / reference)^widening")
    inventory_limit: float = parameter(20.0, unit="units (mean level size)", above=0, high=1e6)
    margin_use: float = parameter(0.5, unit="fraction of equity", above=0, high=1,
                                  help="own initial margin never exceeds this share of equity")
    replace_bp: float = parameter(0.5, unit="bp", low=0, high=100, help="quotes move when off by so much")
    replace_ticks: int = parameter(1, unit="ticks", low=1, high=1000, help="and by at least so many ticks")
    withdraw_multiple: float = parameter(6.0, unit="x reference volatility", above=1, high=1000,
                                         help="median volatility at which makers leave")
    withdraw_spread: float = parameter(0.5, low=0, high=0.95, help="relative spread of that threshold over makers")
    loss_limit: float = parameter(0.1, unit="fraction of peak equity", above=0, high=1)
    return_seconds: float = parameter(600.0, unit="s", low=1, high=86400, help="time away [10-60 min, assumption]")
    latency_us: int = parameter(20_000, unit="us", low=0, high=900_000)
    capital_elasticity: float = parameter(0.0, low=0, high=10,
                                          help="of sizes and inventory limit in equity / opening equity; 1: who lost "
                                               "half quotes half; 0: losses bind through margin only [assumption]")
    reaction_seconds: float = parameter(1.0, unit="s", low=0, high=3600,
                                        help="a maker looks at the market once in so long, each in its turn")
    maker_reaction_rounds: int = parameter(0, unit="rounds", low=0, high=1000,
                                           help="renew quotes between liquidation rounds after so many; 0: never")

    def problems(self) -> list[str]:
        found = problems_of(self)
        if not found:
            half = glft(self.risk_aversion, self.intensity, self.decay, 0.0)[0]
            if self.reach_bp <= half:
                found.append(f"reach_bp must exceed the half-spread without risk ({half:.3g} bp), "
                             f"was {self.reach_bp:g}")
        return found

    def rule(self, depth: Depth, hedged_share: float = 0.0, bare_widening: float = 0.0) -> NDArray[Any]:
        """Return the parameters as one MAKER_RULE row.

        `hedged_share` of the inventory bears no risk; quotes are ``1 + bare_widening x`` wider when stripped
        inventory is x times the inventory limit.
        """
        row = np.zeros(1, MAKER_RULE)
        row[0] = (
            self.risk_aversion, self.intensity, self.decay, self.index_weight, self.widening,
            depth.reference_volatility, self.replace_bp, self.replace_ticks, self.margin_use, self.loss_limit,
            self.return_seconds, self.latency_us, hedged_share, self.capital_elasticity, bare_widening,
            self.reaction_seconds,
        )
        return row

    def offsets(self, depth: Depth) -> tuple[list[float], list[float]]:
        """Return the distances of the levels in calm times and the edges between them [bp]."""
        sigma = depth.reference_volatility * BP_PER_ROOT_SECOND
        half = glft(self.risk_aversion, self.intensity, self.decay, sigma)[0]
        ratio = max(self.reach_bp / half, 1.0) ** (1.0 / (self.levels - 0.5))
        at = [half * ratio**level for level in range(self.levels)]
        return at, [0.0] + [x * math.sqrt(ratio) for x in at]

    def reach(self, depth: Depth) -> float:
        """Return the log-distance within which the makers share the profile."""
        return self.offsets(depth)[1][-1] * 1e-4

    def max_orders(self, n_instruments: int) -> int:
        return self.count * n_instruments * (2 * self.levels + 1)


@inlined
def glft(gamma, intensity, decay, sigma):
    """Return half-spread and skew per unit of inventory (formula and units: module docstring)."""
    c1 = math.log1p(gamma / decay) / gamma
    c2 = math.sqrt(gamma / (2.0 * intensity * decay) * math.pow(1.0 + gamma / decay, decay / gamma + 1.0))
    return c1 + 0.5 * sigma * c2, sigma * c2


def maker_rows(
    makers: MarketMakers, depths: list[Depth], prices: list[float], lot_sizes: list[float], first_row: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return MAKER rows (count * n_instruments,) and QUOTE rows (count * n_instruments, 2 * levels)."""
    rows = np.zeros(makers.count * len(depths), MAKER)
    quotes = np.zeros((len(rows), 2 * makers.levels), QUOTE)
    for m in range(makers.count):
        place = (m + 0.5) / makers.count * 2.0 - 1.0
        for i, depth in enumerate(depths):
            row, own = rows[m * len(depths) + i], quotes[m * len(depths) + i]
            at, edges = makers.offsets(depth)
            for s, side in enumerate((BUY, SELL)):
                for level in range(makers.levels):
                    near, far = depth.cumulative(np.array(edges[level : level + 2]) * 1e-4, side).tolist()
                    lots = makers.depth_share / makers.count * (far - near) / (prices[i] * lot_sizes[i])
                    own[s * makers.levels + level] = (NO_ORDER, max(round(lots), 0), at[level] - at[0])
            unit = max(1, round(float(own["lots"].mean())))
            row["account"], row["instrument"], row["away_until"] = first_row + m, i, -1
            row["unit_lots"], row["limit_lots"] = unit, max(1, round(makers.inventory_limit * unit))
            row["withdraw_volatility"] = (
                makers.withdraw_multiple * depth.reference_volatility * (1.0 + makers.withdraw_spread * place)
            )
    return rows, quotes


@lean
def decide_makers(
    first, last, rules, makers, quotes, accounts, positions, record, contracts, requirement, slots, pool, step,
    seconds, key, depth_factor, orders, n, out_owners,
):
    """Let makers `first` .. `last` - 1 act; return the number of order rows."""
    for m in range(first, last):
        maker = makers[m]
        i = maker["instrument"]
        account = maker["account"]
        if not its_turn(rules[i]["reaction_seconds"], seconds, step, m):
            continue
        before = n
        n = maker_rule(
            rules[i], maker, quotes[m], accounts[account], positions[account, i], record[i], contracts[i],
            requirement[i, 0]["initial_rate"], slots, pool, step, seconds, key, depth_factor[i], orders, n,
            out_owners,
        )
        for k in range(before, n):
            out_owners[k] += m * quotes.shape[1]
    return n


@inlined
def maker_rule(
    rule, maker, quotes, account, position, market, contract, initial_rate, slots, pool, step, seconds, key,
    depth_factor, orders, n, out_owners,
):
    """Write one maker's orders from row `n` on; return the next free row.

    `out_owners` receives the number of the quote within this maker, for the ids of resting orders.
    """
    u, _ = uniforms(key, step, maker["account"], maker["instrument"])
    arrival = int(rule["latency"] * (1.0 + u))
    if account["status"] >= LIQUIDATING:
        return n
    if stays_away(rule, maker, account["equity"], market["volatility"], step, seconds):
        if live_quotes(quotes, slots, pool) > 0:
            write_order(orders[n], CANCEL_ALL, 0, 0, 0, arrival, maker["account"], maker["instrument"], ORIGIN,
                        VOLUNTARY, 0)
            out_owners[n] = 0
            n += 1
        return n
    volatility = market["volatility"] if market["volatility"] > 0.0 else rule["reference_volatility"]
    half, skew = glft(rule["risk_aversion"], rule["intensity"], rule["decay"], volatility * BP_PER_ROOT_SECOND)
    wider = max(1.0, math.pow(volatility / rule["reference_volatility"], rule["widening"]))
    wider *= 1.0 + rule["bare_widening"] * abs(maker["bare_lots"]) / maker["limit_lots"]
    at_risk = position["lots"] * (1.0 - rule["hedged_share"]) + maker["bare_lots"]
    shift = skew * at_risk / maker["unit_lots"]
    left = capital_left(maker, account["equity"], rule["capital_elasticity"])
    size = depth_factor * left
    fair = rule["index_weight"] * market["index"] + (1.0 - rule["index_weight"]) * market["mid"]
    affordable = rule["margin_use"] * account["equity"] / (initial_rate * market["mark"] * contract["lot_value"])
    limit = min(np.int64(maker["limit_lots"] * left), np.int64(max(affordable, 0.0)))
    threshold = max(rule["replace_ticks"], rule["replace_bp"] * 1e-4 * fair / contract["tick_size"])
    levels = len(quotes) // 2
    for s in range(2):
        side = BUY if s == 0 else SELL
        room = limit - side * position["lots"]
        for level in range(levels):
            quote = quotes[s * levels + level]
            away = wider * (half + quote["offset"]) + side * shift
            price = quote_ticks(fair * (1.0 - side * away * 1e-4), side, market, contract)
            lots = min(np.int64(quote["lots"] * size), room)
            room -= max(lots, 0)
            before = n
            n = renew_quote(maker, quote, side, price, lots, threshold, arrival, slots, pool, orders, n)
            if n > before:
                out_owners[before] = s * levels + level
    return n


@inlined
def stays_away(rule, maker, equity, volatility, step, seconds):
    """Update the state of a maker that leaves and returns; tell whether it is away in this step."""
    if maker["away_until"] > step:
        return True
    if maker["away_until"] >= 0:
        maker["away_until"] = -1
        maker["peak_equity"] = equity
    maker["peak_equity"] = max(maker["peak_equity"], equity)
    if volatility > maker["withdraw_volatility"] or equity < (1.0 - rule["loss_limit"]) * maker["peak_equity"]:
        maker["away_until"] = step + np.int64(max(1.0, math.ceil(rule["return_seconds"] / seconds)))
        return True
    return False


@inlined
def capital_left(maker, equity, elasticity):
    """Return the factor on sizes and inventory limit of a maker that has lost capital, hedges elsewhere included."""
    if maker["opening_equity"] == 0:
        maker["opening_equity"] = equity
    if elasticity == 0.0:
        return 1.0
    share = (equity + maker["outside_profit"]) / maker["opening_equity"]
    return math.pow(min(max(share, 0.0), 1.0), elasticity)


@inlined
def live_quotes(quotes, slots, pool):
    """Return how many quotes of a maker rest in the book."""
    live = 0
    for k in range(len(quotes)):
        if find_slot(slots, pool, quotes[k]["order_id"]) != 0:
            live += 1
    return live


@inlined
def quote_ticks(exact, side, market, contract):
    """Round a quote away from the mid and keep it from crossing the best price at the start of the step."""
    tick = contract["tick_size"]
    if side > 0:
        price = int(math.floor(exact / tick))
        if market["best_ask"] > 0.0:
            price = min(price, int(round(market["best_ask"] / tick)) - 1)
    else:
        price = int(math.ceil(exact / tick))
        if market["best_bid"] > 0.0:
            price = max(price, int(round(market["best_bid"] / tick)) + 1)
    return min(max(price, 1), contract["n_ticks"] - 1)


@inlined
def renew_quote(maker, quote, side, price, lots, threshold, arrival, slots, pool, orders, n):
    """Place, replace, cancel or leave one quote; return the next free row."""
    slot = find_slot(slots, pool, quote["order_id"])
    if slot == 0:
        if lots > 0:
            write_order(orders[n], LIMIT, side, price, lots, arrival, maker["account"], maker["instrument"], ORIGIN,
                        VOLUNTARY, 0)
            n += 1
        return n
    resting = slots[slot]
    if lots <= 0:
        write_order(orders[n], CANCEL, side, 0, 0, arrival, maker["account"], maker["instrument"], ORIGIN, VOLUNTARY,
                    quote["order_id"])
        return n + 1
    if abs(price - resting["price_ticks"]) >= threshold or 2 * resting["lots"] < lots or resting["lots"] > lots:
        write_order(orders[n], REPLACE, side, price, lots, arrival, maker["account"], maker["instrument"], ORIGIN,
                    VOLUNTARY, quote["order_id"])
        n += 1
    return n
