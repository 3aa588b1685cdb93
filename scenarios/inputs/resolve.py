"""Turn the tables of a file into the resolved inputs: every part named, every default filled in.

The result is plain data (tables, arrays, numbers, text) in which each part is a table whose ``type``
says its class. Nothing is imported and every problem is collected, so the same pass serves ``show``,
``run`` and the identity of a run.
"""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spirals.scenarios.inputs.parts import SLOTS
from spirals.scenarios.inputs.plugins import Reference, is_user_code, locate
from spirals.scenarios.inputs.problems import Key, Problems, suggestion
from spirals.scenarios.inputs.schema import MISSING, FieldSchema, Schema, Unknown
from spirals.scenarios.inputs.values import Mismatch, convert, described, part_slot
from spirals.simulation.errors import InputError
from spirals.simulation.market.data_files import resolve_data_file
from spirals.simulation.parameters import allowed, describe

__all__ = ["Resolver", "is_file_field", "is_slot", "nested_parts", "part_schema", "slot_names"]

LARGEST = 1e12
RESERVED = ("type", "label")
DATA_FOLDER = Path(__file__).resolve().parents[1] / "data"


def is_slot(name: str) -> bool:
    """Return whether an annotation of this name holds a part."""
    return name in SLOTS


def slot_names(slot: str) -> dict[str, str]:
    """Return the catalogue (class name to module) of a slot."""
    return SLOTS.get(slot, {})


def is_file_field(field: FieldSchema) -> bool:
    """Return whether a text field holds the path of a user's file."""
    return field.name == "file" or field.name.endswith("_file")


def part_schema(table: Mapping[str, Any]) -> Schema | None:
    """Return the schema of a resolved part."""
    catalogue = {name: module for names in SLOTS.values() for name, module in names.items()}
    try:
        return locate(table["type"], catalogue).schema()
    except (KeyError, OSError, SyntaxError):
        return None


def nested_parts(node: Any, prefix: Key = ()) -> list[tuple[Key, dict[str, Any]]]:
    """Return every part below a resolved table with its key, outermost first."""
    found = []
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        if isinstance(value, dict) and "type" in value:
            found.append(((*prefix, key), value))
        if isinstance(value, dict | list):
            found += nested_parts(value, (*prefix, key))
    return found


@dataclasses.dataclass
class Resolver:
    """Resolves tables; problems go to `problems`, relative paths refer to `folders`."""

    problems: Problems
    folders: Mapping[Key, Path] = dataclasses.field(default_factory=dict)

    def part(self, data: Any, slot: str, key: Key = ()) -> dict[str, Any] | None:
        """Return the resolved table of one part; None when its class is unknown."""
        if isinstance(data, str):
            data = {"type": data}
        if not isinstance(data, dict):
            self.problems.add("wrong type", key, allowed=f"a table with type = {_or(slot_names(slot))}", given=data)
            return None
        data = _user_agents(data) if slot == "UserAgents" else data
        reference = self._reference(data, slot, key)
        schema = self._schema(reference, key) if reference is not None else None
        if reference is None or schema is None:
            return None
        type_name = reference.name if reference.name in slot_names(slot) else _type_text(reference)
        resolved: dict[str, Any] = {"type": type_name}
        if "label" in data and schema.field("label") is None:
            resolved["label"] = str(data["label"])
        self._unknown_keys(data, schema, key)
        for field in schema.fields:
            value = self._field(data, field, (*key, field.name))
            if value is not MISSING:
                resolved[field.name] = value
        if not schema.complete:
            resolved.update({name: value for name, value in data.items() if name not in resolved})
        return resolved

    def _reference(self, data: dict[str, Any], slot: str, key: Key) -> Reference | None:
        names = slot_names(slot)
        allowed_types = f"{_or(names)}, or 'file.py:Class', or 'module:Class'"
        given = data.get("type")
        if given is None and len(names) == 1:
            given = next(iter(names))
        if given is None:
            self.problems.add("missing key", (*key, "type"), allowed=allowed_types)
            return None
        if not isinstance(given, str):
            self.problems.add("wrong type", (*key, "type"), allowed=allowed_types, given=given)
            return None
        try:
            return locate(self._absolute_type(given, key), names)
        except KeyError:
            what = "unknown type" + suggestion(given, names)
            self.problems.add(what, (*key, "type"), allowed=allowed_types, given=given)
        except FileNotFoundError:
            self.problems.add("no such file or module", (*key, "type"), allowed=allowed_types, given=given)
        return None

    def _schema(self, reference: Reference, key: Key) -> Schema | None:
        given = f"{reference.file or reference.module}:{reference.name}"
        try:
            schema = reference.schema()
        except (OSError, SyntaxError, ValueError) as error:
            self.problems.add(f"cannot read the code ({error})", (*key, "type"), given=given)
            return None
        if schema is None:
            self.problems.add("no such class in the file", (*key, "type"), given=given)
        return schema

    def _unknown_keys(self, data: dict[str, Any], schema: Schema, key: Key) -> None:
        if not schema.complete:
            return
        for name in data:
            if name not in schema.field_names and name not in RESERVED:
                self.problems.add("unknown key" + suggestion(name, schema.field_names), (*key, name),
                                  allowed=", ".join(schema.field_names) or "no keys", given=data[name])

    def _field(self, data: dict[str, Any], field: FieldSchema, key: Key) -> Any:
        slot = part_slot(field.annotation, is_slot)
        given = data.get(field.name, MISSING)
        if given is MISSING:
            given = field.default
            if given is MISSING and slot is not None and not slot[1] and len(slot_names(slot[0])) == 1:
                given = {}
        if isinstance(given, Unknown):
            return MISSING
        if given is MISSING:
            wanted = f"a table with type = {_or(slot_names(slot[0]))}" if slot else _allowed_text(field)
            self.problems.add("missing key", key, allowed=wanted)
            return MISSING
        if slot is not None and given is not None:
            resolved = self._parts(given, slot, key)
            return MISSING if resolved is None else resolved
        return self._value(given, field, key)

    def _parts(self, given: Any, slot: tuple[str, bool], key: Key) -> Any:
        name, many = slot
        if not many:
            return self.part(given, name, key)
        if not isinstance(given, list | tuple):
            self.problems.add("wrong type", key, allowed=f"an array of tables ([[{key[-1]}]])", given=given)
            return None
        found = [self.part(item, name, (*key, position)) for position, item in enumerate(given)]
        return [item for item in found if item is not None]

    def _value(self, given: Any, field: FieldSchema, key: Key) -> Any:
        try:
            value = convert(given, field.annotation)
        except Mismatch as error:
            finite = str(error) == "a finite number"
            self.problems.add("not a finite number" if finite else "wrong type", key,
                              allowed=_allowed_text(field) if finite else str(error), given=given)
            return MISSING
        for item in value if isinstance(value, tuple) else (value,):
            if not allowed(item, field.metadata):
                self.problems.add("out of range", key, allowed=describe(field.metadata), given=given)
                return MISSING
            if _too_large(item, field):
                self.problems.add("too large", key, allowed=f"at most {LARGEST:g} in size", given=given)
                return MISSING
        if is_file_field(field):
            return self._files(value, key)
        return _plain(value)

    def _files(self, value: Any, key: Key) -> Any:
        """Return paths of the user's files made independent of the working folder; shipped names as they are."""
        if not isinstance(value, str):
            return [self._files(item, key) for item in value] if isinstance(value, tuple) else value
        if not value:
            return value
        try:
            found = resolve_data_file(str(Path(value).expanduser()), str(self._folder(key)))
        except InputError as error:
            self.problems.add(error.problems[0].replace("data file must exist", "no such file; it must exist"), key)
            return value
        return value if found.parent == DATA_FOLDER else os.path.normpath(found.absolute())

    def _folder(self, key: Key) -> Path:
        for length in range(len(key), -1, -1):
            if key[:length] in self.folders:
                return self.folders[key[:length]]
        return Path.cwd()

    def _absolute_type(self, given: str, key: Key) -> str:
        place, _, name = given.rpartition(":")
        if is_user_code(given) and place.endswith(".py"):
            return f"{os.path.normpath(self._folder((*key, 'type')) / Path(place).expanduser())}:{name}"
        return given


def _user_agents(data: dict[str, Any]) -> dict[str, Any]:
    """Return a group of agents named like any other part, ``type = "file.py:Class"``, as a ``UserAgents`` table."""
    place, colon, name = str(data.get("type", "")).rpartition(":")
    if not colon:
        return data
    stated = {key: value for key, value in data.items() if key != "type"}
    if place.endswith(".py"):
        return {"type": "UserAgents", "file": place, "agent": name, **stated}
    return {"type": "UserAgents", "agent": f"{place}:{name}", **stated}


def _too_large(value: Any, field: FieldSchema) -> bool:
    """Return whether a number without an upper bound of its own could overflow whole-number money."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) <= LARGEST:
        return False
    return field.metadata.get("high") is None and field.metadata.get("below") is None


def _type_text(reference: Reference) -> str:
    return f"{reference.module or reference.file}:{reference.name}"


def _plain(value: Any) -> Any:
    """Return tuples as lists, so that resolved inputs are what TOML and JSON can hold."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict) else value


def _allowed_text(field: FieldSchema) -> str:
    ranged = any(field.metadata.get(name) is not None for name in ("low", "high", "above", "below"))
    if ranged or field.metadata.get("choices"):
        return f"{described(field.annotation)} {describe(field.metadata)}"
    return described(field.annotation)


def _or(names: Mapping[str, str]) -> str:
    return ", ".join(sorted(names)) or "(none)"
