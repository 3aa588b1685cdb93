"""Print a part, with all the parts inside it, as TOML that builds it again.

A field becomes a key, a part inside becomes a table under its field's name, a list of parts an array of tables::

    [margin]
    type = "Floor"
    floor = 0.05

    [margin.inner]
    type = "VolatilityScaled"
    multiplier = 2.326

Fields that are None are left out: TOML has no null, and None is the default wherever it is allowed.
"""

import dataclasses
import json
import re
from typing import Any

import numpy as np

from spirals.simulation.parameters import Part, describe

__all__ = ["part_to_toml", "toml_value"]

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def part_to_toml(part: Any, table: str, comments: bool = False) -> str:
    """Return `part` as TOML text, ending in a newline.

    Parameters
    ----------
    part : Part, or any dataclass
        A :class:`Part` gets a key ``type``: its attribute ``spec`` where a loader set one (``"file.py:Class"``), else
        the name of its class. Other dataclasses are tables without ``type``.
    table : str
        Name of its table, dotted and quoted as in TOML; empty for the top of the document.
    comments : bool
        Put unit, range and help of each parameter behind its line.

    Raises
    ------
    TypeError
        When a field holds something that TOML cannot say.
    """
    lines: list[str] = []
    _table(part, table, f"[{table}]" if table else "", comments, lines)
    return "\n".join(lines).strip("\n") + "\n"


def toml_value(value: Any) -> str:
    """Return one value in TOML: text, boolean, number (floats exact), list, or inline table."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return repr(float(value))
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, np.ndarray):
        return toml_value(value.tolist())
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(str(key))} = {toml_value(item)}" for key, item in value.items()) + "}"
    raise TypeError(f"cannot be written as TOML: {value!r}")


def _table(part: Any, path: str, header: str, comments: bool, lines: list[str]) -> None:
    if header:
        lines.extend(["", header])
    if isinstance(part, Part):
        spec = getattr(part, "spec", None)
        lines.append(f"type = {toml_value(spec if isinstance(spec, str) else type(part).__name__)}")
    nested = []
    for field in dataclasses.fields(part) if dataclasses.is_dataclass(part) else ():
        value = getattr(part, field.name)
        if _is_table(value) or _is_tables(value):
            nested.append((field.name, value))
        elif value is not None:
            lines.append(_line(field, value, comments))
    # TOML wants the plain keys of a table before the tables inside it
    for name, value in nested:
        inner = f"{path}.{_key(name)}" if path else _key(name)
        if _is_table(value):
            _table(value, inner, f"[{inner}]", comments, lines)
        else:
            for item in value:
                _table(item, inner, f"[[{inner}]]", comments, lines)


def _line(field: Any, value: Any, comments: bool) -> str:
    try:
        line = f"{_key(field.name)} = {toml_value(value)}"
    except TypeError as error:
        raise TypeError(f"{field.name} {error}") from None
    if comments and field.metadata:
        remarks = [describe(field.metadata), field.metadata.get("help", "")]
        if isinstance(value, str | bool) and not field.metadata.get("choices"):
            remarks[0] = ""
        text = "; ".join(remark for remark in remarks if remark)
        line += f"  # {text}" if text else ""
    return line


def _is_table(value: Any) -> bool:
    return isinstance(value, Part) or (dataclasses.is_dataclass(value) and not isinstance(value, type))


def _is_tables(value: Any) -> bool:
    """A list counts as one of tables when it has any: a mixture is refused by the type of its first other item."""
    if not isinstance(value, list | tuple) or not any(_is_table(item) for item in value):
        return False
    for item in value:
        if not _is_table(item):
            raise TypeError(f"a list of parts cannot hold anything else, had {item!r}")
    return True


def _key(name: str) -> str:
    return name if BARE_KEY.fullmatch(name) else toml_value(name)
