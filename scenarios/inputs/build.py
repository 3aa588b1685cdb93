"""Build frozen parts from resolved inputs: the only place where the named classes are imported."""

import re
from typing import Any

from spirals.scenarios.inputs.parts import BASES
from spirals.scenarios.inputs.plugins import Reference, import_class, is_user_code, locate
from spirals.scenarios.inputs.problems import Key, Problems, Where
from spirals.scenarios.inputs.resolve import is_slot, slot_names
from spirals.scenarios.inputs.schema import module_file
from spirals.scenarios.inputs.values import convert, part_slot
from spirals.simulation.errors import InputError

__all__ = ["build_part", "check_sound_parts"]


def build_part(table: dict[str, Any], slot: str, problems: Problems, key: Key = (), *, allow_code: bool) -> Any:
    """Return the instance of a resolved table; None, with problems, when it cannot be built.

    Parts are built from the inside out, so that conditions between the fields of every part are
    checked and told together.
    """
    reference = locate(table["type"], slot_names(slot))
    if is_user_code(table["type"]) and not allow_code:
        problems.add("code named in a file is not imported here", (*key, "type"), given=table["type"])
        return None
    schema = reference.schema()
    before = len(problems)
    arguments = {}
    for name, value in table.items():
        if name == "type":
            continue
        field = schema.field(name) if schema else None
        if field is None:
            if schema is None or not schema.complete:
                arguments[name] = value
            continue
        inner = part_slot(field.annotation, is_slot)
        if inner is None or value is None:
            arguments[name] = convert(value, field.annotation)
        elif inner[1]:
            arguments[name] = tuple(build_part(item, inner[0], problems, (*key, name, position), allow_code=allow_code)
                                    for position, item in enumerate(value))
        else:
            arguments[name] = build_part(value, inner[0], problems, (*key, name), allow_code=allow_code)
    return _instance(reference, slot, arguments, problems, key) if len(problems) == before else None


def check_sound_parts(table: dict[str, Any], slot: str, problems: Problems, key: Key = (), *, allow_code: bool) -> None:
    """Build what has no problem so far, to tell the conditions between its fields along with the rest."""
    if not any(problem.path[: len(key)] == key for problem in problems):
        build_part(table, slot, problems, key, allow_code=allow_code)
        return
    schema = locate(table["type"], slot_names(slot)).schema()
    for field in schema.fields if schema else ():
        inner, value = part_slot(field.annotation, is_slot), table.get(field.name)
        if inner is None or value is None:
            continue
        for position, item in enumerate(value) if inner[1] else [(None, value)]:
            place = (*key, field.name) if position is None else (*key, field.name, position)
            check_sound_parts(item, inner[0], problems, place, allow_code=allow_code)


def _instance(reference: Reference, slot: str, arguments: dict[str, Any], problems: Problems, key: Key) -> Any:
    try:
        found = import_class(reference)
        base = _base(slot)
        if base is not None and not issubclass(found, base):
            problems.add("wrong class", (*key, "type"), allowed=f"a subclass of {slot}", given=reference.name)
            return None
        instance = found(**arguments)
        _read_files(instance)
        if reference.user_code:  # lets the part print itself with the place that it came from
            object.__setattr__(instance, "spec", f"{reference.module or reference.file}:{reference.name}")
        return instance
    except ImportError as error:
        problems.add(f"cannot import the code ({error})", (*key, "type"),
                     given=f"{reference.file or reference.module}:{reference.name}")
    except InputError as error:
        for line in error.problems:
            problems.add(line.removeprefix(f"{reference.name}: "), key, where=_overridden(line, key, problems))
    except (Exception, SystemExit) as error:
        problems.add(f"{reference.name} refused its values ({type(error).__name__}: {error})", key)
    return None


def _overridden(line: str, key: Key, problems: Problems) -> Where | None:
    """Return the override that set a value which the line speaks of: it is to blame, not the file."""
    words = re.findall(r"\w+", line)
    for place, where in problems.places.items():
        if place[:-1] == key and place and where.source.startswith(("-s ", "override ")) and place[-1] in words:
            return where
    return None


def _read_files(instance: Any) -> None:
    """Read the files that a part names, so that their faults are told with all others, before any run."""
    if hasattr(instance, "bars"):
        instance.bars()
    if hasattr(instance, "population") and hasattr(instance, "instruments"):
        instance.population.table(instance.instruments)


def _base(slot: str) -> type[Any] | None:
    """Return the class that every part of the slot must subclass."""
    module = BASES.get(slot)
    if module is None:
        return None
    return import_class(Reference(slot, module_file(module), module))
