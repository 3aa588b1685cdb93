"""Catalogue of the measures: the name of every outcome with its meaning and its unit in brackets.

A measure is NaN only where its line says so.
"""

from spirals.simulation.measures.forced_flow import FORCED_CAUSES
from spirals.simulation.measures.liquidity import BANDS
from spirals.simulation.measures.losses import CLASSES
from spirals.simulation.state import Cause

__all__ = ["COMPARED", "MEASURES", "RISE_SECONDS", "TWIN_MEASURES", "unit_of"]

RISE_SECONDS = {"1min": 60.0, "5min": 300.0, "30min": 1800.0}

#: Outcomes of which the twin's own value is reported beside the difference.
COMPARED = (
    "drawdown_mark", "run_up_mark", "forced_notional", "liquidated_accounts", "liquidated_notional",
    "bad_debt_gross",
)

NO_FLOW = "NaN without forced flow"
NO_LIQUIDATION = "NaN without liquidations"
NO_INTEREST = "NaN without open interest"
NO_CRASH = "NaN without a random crash"

_PRICES = {
    "drawdown_mark": "largest fall of the log mark from an earlier peak [log points]",
    "drawdown_mid": "largest fall of the log mid [log points]",
    "drawdown_last": "largest fall of the log price of trades [log points]; NaN without trades",
    "drawdown_index": "largest fall of the log index [log points]",
    "drawdown_exogenous": "largest fall of the outside value before feedback of the venue [log points]",
    "run_up_mark": "largest rise of the log mark from an earlier trough [log points]",
    "overshoot_index": "largest fall of the mark below the index [log points]",
    "overshoot_exogenous": "largest fall of the mark below the outside value [log points]",
    "price_half_life_seconds": "trough of the mark to half of the fall recovered [s]; NaN when not recovered",
    "crash_size": f"exogenous move that the seed drew, falls negative [log points]; {NO_CRASH}",
    "crash_at_seconds": f"opening to the start of that move [s]; {NO_CRASH}",
    "crash_seconds": f"duration of that move [s]; {NO_CRASH}",
    "crash_gap_share": f"part of that move that came at once [fraction]; {NO_CRASH}",
    "crash_rebound": f"part of that move that was taken back [fraction]; {NO_CRASH}",
    "crash_rebound_seconds": f"duration of that rebound [s]; {NO_CRASH}",
}

_FLOW = {
    "traded_notional": "traded, one side, forced or not [quote]",
    "fees_paid": "trading fees less rebates that the venue earned [quote]",
    "forced_notional": "sold and bought for forced causes [quote]",
    "forced_sold_notional": "sold for forced causes [quote]",
    "forced_bought_notional": "bought for forced causes [quote]",
    **{
        f"forced_notional_{Cause.names[cause]}": f"sold and bought for the cause {Cause.names[cause]} [quote]"
        for cause in FORCED_CAUSES
    },
    "forced_to_opening_oi": f"forced notional over opening open interest [fraction]; {NO_INTEREST}",
    "forced_t10_seconds": f"opening to 10 % of the forced notional [s]; {NO_FLOW}",
    "forced_t50_seconds": f"opening to 50 % of the forced notional [s]; {NO_FLOW}",
    "forced_t90_seconds": f"opening to 90 % of the forced notional [s]; {NO_FLOW}",
    "forced_top10s_share": "share of forced notional in the ten busiest seconds, which need not be adjacent "
    f"(so it may exceed forced_top_minute_share) [fraction]; {NO_FLOW}",
    "forced_top_minute_share": "share of forced notional in the busiest minute, counted from the opening "
    f"[fraction]; {NO_FLOW}",
}

_LIQUIDATIONS = {
    "margin_calls": "margin calls issued [count]",
    "liquidated_accounts": "distinct accounts liquidated [count]",
    "liquidation_events": "closures of one account [count]",
    "liquidation_orders": "liquidation orders [count]",
    "liquidated_notional": "filled by liquidation orders [quote]",
    "liquidated_long_share": f"part of the liquidated notional that was long [fraction]; {NO_LIQUIDATION}",
    "liquidated_to_opening_oi": f"liquidated quantity over opening open interest [fraction]; {NO_INTEREST}",
    "liquidated_to_oi_change": "liquidated quantity over fall of open interest [fraction]; NaN without fall",
    "first_liquidation_seconds": f"opening to the first liquidation [s]; {NO_LIQUIDATION}",
    "liquidation_t50_seconds": f"first liquidation to 50 % of the liquidated notional [s]; {NO_LIQUIDATION}",
    "liquidation_t90_seconds": f"first liquidation to 90 % of the liquidated notional [s]; {NO_LIQUIDATION}",
    "oi_change": f"closing over opening open interest in lots, less 1 [fraction]; {NO_INTEREST}",
    "cascades": "clusters of liquidation events less than 60 s apart [count]",
    "cascade_events": "events of the largest cascade by notional [count]",
    "cascade_accounts": "accounts of the largest cascade [count]",
    "cascade_notional": "notional of the largest cascade [quote]",
    "cascade_duration_seconds": "first to last order of the largest cascade [s]",
    "cascade_rounds": "times that the largest cascade came back to the book [count]",
    "rounds_max": "most liquidation rounds in one step [count]",
    "rounds_bound_share": "share of steps stopped by the bound on rounds [fraction]",
}

_LOSSES = {
    "bad_debt_gross": "negative equity at close, before any fund [quote]",
    "negative_equity_end": "negative equity of accounts open at the end: bad debt to come [quote]",
    "bad_debt_net": "gross bad debt less liquidation fees, negative when these were larger [quote]",
    "bad_debt_to_liquidated": f"gross bad debt over liquidated notional [fraction]; {NO_LIQUIDATION}",
    "fund_change": "closing less opening insurance fund [quote]",
    "fund_draw": "opening less lowest insurance fund [quote]",
    "uncovered": "losses that neither fund nor auto-deleveraging covered [quote]",
    "adl_events": "bankruptcies that led to auto-deleveraging [count]",
    "adl_accounts": "distinct accounts cut by auto-deleveraging [count]",
    "adl_lots": "cut by auto-deleveraging, one side [lots]",
    "adl_notional": "cut by auto-deleveraging, at the bankruptcy price [quote]",
    "adl_share": "auto-deleveraged part of all notional closed by the venue [fraction]; NaN without any",
    "adl_excess_haircut": "what those who were cut lost against closing at the mark [quote]",
    "adl_onset_seconds": "first liquidation to first cut [s]; NaN without auto-deleveraging",
    **{f"pnl_{name}": f"profit and loss of the class {name} [quote]" for name in CLASSES},
    "pnl_outside": "profit of the legs that arbitrageurs and hedged actors hold elsewhere, at the index [quote]",
}

_MARGIN = {
    "initial_peak_to_trough": "highest over lowest initial margin rate [ratio]",
    "maintenance_peak_to_trough": "highest over lowest maintenance margin rate [ratio]",
    **{
        f"{level}_rise_{name}": f"largest rise of the {level} rate within {name} [fraction of notional]"
        for level in ("initial", "maintenance")
        for name in RISE_SECONDS
    },
    "initial_mean_extra": "mean initial margin rate less its opening value [fraction of notional]",
    "maintenance_mean_extra": "mean maintenance margin rate less its opening value [fraction of notional]",
    "margin_locked": "initial margin locked, mean over the run [quote]",
    "margin_locked_peak": "initial margin locked, highest [quote]",
    "margin_locked_to_oi": f"mean margin of both sides over mean open interest [fraction]; {NO_INTEREST}",
    "leverage_allowed": "mean of 1 / initial margin rate [ratio]",
    "leverage_allowed_lowest": "lowest 1 / initial margin rate [ratio]",
    "topped_up": "deposits that arrived [quote]",
    "orders_rejected": "orders refused by the pre-trade check [count]",
    "orders_trimmed": "orders cut by the pre-trade check [count]",
}

_LIQUIDITY = {
    **{
        f"depth_{side}_left_{band}": f"lowest one-minute mean of {side} depth within {band} of the mid over that "
        "of the first minute [fraction]; NaN without depth before"
        for side in ("bid", "ask")
        for band in BANDS
    },
    "depth_half_life_seconds": "trough of the bid depth within 1pct to half of the fall recovered [s]; "
    "NaN when not recovered",
    "spread_max": "largest spread over mid [fraction]; NaN when one side was always empty",
    "one_sided_share": "share of steps with an empty side of the book [fraction]",
}

#: Measures against the twin T1; present only when it was run.
TWIN_MEASURES: dict[str, str] = {
    "excess_drawdown": "drawdown of the mark less that of twin T1 [log points]",
    "excess_run_up": "run-up of the mark less that of twin T1 [log points]",
    "excess_forced_notional": "forced notional less that of twin T1 [quote]",
    "excess_bad_debt": "gross bad debt and negative equity at the end, less those of twin T1 [quote]",
    "amplification": "drawdown over that of twin T1 [ratio]; NaN when the twin's is below 1 %; "
    "over replications use the ratio of means",
    **{f"excess_pnl_{name}": f"profit of the class {name} less that in twin T1 [quote]" for name in CLASSES},
}

_OWN = {**_PRICES, **_FLOW, **_LIQUIDATIONS, **_LOSSES, **_MARGIN, **_LIQUIDITY}
TWIN_MEASURES.update({f"twin_{name}": f"in twin T1: {_OWN[name]}" for name in COMPARED})

#: Name -> meaning with unit, in the order of :func:`~spirals.simulation.measures.outcomes.outcomes`.
MEASURES: dict[str, str] = {**_OWN, **TWIN_MEASURES}


def unit_of(name: str) -> str:
    """Return the unit of an outcome, e.g. "quote"; "" for a name that is not in the catalogue."""
    summary = MEASURES.get(name, "")
    return summary[summary.find("[") + 1 : summary.find("]")] if "[" in summary else ""
