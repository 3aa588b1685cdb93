"""A lever between two values, as commands take it: ``PATH=LOW:HIGH`` or ``PATH=LOW:HIGH:log``."""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spirals.simulation.errors import InputError

__all__ = ["LeverRange", "parse_range"]


@dataclasses.dataclass(frozen=True)
class LeverRange:
    """A path of the inputs with two ends; `low` is where a search starts, so it may be the larger number.

    Attributes
    ----------
    path : str
    low, high : float
    logarithmic : bool
        Places between the ends are even in the logarithm.
    whole : bool
        The input takes whole numbers only.
    unit : str
        As ``spirals show`` prints it; empty for a number without one.
    """

    path: str
    low: float
    high: float
    logarithmic: bool = False
    whole: bool = False
    unit: str = ""

    @property
    def label(self) -> str:
        """Path with unit, for axes."""
        return f"{self.path} [{self.unit}]" if self.unit else self.path

    def at(self, place: float) -> float:
        """Return the value at `place` in [0, 1] between the ends, exact at both."""
        if place in (0.0, 1.0):
            value = self.high if place else self.low
        elif self.logarithmic:
            value = math.exp(math.log(self.low) + place * math.log(self.high / self.low))
        else:
            value = self.low + place * (self.high - self.low)
        return float(round(value)) if self.whole else value

    def override(self, place: float) -> str:
        """Return the line that puts the lever to `place`."""
        value = self.at(place)
        return f"{self.path}={int(value) if self.whole else repr(value)}"


def parse_range(option: str, text: str, source: str | Path, overrides: Sequence[str] = ()) -> LeverRange:
    """Return the range that an option states; both ends are tried as inputs of the scenario.

    Parameters
    ----------
    option : str
        Its name, for messages.
    text : str
        ``PATH=LOW:HIGH``, with ``:log`` for even steps of the logarithm.
    source : str or Path
        Scenario.
    overrides : sequence of str
        Other inputs.

    Raises
    ------
    InputError
        Another form, equal ends, a logarithm of something that is not positive, a path or an end that the scenario
        does not take, or one that is no number.
    """
    path, _, ends = text.partition("=")
    words = ends.split(":")
    logarithmic = len(words) == 3 and words[2] == "log"
    try:
        low, high = (float(word) for word in (words[:2] if logarithmic else words))
    except ValueError:
        low = high = math.nan
    if not path.strip() or not (math.isfinite(low) and math.isfinite(high)):
        raise InputError([f"malformed range in {option}; allowed: PATH=LOW:HIGH or PATH=LOW:HIGH:log; given: {text!r}"])
    found = []
    if low == high:
        found.append(f"range without extent in {option}; allowed: two different ends; given: {text!r}")
    if logarithmic and not (low > 0.0 and high > 0.0):
        found.append(f"range in {option} that has no logarithm; allowed: ends above 0; given: {text!r}")
    if found:
        raise InputError(found)
    whole, unit = _present(option, path.strip(), source, overrides)
    lever = LeverRange(path.strip(), low, high, logarithmic, whole, unit)
    _try_ends(lever, source, overrides)
    return lever


def _present(option: str, path: str, source: str | Path, overrides: Sequence[str]) -> tuple[bool, str]:
    """Return whether the number that the path has at present is a whole one, and its unit."""
    from spirals.scenarios.inputs.loader import resolve_scenario
    from spirals.scenarios.inputs.overrides import NotFound, find_path
    from spirals.scenarios.inputs.resolve import part_schema

    node: Any = resolve_scenario(source, overrides).tree
    unit = ""
    try:
        for token in find_path(node, path):
            schema = part_schema(node) if isinstance(node, dict) and "type" in node else None
            field = schema.field(str(token)) if schema else None
            unit = str(field.metadata.get("unit", "")) if field else ""
            node = node.get(token) if isinstance(node, dict) else node[token]
    except NotFound as error:
        raise InputError([f"{error.what} in {option}; allowed: {error.allowed}; given: {path}"]) from None
    if isinstance(node, bool) or not isinstance(node, int | float):
        raise InputError([f"lever in {option} that is no number; allowed: the path of a number; given: {path}"])
    return isinstance(node, int), unit


def _try_ends(lever: LeverRange, source: str | Path, overrides: Sequence[str]) -> None:
    from spirals.scenarios.inputs.faults import Faults
    from spirals.scenarios.inputs.loader import load_scenario

    faults = Faults()
    for place in (0.0, 1.0):
        faults.attempt(load_scenario, source, [*overrides, lever.override(place)])
    faults.raise_if_any()
