"""Text of the comparison of policies: a table for readers, the lever of a study in TOML."""

from collections.abc import Sequence
from typing import Any

from spirals.simulation.toml_text import toml_value

__all__ = ["policy_toml", "text_table"]


def policy_toml(values: Sequence[dict[str, Any]], lever: str = "policy") -> str:
    """Return labelled values as the table ``[levers]`` of a study file; floats are exact."""
    lines = [f"    {{label = {toml_value(value['label'])}, set = {toml_value(value['set'])}}}," for value in values]
    return "\n".join(["[levers]", f"{lever} = [", *lines, "]"])


def text_table(found: dict[str, Any]) -> str:
    """Return what :func:`~spirals.scenarios.calibration.normalisation.compare` gives as text; rates in %."""
    history, before = found["history"], found["before"]
    lines = [
        f"{found['scenario']}: bars before the event {before['file']} until {before['until']}"
        + (", log prices rescaled to the through-the-cycle volatility" if before["rescaled"] else ""),
        f"{history['bars']} bars of {history['bar_seconds']:g} s, horizon {history['horizon_seconds']:g} s; volatility "
        f"read [per sqrt day]: mean {history['volatility_mean']:.5f}, "
        f"deviation of its log {history['volatility_log_deviation']:.3f}",
        f"event: {history['event_paths']} path(s), volatility {history['event_volatility_opening']:.5f} at the "
        f"opening, {history['event_volatility_peak']:.5f} at the peak (mean of the paths)",
        "",
        "initial rates in % of notional; breach: a move over the horizon beyond the rate, either side, % of windows",
        f"{'normalisation':<15}{'pi':>6}{'scale':>12}{'mean before':>13}{'breach':>9}{'  95 % interval':<16}"
        f"{'opening':>9}{'mean':>8}{'peak':>8}",
    ]
    for row in sorted(found["policies"], key=lambda row: (_order(found, row["normalisation"]), row["pi"])):
        interval = f"  [{100 * row['breach_low']:.2f}, {100 * row['breach_high']:.2f}]"
        lines.append(
            f"{row['normalisation']:<15}{row['pi']:>6g}{row['scale']:>12.6f}{100 * row['mean_before']:>13.4f}"
            f"{100 * row['breach_share']:>9.2f}{interval:<16}{100 * row['opening']:>9.3f}"
            f"{100 * row['event_mean']:>8.3f}{100 * row['event_peak']:>8.3f}")
    first = found["policies"][0]
    lines += [
        "",
        f"breaches of {first['breach_windows']} overlapping windows; Kupiec's interval at "
        f"{first['breach_effective']:.0f}, those that do not overlap",
        "",
        "static rates, % of notional, at a level of pi = 1",
        f"{'normalisation':<15}{'level':<14}{'initial':>10}{'maintenance':>13}",
    ]
    for row in found["static"]:
        rates = f"{100 * row['initial']:>10.4f}{100 * row['maintenance']:>13.4f}"
        lines.append(f"{row['normalisation']:<15}{row['level']:<14}{rates}")
    return "\n".join(lines)


def _order(found: dict[str, Any], normalisation: str) -> int:
    return [row["normalisation"] for row in found["policies"]].index(normalisation)
