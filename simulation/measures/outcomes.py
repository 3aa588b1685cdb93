"""Outcomes: every measure of a run as one flat dictionary with stable names.

Measures of prices, rates and depth are those of the first instrument; notionals, losses and margin
are sums over all instruments. :data:`~spirals.simulation.measures.catalogue.MEASURES` lists the names
with meaning and unit.
"""

import math
from collections.abc import Mapping

from spirals.simulation.measures.amplification import amplification_ratio, excess
from spirals.simulation.measures.cascades import cascades, largest_cascade
from spirals.simulation.measures.catalogue import COMPARED, RISE_SECONDS
from spirals.simulation.measures.drawdown import max_drawdown, max_run_up, overshoot
from spirals.simulation.measures.efficiency import leverage_allowed, margin_to_open_interest
from spirals.simulation.measures.forced_flow import (
    FORCED_CAUSES,
    busiest_share,
    cause_flow,
    count_liquidations,
    flow_times,
    forced_flow,
    liquidated_to_open_interest,
)
from spirals.simulation.measures.liquidity import (
    BANDS,
    book_depth,
    depth_left,
    max_relative_spread,
    one_sided_share,
    recovery_half_life,
)
from spirals.simulation.measures.losses import CLASSES, auto_deleveraging, losses, pnl_by_class
from spirals.simulation.measures.procyclicality import largest_rise, mean_extra_margin, peak_to_trough
from spirals.simulation.measures.record import RunRecord
from spirals.simulation.state import Cause

__all__ = ["outcomes"]

HEADLINE_TWIN = "T1"
WIDEST = len(BANDS) - 1


def outcomes(record: RunRecord, twin_records: Mapping[str, RunRecord] | None = None) -> dict[str, float]:
    """Return all measures of a run.

    Parameters
    ----------
    record : RunRecord
    twin_records : mapping of str to RunRecord, optional
        Twins by name; "T1" gives the measures of
        :data:`~spirals.simulation.measures.catalogue.TWIN_MEASURES`. Every other twin, say "T2", gives
        ``excess_drawdown_T2``, ``excess_forced_notional_T2``, ``excess_bad_debt_T2``,
        ``excess_pnl_<class>_T2`` and its own values as ``T2_drawdown_mark`` and so on.

    Returns
    -------
    dict of str to float
        The names of the catalogue in its order (those against twin T1 only when it is given).
        NaN only where the summary of the measure says so.
    """
    result = _price_outcomes(record) | _flow_outcomes(record) | _liquidation_outcomes(record)
    result |= _loss_outcomes(record) | _margin_outcomes(record) | _liquidity_outcomes(record)
    for name, twin in (twin_records or {}).items():
        result |= _twin_outcomes(record, twin, result, name)
    return {name: float(value) for name, value in result.items()}


def _price_outcomes(record: RunRecord) -> dict[str, float]:
    mark, index = record.price("mark"), record.price("index")
    exogenous = record.price("exogenous")
    return {
        "drawdown_mark": max_drawdown(mark),
        "drawdown_mid": max_drawdown(record.price("mid")),
        "drawdown_last": max_drawdown(record.price("last")),
        "drawdown_index": max_drawdown(index),
        "drawdown_exogenous": max_drawdown(exogenous),
        "run_up_mark": max_run_up(mark),
        "overshoot_index": overshoot(mark, index),
        "overshoot_exogenous": overshoot(mark, exogenous),
        "price_half_life_seconds": recovery_half_life(mark, record.step_seconds),
        **_crash_outcomes(record),
    }


def _crash_outcomes(record: RunRecord) -> dict[str, float]:
    crash = record.crash
    return {
        "crash_size": math.nan if crash is None else crash.size,
        "crash_at_seconds": math.nan if crash is None else crash.at,
        "crash_seconds": math.nan if crash is None else crash.ramp_seconds,
        "crash_gap_share": math.nan if crash is None else crash.gap_share,
        "crash_rebound": math.nan if crash is None else crash.rebound,
        "crash_rebound_seconds": math.nan if crash is None else crash.rebound_seconds,
    }


def _flow_outcomes(record: RunRecord) -> dict[str, float]:
    flow, dt = forced_flow(record), record.step_seconds
    forced = list(FORCED_CAUSES)
    total, opening = math.fsum(flow), record.opening_open_interest
    times = flow_times(flow, dt)
    return {
        "traded_notional": math.fsum(record.steps["sold_notional"].ravel()),
        "fees_paid": float(record.totals["fees"][-1] - record.totals["fees"][0]),
        "forced_notional": total,
        "forced_sold_notional": math.fsum(record.steps["sold_notional"][:, :, forced].ravel()),
        "forced_bought_notional": math.fsum(record.steps["bought_notional"][:, :, forced].ravel()),
        **{f"forced_notional_{Cause.names[c]}": math.fsum(cause_flow(record, c)) for c in FORCED_CAUSES},
        "forced_to_opening_oi": total / opening if opening > 0.0 else math.nan,
        "forced_t10_seconds": times[0],
        "forced_t50_seconds": times[1],
        "forced_t90_seconds": times[2],
        "forced_top10s_share": busiest_share(flow, dt),
        "forced_top_minute_share": busiest_share(flow, dt, bin_seconds=60.0, n_bins=1),
    }


def _liquidation_outcomes(record: RunRecord) -> dict[str, float]:
    count, found, totals = count_liquidations(record), cascades(record), record.totals
    largest = largest_cascade(found)
    to_opening, to_change = liquidated_to_open_interest(record)
    first = record.liquidations["step"].min() * record.step_seconds if count.orders else math.nan
    times = flow_times(cause_flow(record, Cause.LIQUIDATION), record.step_seconds, (0.5, 0.9))
    opening_lots = int(record.opening_open_interest_lots[0])
    closing_lots = int(record.steps["open_interest"][-1, 0])
    return {
        "margin_calls": len(record.calls),
        "liquidated_accounts": count.accounts,
        "liquidation_events": count.events,
        "liquidation_orders": count.orders,
        "liquidated_notional": count.notional,
        "liquidated_long_share": count.long_share,
        "liquidated_to_opening_oi": to_opening,
        "liquidated_to_oi_change": to_change,
        "first_liquidation_seconds": first,
        "liquidation_t50_seconds": times[0] - first,
        "liquidation_t90_seconds": times[1] - first,
        "oi_change": closing_lots / opening_lots - 1.0 if opening_lots else math.nan,
        "cascades": len(found),
        "cascade_events": largest.events,
        "cascade_accounts": largest.accounts,
        "cascade_notional": largest.notional,
        "cascade_duration_seconds": largest.duration_seconds,
        "cascade_rounds": largest.rounds,
        "rounds_max": int(totals["rounds"].max()),
        "rounds_bound_share": int((totals["hit_bound"] > 0).sum()) / max(1, len(totals) - 1),
    }


def _loss_outcomes(record: RunRecord) -> dict[str, float]:
    loss, adl = losses(record), auto_deleveraging(record)
    liquidated = math.fsum(record.liquidations["notional"])
    closed = liquidated + adl.notional
    return {
        "bad_debt_gross": loss.bad_debt_gross,
        "negative_equity_end": loss.negative_equity_end,
        "bad_debt_net": loss.bad_debt_net,
        "bad_debt_to_liquidated": loss.bad_debt_gross / liquidated if liquidated > 0.0 else math.nan,
        "fund_change": loss.fund_change,
        "fund_draw": loss.fund_draw,
        "uncovered": loss.uncovered,
        "adl_events": adl.events,
        "adl_accounts": adl.accounts,
        "adl_lots": adl.lots,
        "adl_notional": adl.notional,
        "adl_share": adl.notional / closed if closed > 0.0 else math.nan,
        "adl_excess_haircut": adl.excess_haircut,
        "adl_onset_seconds": adl.onset_seconds,
        **{f"pnl_{name}": value for name, value in pnl_by_class(record).items()},
        "pnl_outside": 0.0 if record.outside_profit is None else math.fsum(record.outside_profit),
    }


def _margin_outcomes(record: RunRecord) -> dict[str, float]:
    initial, maintenance = record.price("initial_rate"), record.price("maintenance_rate")
    periods = {name: max(1, round(seconds / record.step_seconds)) for name, seconds in RISE_SECONDS.items()}
    mean_leverage, lowest_leverage = leverage_allowed(initial)
    totals = record.totals
    return {
        "initial_peak_to_trough": peak_to_trough(initial),
        "maintenance_peak_to_trough": peak_to_trough(maintenance),
        **{f"initial_rise_{name}": largest_rise(initial, count) for name, count in periods.items()},
        **{f"maintenance_rise_{name}": largest_rise(maintenance, count) for name, count in periods.items()},
        "initial_mean_extra": mean_extra_margin(initial),
        "maintenance_mean_extra": mean_extra_margin(maintenance),
        "margin_locked": math.fsum(totals["margin_locked"]) / len(totals),
        "margin_locked_peak": totals["margin_locked"].max(),
        "margin_locked_to_oi": margin_to_open_interest(record),
        "leverage_allowed": mean_leverage,
        "leverage_allowed_lowest": lowest_leverage,
        "topped_up": math.fsum(totals["topped_up"]),
        "orders_rejected": int(totals["rejected"].sum()),
        "orders_trimmed": int(totals["trimmed"].sum()),
    }


def _liquidity_outcomes(record: RunRecord) -> dict[str, float]:
    dt, spread = record.step_seconds, record.price("spread")
    left = {
        f"depth_{side}_left_{name}": depth_left(book_depth(record, band, side), dt)
        for side in ("bid", "ask")
        for band, name in enumerate(BANDS)
    }
    return {
        **left,
        "depth_half_life_seconds": recovery_half_life(book_depth(record, WIDEST), dt, logarithmic=False),
        "spread_max": max_relative_spread(spread, record.price("mid")),
        "one_sided_share": one_sided_share(spread),
    }


def _twin_outcomes(record: RunRecord, twin: RunRecord, own: dict[str, float], name: str) -> dict[str, float]:
    """Differences to one twin; names end in the twin's unless it is the headline twin."""
    end, start = ("", "twin") if name == HEADLINE_TWIN else (f"_{name}", name)
    more, theirs = excess(record, twin), pnl_by_class(twin)
    counted = count_liquidations(twin)
    twin_drawdown = max_drawdown(twin.price("mark"))
    values = (
        twin_drawdown, max_run_up(twin.price("mark")), math.fsum(forced_flow(twin)), counted.accounts,
        counted.notional, losses(twin).bad_debt_gross,
    )
    return {
        f"excess_drawdown{end}": more.drawdown,
        f"excess_run_up{end}": more.run_up,
        f"excess_forced_notional{end}": more.forced_notional,
        f"excess_bad_debt{end}": more.bad_debt,
        f"amplification{end}": amplification_ratio(own["drawdown_mark"], twin_drawdown),
        **{f"excess_pnl_{group}{end}": own[f"pnl_{group}"] - theirs[group] for group in CLASSES},
        **{f"{start}_{measure}": value for measure, value in zip(COMPARED, values, strict=True)},
    }
