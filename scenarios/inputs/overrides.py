"""Overrides ``PATH=VALUE``: find the place that a dotted path means and put the value there.

A path goes by field names (``margin.inner.rate``), by class or label of a part, that one or any below
(``margin.Floor.floor``), or straight to a field that only one part below has (``margin.pi``).
Positions in arrays are numbers or the label or name of an item (``shocks.0.size``).
"""

import dataclasses
import tomllib
from collections.abc import Iterable
from copy import deepcopy
from typing import Any

from spirals.scenarios.inputs.problems import Key, Problems, Where, dotted, suggestion
from spirals.scenarios.inputs.resolve import nested_parts, part_schema

__all__ = ["Override", "apply_override", "check_overrides", "find_path", "parse_override", "parse_value"]


class NotFound(LookupError):
    """The path means no place, or several; carries the message and what is allowed."""

    def __init__(self, what: str, allowed: str) -> None:
        self.what, self.allowed = what, allowed
        super().__init__(what)


@dataclasses.dataclass(frozen=True)
class Override:
    """One replaced value; `place` says where it was stated."""

    path: str
    value: Any
    place: str = "-s"


def parse_override(text: str, problems: Problems) -> Override | None:
    """Return the override of ``PATH=VALUE``; None (and a problem) when it has no such form."""
    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        problems.add("malformed override", where=Where("-s"), allowed="PATH=VALUE", given=text)
        return None
    return Override(path.strip(), parse_value(value.strip()), f"-s {text}")


def check_overrides(lines: Iterable[str]) -> None:
    """Raise InputError with every line that has not the form ``PATH=VALUE``."""
    problems = Problems()
    for line in lines:
        parse_override(line, problems)
    problems.raise_if_any()


def parse_value(text: str) -> Any:
    """Return a TOML literal (number, true, array, inline table ...) or, failing that, the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        return text


def apply_override(
    data: dict[str, Any], resolved: dict[str, Any], override: Override, problems: Problems
) -> Key | None:
    """Put one override into the stated tables `data`.

    Parameters
    ----------
    data : dict
        Tables as stated in the file; modified in place.
    resolved : dict
        The same inputs resolved, in which the path is looked up.

    A new ``type`` keeps the keys that both classes have.

    Returns
    -------
    key : tuple or None
        Full path of what was replaced; None (and a problem) when it was not found.
    """
    try:
        key = find_path(resolved, override.path)
    except NotFound as error:
        problems.add(error.what, where=Where(override.place), allowed=error.allowed, given=override.path)
        return None
    target: Any = data
    source: Any = resolved
    for token in key[:-1]:
        source = source[token]
        if isinstance(target, list) or isinstance(target.get(token), dict | list):
            target = target[token]
        else:  # the part was a default or named by its type alone
            target[token] = deepcopy(source)
            target = target[token]
    target[key[-1]] = override.value
    if key[-1] == "type" and isinstance(target, dict):
        _drop_foreign_keys(target)
    _replace_sources(data, key, override)
    return key


def _drop_foreign_keys(table: dict[str, Any]) -> None:
    """Keep what the new class of a part shares with the old one."""
    schema = part_schema(table)
    if schema is not None and schema.complete:
        for name in [name for name in table if name not in (*schema.field_names, "type", "label")]:
            del table[name]


def _replace_sources(data: dict[str, Any], key: Key, override: Override) -> None:
    """The source of a replaced value is the override; those of its old content are gone."""
    path = ".".join(map(str, key))
    changed = path.removesuffix(".type")
    sources = data.setdefault("sources", {})
    if isinstance(sources, dict):
        for name in [name for name in sources if name == path or name.startswith(f"{changed}.")]:
            del sources[name]
        sources[path] = override.place


def find_path(resolved: dict[str, Any], path: str) -> Key:
    """Return the full key that `path` means.

    Raises
    ------
    NotFound
        No such place, or more than one.
    """
    tokens = path.split(".")
    key: Key = ()
    node: Any = resolved
    for position, token in enumerate(tokens):
        last = position == len(tokens) - 1
        step = _step(node, token, key, last)
        for part in step:
            node = node.get(part) if isinstance(node, dict) else node[part]
        key = (*key, *step)
    return key


def _step(node: Any, token: str, key: Key, last: bool) -> Key:
    """Return the tokens from `node` to what `token` means."""
    if isinstance(node, list) and token.lstrip("-").isdigit() and -len(node) <= int(token) < len(node):
        return (int(token) % len(node),)
    if isinstance(node, dict) and (token in node or token in _fields(node)):
        return (token,)
    if isinstance(node, dict) and "type" not in node and last:
        return (token,)  # a table of free keys, e.g. the parameters of a user's agents
    below = nested_parts(node)
    named: list[Key] = [place for place, part in below if token in _names(part)]
    if isinstance(node, dict) and "type" in node and key and token in _names(node) and not last:
        named.insert(0, ())
    if not named and last:
        named = [(*place, token) for place, part in below if token in part or token in _fields(part)]
    if len(named) == 1:
        return named[0]
    if named:
        places = ", ".join(dotted((*key, *place)) for place in named)
        raise NotFound(f"ambiguous path, {token!r} is in several parts", f"one of {places}")
    known = [*_fields(node)] + [name for _, part in below for name in (*_names(part), *_fields(part))]
    raise NotFound(f"unknown path, no {token!r}" + (f" in {dotted(key)}" if key else "") + suggestion(token, known),
                   f"{', '.join(_fields(node)) or 'a position'}, or a class, label or unique key below")


def _fields(node: Any) -> tuple[str, ...]:
    if not isinstance(node, dict):
        return ()
    schema = part_schema(node) if "type" in node else None
    own = tuple(name for name in node if name != "type")
    return own if schema is None else tuple(dict.fromkeys((*schema.field_names, *own)))


def _names(part: dict[str, Any]) -> tuple[str, ...]:
    """Return what a part may be called in a path: class, label, name."""
    names = [part["type"].rpartition(":")[2]]
    names += [part[key] for key in ("label", "name") if isinstance(part.get(key), str)]
    return tuple(names)
