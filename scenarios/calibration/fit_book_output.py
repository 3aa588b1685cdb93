"""What a fit of an L2 stream prints and writes: a table, a scenario that uses the depth, a figure."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from spirals.scenarios.calibration.fit_book import BookFit

__all__ = ["as_json", "depth_toml", "text_table", "write_fit"]

MOST_ORDERS = 4.0     # market orders per second that the background sends at most; larger ones instead
HEADINGS = {
    "profile": "cumulative depth [quote]",
    "flow": "flow and resting notional by band, per side [quote, quote per s]",
    "refill": "depth within 10 bp of the side hit by a large order, / before (median)",
    "response": "mean move of the mid after a market order, in its direction [bp]",
    "impact_by_size": "the same after 1 s by size of the order",
}


def as_json(fit: BookFit) -> dict[str, Any]:
    """Return the fit as plain data, with the parameters that :func:`depth_toml` writes."""
    estimates = [{"quantity": name, "value": value, "standard_error": fit.errors[name]}
                 for name, value in fit.values.items()]
    return {"about": fit.about, "estimates": estimates, "tables": fit.tables, "parameters": _parameters(fit)}


def text_table(fit: BookFit) -> str:
    """Return the fit as text."""
    about = fit.about
    lines = [f"{about['file']}: {about['symbol']}, {about['seconds']:.1f} s, {about['changes']} changes of the book, "
             f"{about['trades']} trades in {about['market_orders']} market orders", ""]
    width = max(map(len, fit.values))
    lines.append(f"{'':<{width}}  {'estimate':>12}  {'s.e.':>9}")
    for name, value in fit.values.items():
        error = fit.errors[name]
        lines.append(f"{name:<{width}}  {_number(value):>12}  {'' if math.isnan(error) else f'{error:.2g}':>9}")
    for name, heading in HEADINGS.items():
        columns = fit.tables[name]
        lines += ["", heading, "  ".join(f"{column:>19}" for column in columns)]
        for row in zip(*columns.values(), strict=True):
            lines.append("  ".join(f"{_number(value):>19}" for value in row))
    lines += ["", "Errors: blocks of 20 s, or resampled events; all conditional on these minutes. Arrivals and",
              "cancellations are net within one message (about 50 ms): lower bounds."]
    return "\n".join(lines)


def _number(value: float) -> str:
    return "n/a" if math.isnan(value) else f"{value:.4g}"


def _identified(fit: BookFit, name: str) -> bool:
    return bool(fit.values[name] > 2.0 * fit.errors[name])


def _parameters(fit: BookFit) -> dict[str, dict[str, Any]]:
    """Return the parameters of `FittedDepth` and of the background flow that the stream identifies."""
    profile = fit.tables["profile"]
    depth: dict[str, Any] = {
        "distance_bp": profile["distance_bp"],
        "profile": [float(f"{value:.4g}") for value in profile["notional"]],
        "beyond_exponent": round(fit.values["depth_exponent"], 3),
    }
    for field, name in (("fast_refill_seconds", "refill_fast_seconds"), ("slow_refill_seconds", "refill_slow_seconds")):
        if _identified(fit, name):
            depth[field] = round(fit.values[name], 3)
    rate = min(fit.values["order_rate_per_s"], MOST_ORDERS)
    share = fit.values["turnover_per_s_share_of_10bp_depth"] / rate if rate else math.nan
    return {"depth": depth, "background": {"order_rate": float(f"{rate:.4g}"), "order_share": float(f"{share:.4g}")}}


def depth_toml(fit: BookFit, extends: str = "calm") -> str:
    """Return a scenario that extends another by the fitted depth and turnover.

    The level of depth stays the scenario's share of open interest: a stream does not show open
    interest. Refill times that are not twice their standard error are left out, as a comment.
    """
    parameters, name = _parameters(fit), "fitted-depth"
    far, error = fit.values["depth_1pct_extrapolated_quote"], fit.errors["depth_1pct_extrapolated_quote"]
    lines = [
        "schema_version = 1", f"extends = {json.dumps(extends)}", f"name = {json.dumps(name)}",
        f'summary = "{extends}, with depth and turnover fitted to a recorded stream"', "",
        "[depth]", 'type = "FittedDepth"',
        f"# notional_1pct = {far:.4g}  # extrapolated beyond {parameters['depth']['distance_bp'][-1]:g} bp, "
        f"standard error {error:.2g}; without it share_of_open_interest holds",
    ]
    lines += [f"{key} = {json.dumps(value)}" for key, value in parameters["depth"].items()]
    for field, key in (("fast_refill_seconds", "refill_fast_seconds"), ("slow_refill_seconds", "refill_slow_seconds")):
        if field not in parameters["depth"]:
            lines.append(f"# {field}: not identified, {_number(fit.values[key])} s (standard error "
                         f"{_number(fit.errors[key])})")
    lines += ["", "[background]"] + [f"{key} = {json.dumps(value)}" for key, value in parameters["background"].items()]
    source = f"fitted to {Path(fit.about['file']).name}, {fit.about['seconds']:.0f} s, by spirals fit-book"
    lines += ["", "[sources]", f'"depth" = {json.dumps(source)}', f'"background.order_rate" = {json.dumps(source)}',
              '"depth.beyond_exponent" = "assumption: the exponent inside the window continues beyond it"']
    return "\n".join(lines) + "\n"


def write_fit(fit: BookFit, folder: Path) -> list[Path]:
    """Write `fit.json`, `fitted-depth.toml` and `fit.png`; return their paths."""
    from spirals.scenarios.reports.figures import rendered
    from spirals.scenarios.results.store import write_whole

    folder.mkdir(parents=True, exist_ok=True)
    plain = json.dumps(as_json(fit), indent=2, default=float).replace("NaN", "null")
    write_whole(folder / "fit.json", (plain + "\n").encode())
    write_whole(folder / "fitted-depth.toml", depth_toml(fit).encode())
    rendered(fit_figure(fit), folder / "fit.png")
    return [folder / name for name in ("fit.json", "fitted-depth.toml", "fit.png")]


def fit_figure(fit: BookFit) -> Any:
    """Return three panels: depth by distance, lifetime by distance, refill."""
    from spirals.scenarios.reports.figures import GREY, PALETTE, axis_title, new_figure, style

    with style():
        figure, axes = new_figure(9.6, 3.1, 1, 3)
        first, second, third = axes[0]
        profile, flow, refill = (fit.tables[name] for name in ("profile", "flow", "refill"))
        x = np.array(profile["distance_bp"])
        for name, colour in (("bid_notional", PALETTE[0]), ("ask_notional", PALETTE[1])):
            first.loglog(x, np.array(profile[name]) / 1e6, "o-", color=colour, markersize=3.5,
                         label=name.replace("_notional", "s"))
        mean = np.array(profile["notional"]) / 1e6
        line = mean[-1] * (x / x[-1]) ** fit.values["depth_exponent"]
        first.loglog(x, line, "--", color=GREY, linewidth=1.0, label=f"exponent {fit.values['depth_exponent']:.2f}")
        first.legend(fontsize=8)
        first.set_xlabel("distance from the mid [bp]")
        axis_title(first, "Cumulative depth", "million quote")
        second.loglog(x, flow["lifetime_seconds"], "o-", color=PALETTE[2], markersize=3.5)
        second.set_xlabel("outer edge of the band [bp]")
        axis_title(second, "Lifetime of resting notional", "s")
        third.errorbar(refill["seconds"], refill["depth_ratio"], refill["standard_error"], fmt="o-", color=PALETTE[3],
                       markersize=3.5, capsize=2)
        third.axhline(1.0, color=GREY, linewidth=0.8)
        third.set_xscale("log")
        third.set_xlabel("after a large order [s]")
        axis_title(third, "10-bp depth", "fraction of before")
    return figure
