"""The opening book: who holds what at the start, drawn so that totals are exact.

Sizes are Pareto shares (named largest accounts first), cut to whole lots by largest remainder, so
longs and shorts each add up to the open interest exactly. Leverage is drawn from the conditional
distribution below the limit that initial margin sets (the *use* of the limit): truncating at the
limit would put a point mass of liquidation prices there. All draws are keyed by trader.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.accounts.requirement import initial_requirement
from spirals.simulation.kernel import kernel
from spirals.simulation.randomness import normal_quantile, uniforms

__all__ = ["HOLDING", "LeverageLaw", "apportion", "complete_holdings", "draw_holdings", "pareto_shares", "use_of_limit"]

HOLDING = np.dtype([               # one opening position
    ("account", "i4"),             # label of the account: equal numbers share one ledger row
    ("instrument", "i4"),
    ("lots", "i8"),                # signed
    ("entry_ticks", "i8"),
    ("equity", "f8"),              # [quote] at the opening mark, of this position
    ("leverage", "f8"),            # notional / equity at the opening mark
    ("stop_distance", "f8"),       # [log distance from the opening mark] 0: none
    ("uniforms", "f8", (4,)),      # further draws of the trader: behaviour, response, stop, mode
    ("isolated", "i1"),
    ("hedged", "i1"),
    ("pad", "i2"),
    ("pad_2", "i4"),
])

MOST_LEVERAGE = 1000.0   # stands for an account without equity
CLUSTERS = 5         # common entries and leverages that a crowd shares
CLUSTER_BASE = 1 << 30
MARGIN_CUSHION = 0.98   # of the leverage limit: rounding must not open an account below its margin
MOST_PROFIT = 0.8       # unrealised profit or loss at the opening, in units of equity


class LeverageLaw:
    """Codes of the leverage distributions."""

    LOGNORMAL, ROUND = range(2)
    names = ("lognormal", "round")


def pareto_shares(uniform: Sequence[float], exponent: float, largest: Sequence[float]) -> list[float]:
    """Return shares that add up to 1: the named largest first, then Pareto draws scaled to the rest.

    Parameters
    ----------
    uniform : sequence of float
        One draw per account; those of named accounts are not used.
    exponent : float
        Tail exponent: P(size > s) ~ s^-exponent.
    largest : sequence of float
        Shares of the largest accounts, sum below 1.
    """
    named = list(largest)[: len(uniform)]
    drawn = [math.exp(-math.log1p(-u) / exponent) for u in uniform[len(named):]]
    total = math.fsum(drawn)
    rest = 1.0 - math.fsum(named)
    return named + [rest * size / total for size in drawn] if drawn else [s / math.fsum(named) for s in named]


def apportion(shares: Sequence[float], total: int) -> NDArray[np.int64]:
    """Return whole numbers proportional to `shares` that add up to `total`: one each, the rest by largest remainder.

    Raises
    ------
    ValueError
        Fewer units than shares.
    """
    if total < len(shares):
        raise ValueError(f"total must be at least the number of accounts ({len(shares)}), was {total}")
    spare = total - len(shares)
    exact = [spare * share / math.fsum(shares) for share in shares]
    parts = [min(math.floor(value), spare) for value in exact]
    order = sorted(range(len(parts)), key=lambda k: (parts[k] - exact[k], k))
    left = spare - sum(parts)
    for k in range(abs(left)):
        parts[order[k % len(order)]] += 1 if left > 0 else -1
    return np.array(parts, np.int64) + 1


@kernel
def use_of_limit(law, u, v, median, sigma, rounds, limit):
    """Return a leverage below `limit` that has the wanted law conditional on being below it.

    Lognormal: inverse transform on the part of the distribution below the limit. Round: one of the
    `rounds` (equally likely) that the limit allows, times a use of 30 to 100 % of it.
    """
    if law == 0:
        below = 0.5 * math.erfc(-(math.log(limit / median) / sigma) / math.sqrt(2.0))
        return min(median * math.exp(sigma * normal_quantile(min(max(u * below, 1e-12), 1.0 - 1e-12))), limit)
    allowed = 0
    for k in range(len(rounds)):
        if rounds[k] <= limit:
            allowed += 1
    if allowed == 0:
        return limit * (0.3 + 0.7 * v)
    wanted = min(int(u * allowed), allowed - 1)
    for k in range(len(rounds)):
        if rounds[k] <= limit:
            if wanted == 0:
                return rounds[k] * (0.3 + 0.7 * v)
            wanted -= 1
    return limit


@kernel
def draw_holdings(key, rule, rounds, mark, contract, brackets, out_holdings):
    """Fill entry, equity, leverage, stop and further draws of holdings that have account and lots.

    Parameters
    ----------
    rule : RULE record
        See :meth:`Population.opening_rule`.
    rounds : ndarray of float64
        Round leverages in ascending order.
    out_holdings : ndarray of HOLDING
        Modified in place.
    """
    for k in range(len(out_holdings)):
        row = out_holdings[k]
        actor = row["account"]
        side = 1.0 if row["lots"] > 0 else -1.0
        crowd, cluster = uniforms(key, 0, actor, 1)
        entry, leverage = uniforms(key, 0, actor, 2)
        use, neutral = uniforms(key, 0, actor, 3)
        mode, stop = uniforms(key, 0, actor, 4)
        if crowd < rule["crowding"]:
            # A crowd bought at the same price with the same leverage and stop; jitter of 2 % of the range.
            common = CLUSTER_BASE + int(cluster * CLUSTERS) + (CLUSTERS if side < 0.0 else 0)
            crowd_entry, crowd_leverage = uniforms(key, 0, common, 2)
            crowd_use, crowd_stop = uniforms(key, 0, common, 3)
            entry = min(max(crowd_entry + 0.02 * (entry - 0.5), 0.0), 1.0)
            leverage = min(max(crowd_leverage + 0.02 * (leverage - 0.5), 1e-6), 1.0 - 1e-6)
            use = min(max(crowd_use + 0.02 * (use - 0.5), 0.0), 1.0)
            stop = min(max(crowd_stop + 0.02 * (stop - 0.5), 0.0), 1.0)
        notional = abs(row["lots"]) * mark * contract["lot_size"]
        limit = MARGIN_CUSHION * notional / initial_requirement(notional, brackets)
        if side < 0.0 and neutral < rule["neutral_share"]:
            row["hedged"] = 1
            row["leverage"] = min(rule["neutral_leverage"] * (0.3 + 0.7 * use), limit)
        else:
            wanted = use_of_limit(
                rule["law"], leverage, use, rule["long_median"] if side > 0.0 else rule["short_median"], rule["sigma"],
                rounds, limit / rule["multiplier"],
            )
            row["leverage"] = min(wanted * rule["multiplier"], limit)
        row["equity"] = notional / row["leverage"]
        # Unrealised profit must leave a positive deposit behind: profit = side (mark - entry) / mark * notional.
        room = MOST_PROFIT / row["leverage"]
        move = rule["entry_range"] * (2.0 * entry - 1.0) + rule["entry_drift"]
        move = min(max(move, -min(room, 0.9)), room)
        row["entry_ticks"] = max(int(math.floor(mark * (1.0 + move) / contract["tick_size"] + 0.5)), 1)
        row["isolated"] = 1 if mode < rule["isolated_share"] else 0
        draw_habits(key, rule, row, stop)


@kernel
def draw_habits(key, rule, row, stop):
    """Fill the stop distance and the draws from which habits follow."""
    row["stop_distance"] = rule["stop_nearest"] + stop * (rule["stop_furthest"] - rule["stop_nearest"])
    behaviour, response = uniforms(key, 0, row["account"], 5)
    row["uniforms"][0] = behaviour
    row["uniforms"][1] = response
    horizon, pace = uniforms(key, 0, row["account"], 6)
    row["uniforms"][2] = horizon
    row["uniforms"][3] = pace


@kernel
def complete_holdings(key, rule, records, contracts, collateral, out_holdings):
    """Fill what a positions file leaves open: equity and leverage at the opening mark, habits."""
    for k in range(len(out_holdings)):
        row = out_holdings[k]
        contract = contracts[row["instrument"]]
        mark = records[row["instrument"]]["mark"]
        size = contract["lot_size"]
        profit = row["lots"] * size * (mark - row["entry_ticks"] * contract["tick_size"])
        notional = abs(row["lots"]) * size * mark
        row["equity"] = collateral[k] + profit
        row["leverage"] = notional / row["equity"] if row["equity"] > 0.0 else MOST_LEVERAGE
        _, stop = uniforms(key, 0, row["account"], 4)
        draw_habits(key, rule, row, stop)
