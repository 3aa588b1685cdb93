"""From the words of the command to cases with parameters; every fault of all of them is told at once."""

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from spirals.scenarios.inputs.overrides import Override, parse_override
from spirals.scenarios.inputs.problems import Problems, Where, suggestion
from spirals.scenarios.validation.case import Case
from spirals.simulation.errors import InputError

__all__ = ["select_cases"]


def select_cases(
    names: Sequence[str] = (), overrides: Sequence[str] = (), catalogue: Mapping[str, type[Case]] | None = None
) -> list[Case]:
    """Return the cases asked for, in the order of the catalogue, with their parameters.

    Parameters
    ----------
    names : sequence of str
        Names of cases; none means all.
    overrides : sequence of str
        ``CASE.FIELD=VALUE``, or ``FIELD=VALUE`` where one of the cases alone has the field.

    Raises
    ------
    InputError
        With every unknown case, path and value.
    """
    from spirals.scenarios.validation.catalogue import CASES

    known = CASES if catalogue is None else catalogue
    problems = Problems()
    for name in names:
        if name not in known:
            problems.add(f"unknown case{suggestion(name, known)}", allowed=", ".join(known), given=name)
    wanted = [cls for name, cls in known.items() if not set(names) & set(known) or name in names]
    changes: dict[str, dict[str, Any]] = {}
    for text in overrides:
        override = parse_override(text, problems)
        if override is not None:
            _place(override, wanted, known, changes, problems)
    cases = []
    for cls in wanted:
        try:
            cases.append(cls(**changes.get(cls.name, {})))
        except InputError as error:
            problems.extend(f"{cls.name}: {line.partition(': ')[2]}" for line in error.problems)
    problems.raise_if_any()
    return cases


def _place(
    override: Override, wanted: Sequence[type[Case]], known: Mapping[str, type[Case]],
    changes: dict[str, dict[str, Any]], problems: Problems,
) -> None:
    """Put the value of one override under the case and field that its path means."""
    where = Where(override.place)
    head, dot, rest = override.path.partition(".")
    if dot and head in known:
        owners, field = [cls for cls in wanted if cls.name == head], rest
        if not owners:
            problems.add("override of a case that is not run", where=where,
                         allowed=", ".join(cls.name for cls in wanted) or "none", given=head)
            return
    else:
        field = override.path
        owners = [cls for cls in wanted if field in _types(cls) or field in cls.fixed]
    names = [name for cls in (owners if dot and owners else wanted) for name in (*_types(cls), *cls.fixed)]
    if len(owners) > 1:
        problems.add("ambiguous path", where=where, allowed=", ".join(f"{c.name}.{field}" for c in owners), given=field)
    elif owners and field in owners[0].fixed:
        problems.add(f"{owners[0].name}.{field} cannot be changed: {owners[0].fixed[field]}", where=where,
                     given=str(override.value))
    elif not owners or field not in _types(owners[0]):
        problems.add(f"unknown path{suggestion(field, names)}", where=where,
                     allowed=", ".join(f"{cls.name}.{name}" for cls in (owners or wanted) for name in _types(cls)),
                     given=override.path)
    else:
        kind = _types(owners[0])[field]
        try:
            changes.setdefault(owners[0].name, {})[field] = _converted(override.value, kind)
        except (TypeError, ValueError):
            problems.add(f"bad value of {owners[0].name}.{field}", where=where, allowed=_described(kind),
                         given=str(override.value))


def _types(cls: type[Case]) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _converted(value: Any, kind: Any) -> Any:
    """Return `value` as int, float, or tuple of them; a single value stands for a tuple of one."""
    if isinstance(kind, types.GenericAlias) or typing.get_origin(kind) is tuple:
        items = value if isinstance(value, list) else [value]
        if not items:
            raise ValueError
        return tuple(_converted(item, typing.get_args(kind)[0]) for item in items)
    if isinstance(value, bool) or not isinstance(value, int | float) or (kind is int and value != int(value)):
        raise TypeError
    return kind(value)


def _described(kind: Any) -> str:
    if kind in (int, float):
        return {int: "a whole number", float: "a number"}[kind]
    return f"{_described(typing.get_args(kind)[0])}, or several as [a, b]"
