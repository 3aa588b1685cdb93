"""Parameters that describe themselves: unit, range and meaning stand beside the default.

Every pluggable part is a frozen dataclass whose fields are made with :func:`parameter`. The same
metadata checks values (:func:`problems_of`), prints them (``spirals show``) and names sweep columns.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from spirals.simulation.errors import InputError

__all__ = ["Part", "allowed", "describe", "parameter", "problems_of"]


def parameter(
    default: Any = dataclasses.MISSING,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: Sequence[str] = (),
    help: str = "",
) -> Any:
    """Declare a dataclass field with its unit and allowed range.

    Parameters
    ----------
    default : optional
        Default value; a mutable default is copied per instance. Without it the field is required.
    unit : str
        Unit, e.g. ``"fraction of notional"``, ``"s"``, ``"quote"``.
    low, high : float, optional
        Closed bounds. `above` and `below` are open bounds.
    choices : sequence of str
        Allowed words, for text parameters.
    help : str
        Meaning in a few words.
    """
    metadata = dict(unit=unit, low=low, high=high, above=above, below=below, choices=tuple(choices), help=help)
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def describe(metadata: Any) -> str:
    """Return the allowed values of a field as text, e.g. ``"in [0, 1] fraction"``."""
    if metadata.get("choices"):
        return "one of " + ", ".join(metadata["choices"])
    low, high = metadata.get("low"), metadata.get("high")
    above, below = metadata.get("above"), metadata.get("below")
    left = f"[{low:g}" if low is not None else f"({above:g}" if above is not None else ""
    right = f"{high:g}]" if high is not None else f"{below:g})" if below is not None else ""
    unit = f" {metadata['unit']}" if metadata.get("unit") else ""
    if left and right:
        return f"in {left}, {right}{unit}"
    if left:
        return f"{'at least' if low is not None else 'above'} {left[1:]}{unit}"
    if right:
        return f"{'at most' if high is not None else 'below'} {right[:-1]}{unit}"
    return f"a finite value{unit}"


def problems_of(part: Any) -> list[str]:
    """Return one line per field of the dataclass `part` that is outside its declared range."""
    found = []
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        for item in value if isinstance(value, tuple | list) else (value,):
            if not allowed(item, field.metadata):
                found.append(f"{field.name} must be {describe(field.metadata)}, was {item!r}")
                break
    return found


def allowed(value: Any, metadata: Any) -> bool:
    """Tell whether `value` lies in the range that a field's metadata declares; NaN and infinity never do."""
    choices = metadata.get("choices")
    if choices and isinstance(value, str):
        return value in choices
    if isinstance(value, bool) or not isinstance(value, int | float):
        return True
    if math.isnan(value) or math.isinf(value):
        return False
    low, high = metadata.get("low"), metadata.get("high")
    above, below = metadata.get("above"), metadata.get("below")
    return (
        (low is None or value >= low)
        and (high is None or value <= high)
        and (above is None or value > above)
        and (below is None or value < below)
    )


class Part:
    """Base of the pluggable parts: frozen dataclasses that list their own problems.

    Subclasses extend :meth:`problems` with conditions between fields. Construction of a part with
    problems raises :class:`InputError` with all of them.
    """

    def problems(self) -> list[str]:
        """Return every fault of the parameters, one line each; empty when valid."""
        return problems_of(self)

    def __post_init__(self) -> None:
        found = self.problems()
        if found:
            raise InputError([f"{type(self).__name__}: {line}" for line in found])
