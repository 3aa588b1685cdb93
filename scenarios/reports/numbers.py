"""Numbers for readers: sensible digits, units and scales."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from spirals.simulation.measures.catalogue import unit_of
from spirals.simulation.measures.intervals import Interval

__all__ = [
    "Scale", "display_scale", "format_interval", "format_number", "format_outcome", "interval_column", "plain_name",
    "short_name",
]

MISSING = "n/a"
SHORT = {
    "drawdown_mark": "Drawdown of the mark",
    "excess_drawdown": "Excess drawdown",
    "forced_notional": "Forced notional",
    "excess_forced_notional": "Excess forced notional",
    "bad_debt_gross": "Gross bad debt",
    "bad_debt_net": "Net bad debt",
    "excess_bad_debt": "Excess bad debt",
    "margin_locked": "Margin locked",
    "twin_drawdown_mark": "Drawdown of twin T1",
    "liquidated_accounts": "Accounts liquidated",
    "liquidated_to_opening_oi": "Liquidated / opening open interest",
    "liquidated_to_oi_change": "Liquidated / fall of open interest",
    "oi_change": "Change of open interest",
    "run_up_mark": "Run-up of the mark",
    "excess_run_up": "Excess run-up",
    "liquidated_notional": "Liquidated notional",
}
LEVERS = {"pi": "π", "kappa": "κ"}

SMALL = -5   # power of ten below which a number is written with one
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class Scale:
    """Factor and unit in which values of one outcome are shown.

    Attributes
    ----------
    factor : float
        Shown value = value × factor.
    unit : str
        Unit of the shown value.
    """

    def __init__(self, factor: float, unit: str) -> None:
        self.factor = factor
        self.unit = unit


def display_scale(unit: str, values: Iterable[float]) -> Scale:
    """Return the scale that shows `values` of one unit with two or three digits before the point."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    if unit == "log points":
        return Scale(100.0, "log-%")
    if unit.startswith("fraction"):
        rest = unit.removeprefix("fraction").strip()
        return Scale(100.0, f"% {rest}".strip())
    if unit == "quote":
        for size, word in ((1e9, "billion"), (1e6, "million"), (1e3, "thousand")):
            if largest >= size:
                return Scale(1.0 / size, f"{word} quote")
        return Scale(1.0, "quote")
    return Scale(1.0, {"count": "", "ratio": ""}.get(unit, unit))


def format_number(value: Any, digits: int = 3, signed: bool = False) -> str:
    """Return a number with `digits` significant digits, a true minus sign and thin thousands separators.

    Below a hundred-thousandth powers of ten take the place of zeros.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    power = math.floor(math.log10(abs(value)))
    if power < SMALL:
        return f"{_typeset(value / 10.0**power, digits - 1, signed)} × 10{str(power).translate(RAISED)}"
    return _typeset(value, max(0, digits - 1 - power), signed)


def interval_column(
    intervals: Sequence[Interval], scale: Scale, signed: bool = True, symmetric: bool = False
) -> list[str]:
    """Return the texts of :func:`format_interval` with the same decimals for a whole column of a table.

    With `symmetric` the half-width stands behind a ±, which is shorter.
    """
    found = sorted(
        _decimals((one.high - one.low) * scale.factor, one.estimate * scale.factor)
        for one in intervals
        if math.isfinite(one.estimate)
    )
    decimals = found[len(found) // 2] if found else 0
    if symmetric:
        return [_plus_minus(one, scale, signed, decimals) for one in intervals]
    return [format_interval(one, scale, signed, decimals) for one in intervals]


def format_interval(interval: Interval, scale: Scale, signed: bool = True, decimals: int | None = None) -> str:
    """Return "estimate [low, high]", without `decimals` with as many as the width of the interval supports."""
    if math.isnan(interval.estimate):
        return MISSING
    estimate = interval.estimate * scale.factor
    if not math.isfinite(interval.low) or not math.isfinite(interval.high):
        return f"{format_number(estimate, 3, signed)} [{MISSING if math.isnan(interval.low) else 'unbounded'}]"
    low, high = interval.low * scale.factor, interval.high * scale.factor
    if decimals is None:
        decimals = _decimals(high - low, estimate)
    return (
        f"{_typeset(estimate, decimals, signed)} "
        f"[{_typeset(low, decimals, signed)}, {_typeset(high, decimals, signed)}]"
    )


def format_outcome(name: str, value: float | None) -> str:
    """Return the value of an outcome with its unit, e.g. "12.3 log-%"."""
    if value is None or not math.isfinite(value):
        return MISSING
    unit = unit_of(name)
    if unit == "s":
        return _duration(value)
    if unit == "count" or (not unit and float(value).is_integer() and abs(value) < 1e9):
        return _typeset(value, 0, False)
    scale = display_scale(unit, [value])
    return f"{format_number(value * scale.factor)} {scale.unit}".strip()


def plain_name(name: str) -> str:
    """Return an outcome's short title, or its name in words."""
    return SHORT.get(name, name.replace("_", " ").capitalize())


def short_name(path: str) -> str:
    """Return a lever path for axes: ``margin.pi`` -> "π", ``depth.type`` -> "depth"."""
    *parents, last = path.split(".")
    if last == "type" and parents:
        return parents[-1]
    return LEVERS.get(last, last.replace("_", " "))


def _plus_minus(interval: Interval, scale: Scale, signed: bool, decimals: int) -> str:
    if math.isnan(interval.estimate):
        return MISSING
    text = _typeset(interval.estimate * scale.factor, decimals, signed)
    reach = (interval.high - interval.low) / 2.0 * scale.factor
    return text if math.isnan(reach) else f"{text} ± {_typeset(reach, decimals, False)}"


def _typeset(value: float, decimals: int, signed: bool) -> str:
    text = f"{abs(value):,.{decimals}f}".replace(",", " ")
    if float(text.replace(" ", "")) == 0.0:
        return text
    return ("−" if value < 0 else "+" if signed else "") + text


def _decimals(width: float, estimate: float) -> int:
    """Decimals that show the width of an interval with two digits (three of the estimate when it has none)."""
    size = width / 2.0 if 0.0 < width < math.inf else abs(estimate) / 10.0
    if not size > 0.0:
        return 0
    return min(12, max(0, 1 - math.floor(math.log10(size))))


def _duration(seconds: float) -> str:
    if seconds < 120.0:
        return f"{format_number(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 120:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
