"""Check one value of an input against the annotation of its field, read as text."""

import ast
import math
from collections.abc import Callable
from functools import cache
from typing import Any

__all__ = ["Mismatch", "convert", "described", "part_slot"]

PLAIN = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text", "None": "nothing"}


class Mismatch(Exception):
    """The value has the wrong type; carries what is allowed."""


def part_slot(annotation: str, is_slot: Callable[[str], bool]) -> tuple[str, bool] | None:
    """Return (slot, is array) when the annotation names a slot of parts, otherwise None."""
    node = _parsed(annotation)
    members = _members(node)
    for member in members:
        if isinstance(member, ast.Name) and is_slot(member.id):
            return member.id, False
        if isinstance(member, ast.Subscript) and _name(member.value) in ("tuple", "list", "Sequence"):
            first = _arguments(member)[0]
            if isinstance(first, ast.Name) and is_slot(first.id):
                return first.id, True
    return None


def described(annotation: str) -> str:
    """Return an annotation in words, e.g. ``"a number"`` or ``"an array of numbers"``."""
    return _words(_parsed(annotation))


def convert(value: Any, annotation: str) -> Any:
    """Return `value` as the annotated type: whole numbers pass as floats, arrays become tuples.

    Raises
    ------
    Mismatch
        Wrong type, or a number that is NaN or infinite.
    """
    return _convert(value, _parsed(annotation))


def _convert(value: Any, node: ast.expr) -> Any:
    members = _members(node)
    if len(members) > 1:
        for member in members:
            try:
                return _convert(value, member)
            except Mismatch:
                continue
        raise Mismatch(_words(node))
    name = _name(node)
    if name == "None":
        if value is None:
            return None
    elif name == "bool":
        if isinstance(value, bool):
            return value
    elif name == "int":
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    elif name == "float":
        return _finite(value)
    elif name == "str":
        if isinstance(value, str):
            return value
    elif name in ("tuple", "list", "Sequence"):
        return _array(value, node)
    elif name in ("dict", "Mapping"):
        return _table(value, node)
    else:
        return value  # a type of the part's own: its class checks it
    raise Mismatch(_words(node))


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Mismatch("a number")
    if not math.isfinite(value):
        raise Mismatch("a finite number")
    return float(value)


def _array(value: Any, node: ast.expr) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise Mismatch(_words(node))
    arguments = _arguments(node)
    if not arguments:
        return tuple(value)
    if _name(node) != "tuple" or (len(arguments) == 2 and _name(arguments[1]) == "Ellipsis"):
        arguments = [arguments[0]] * len(value)
    if len(arguments) != len(value):
        raise Mismatch(f"an array of {len(arguments)} values")
    return tuple(_convert(item, kind) for item, kind in zip(value, arguments, strict=True))


def _table(value: Any, node: ast.expr) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Mismatch(_words(node))
    arguments = _arguments(node)
    return {key: _convert(item, arguments[1]) if len(arguments) == 2 else item for key, item in value.items()}


@cache
def _parsed(annotation: str) -> ast.expr:
    return ast.parse(annotation.strip(), mode="eval").body


def _members(node: ast.expr) -> list[ast.expr]:
    """Return the alternatives of a union, or the annotation itself."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _members(_parsed(node.value))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _members(node.left) + _members(node.right)
    if isinstance(node, ast.Subscript) and _name(node.value) == "Optional":
        return [*_members(_arguments(node)[0]), ast.Constant(None)]
    return [node]


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return "None" if node.value is None else str(node.value)
    if isinstance(node, ast.Subscript):
        return _name(node.value)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _arguments(node: ast.expr) -> list[ast.expr]:
    if not isinstance(node, ast.Subscript):
        return []
    return list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]


def _words(node: ast.expr) -> str:
    members = _members(node)
    if len(members) > 1:
        return " or ".join(_words(member) for member in members if _name(member) != "None")
    name = _name(node)
    if name in ("tuple", "list", "Sequence"):
        arguments = _arguments(node)
        return f"an array, each {_words(arguments[0])}" if arguments else "an array"
    return "a table" if name in ("dict", "Mapping") else PLAIN.get(name, f"a {name}")
