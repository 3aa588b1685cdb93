"""Attribution in the report of a run: levels, readings beside the Shapley values, and the two spirals."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from spirals.scenarios.reports.html import escape, paragraph, table
from spirals.scenarios.reports.numbers import display_scale, format_number, plain_name
from spirals.simulation.measures.catalogue import unit_of

__all__ = ["CHANNEL_MEANINGS", "attribution_body", "spelled"]

HEADLINES = ("drawdown_mark", "forced_notional", "bad_debt_gross")
CHANNEL_MEANINGS = {
    "shock": "level in twin T1, where forced orders move no price",
    "direct": "impact of the forced orders that the shock alone sets off",
    "mark": "forced sales move the mark, and so equity, margin calls and stops (loss spiral)",
    "margin": "forced sales move the volatility that the margin policy reads (margin spiral)",
    "depth": "the same volatility makes makers and background withdraw",
    "index": "the outside price keeps part of the venue's impact",
    "funding": "forced sales move the basis, the basis the funding rate",
    "hedge": "hedges lost to auto-deleveraging are restored through the book",
}
CONVENTION = (
    "Levels, not shares: they add up to the outcome. The shock is twin T1; a channel that is off is an open edge, "
    "whose reader sees what the twin recorded, so the response to the shock itself stays. How the channels share what "
    "only several of them make together is a convention (Shapley); the readings below do without it."
)
READINGS = (
    "First in: the channel alone, all others of the list cut. Last out: what is missing when it alone is cut. Where "
    "the two differ, channels need or replace each other, as the interactions say (positive: more together)."
)
SPIRALS = (
    "Brunnermeier and Pedersen (2009): the loss spiral runs through the mark, the margin spiral through the volatility "
    "that the policy reads; each alone with the other cut, all other edges as they are."
)
BY_CAUSE = (
    "The same with a switch per cause of forced flow: orders of a cause that is off pay slippage but move no price, as "
    "in twin T1 for all of them."
)


def spelled(name: str) -> str:
    """Return a channel or cause in words."""
    return name.replace("_", " ").capitalize()


def attribution_body(run: Mapping[str, Any]) -> str:
    """Return the section on attribution of a run as HTML.

    Parameters
    ----------
    run : mapping
        Content of ``run.json``: ``attribution`` and, where present, ``attribution_detail``,
        ``attribution_by_cause`` and ``attribution_by_cause_detail``.
    """
    parts = [_levels(run["attribution"], CONVENTION if run.get("attribution_detail") else
                     "Levels, not shares: they add up to the outcome.")]
    detail = run.get("attribution_detail") or {}
    names = [name for name in HEADLINES if name in detail]
    if names and any(detail[name]["shapley"] for name in names):
        parts += [_meanings(run["attribution"]), paragraph(READINGS)]
        parts += [_readings(name, detail[name]) for name in names]
    spirals = {name: one["spirals"] for name, one in detail.items() if one.get("spirals")}
    if spirals:
        words = {"loss": "loss_spiral", "margin": "margin_spiral", "interaction": "interaction", "both": "both"}
        renamed = {name: {words[key]: value for key, value in found.items()} for name, found in spirals.items()}
        parts += ["<h3>Loss spiral and margin spiral</h3>", _levels(renamed, SPIRALS)]
    groups = {name: one["owen"] for name, one in detail.items() if one.get("owen")}
    if groups:
        parts += ["<h3>Owen values of the groups that were asked for</h3>", _levels(groups, "")]
    if run.get("attribution_by_cause"):
        parts += ["<h3>By cause of forced flow</h3>", _levels(run["attribution_by_cause"], BY_CAUSE)]
    return "".join(parts)


def _levels(levels: Mapping[str, Mapping[str, float]], caption: str) -> str:
    """Return one row per outcome, one column per level."""
    columns = list(dict.fromkeys(name for found in levels.values() for name in found))
    rows = []
    for outcome, found in levels.items():
        title, shown = _shown(outcome, found.values())
        rows.append((title, *(shown(found[name]) if name in found else "" for name in columns)))
    return (paragraph(caption) if caption else "") + table(
        ("Outcome", *map(spelled, columns)), rows, numeric=range(1, len(columns) + 1))


def _shown(outcome: str, values: Iterable[float]) -> tuple[str, Callable[[float], str]]:
    """Return the title of an outcome with the unit of all its values, and how a value is shown in it."""
    scale = display_scale(unit_of(outcome), list(values))
    title = f"{plain_name(outcome)} [{scale.unit}]" if scale.unit else plain_name(outcome)
    return title, lambda value: format_number(value * scale.factor)


def _meanings(levels: Mapping[str, Mapping[str, float]]) -> str:
    names = dict.fromkeys(name for found in levels.values() for name in found)
    items = "".join(f"<dt>{escape(spelled(name))}</dt><dd>{escape(CHANNEL_MEANINGS[name])}</dd>"
                    for name in names if name in CHANNEL_MEANINGS)
    return f'<dl class="box">{items}</dl>'


def _readings(outcome: str, detail: Mapping[str, Any]) -> str:
    title, shown = _shown(outcome, [*detail["first_in"].values(), *detail["last_out"].values()])
    rows: list[Sequence[object]] = []
    for channel, value in detail["shapley"].items():
        middle = shown(value)
        if channel in detail.get("interval", {}):
            low, high = detail["interval"][channel]
            middle += f" [{shown(low)}, {shown(high)}]"
        pairs = [f"{spelled(other)} {shown(found)}"
                 for pair, found in detail["interaction"].items() if channel in pair.split("+")
                 for other in pair.split("+") if other != channel]
        first, last = (shown(detail[key][channel]) for key in ("first_in", "last_out"))
        rows.append((spelled(channel), first, middle, last, "; ".join(pairs)))
    return table(("Channel", "First in", "Shapley", "Last out", "Interaction with"), rows, numeric=(1, 2, 3),
                 caption=title)
