"""Collects the faults of several inputs of a command, so that all of them are told at once."""

import math
from typing import Any

from spirals.simulation.errors import InputError

__all__ = ["Faults", "channels_of"]


class Faults:
    """Collects the problems of several inputs of a command."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def whole(self, name: str, text: str | None, least: int, most: int | None = None) -> int | None:
        """Return a whole number given as text; None when absent or at fault."""
        if text is None:
            return None
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value >= least and (most is None or value <= most):
            return value
        upper = "" if most is None else f" and at most {most}"
        self.lines.append(f"bad number in {name}; allowed: a whole number of at least {least}{upper}; given: {text!r}")
        return None

    def real(self, name: str, text: str | None) -> float:
        """Return a number given as text; NaN (and a fault, unless it is absent) when it is none."""
        try:
            value = math.nan if text is None else float(text)
        except ValueError:
            value = math.inf
        if math.isinf(value) or (text is not None and math.isnan(value)):
            self.lines.append(f"bad number in {name}; allowed: a number; given: {text!r}")
            return math.nan
        return value

    def attempt(self, function: Any, *arguments: Any, **keywords: Any) -> Any:
        """Return what `function` returns; None when it finds bad input."""
        try:
            return function(*arguments, **keywords)
        except InputError as error:
            self.lines += error.problems
            return None

    def raise_if_any(self) -> None:
        """Raise InputError with everything found, if anything was."""
        if self.lines:
            raise InputError(self.lines)


def channels_of(text: str | None, twins: bool) -> tuple[tuple[str, ...] | None, tuple[tuple[str, ...], ...]]:
    """Return the channels and the groups that ``a+b,c`` names; None for the usual ones, () for none.

    Without a plus there are no groups. Without text the usual channels go with twins.
    """
    if text is None:
        return (None if twins else ()), ()
    if text.strip() in ("", "none"):
        return (), ()
    groups = tuple(tuple(name.strip() for name in group.split("+")) for group in text.split(","))
    channels = tuple(name for group in groups for name in group)
    return channels, groups if "+" in text else ()
