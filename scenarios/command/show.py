"""Print resolved inputs as TOML with unit, range, meaning and source behind every key."""

import dataclasses
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spirals.scenarios.inputs.catalogue_index import CATALOGUE, find_file, names
from spirals.scenarios.inputs.loader import SCHEMA_VERSION, Inputs, resolve_scenario
from spirals.scenarios.inputs.parts import SLOTS
from spirals.scenarios.inputs.problems import suggestion
from spirals.scenarios.inputs.resolve import part_schema
from spirals.scenarios.inputs.schema import MISSING, FieldSchema, Unknown, module_file, read_schema
from spirals.scenarios.inputs.study import load_study
from spirals.scenarios.results.store import read_manifest
from spirals.simulation.errors import InputError
from spirals.simulation.parameters import describe
from spirals.simulation.toml_text import toml_value

__all__ = ["annotated_toml", "inputs_text", "shown"]

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
UNSTATED = "no source given"


def shown(name: str, overrides: Sequence[str] = ()) -> str:
    """Return the inputs that a name stands for: a scenario, study, part, TOML file or results folder.

    Nothing that a file names is imported.
    """
    if Path(name).is_dir():
        manifest = read_manifest(Path(name)) or {}
        stored = manifest.get("inputs", {}).get("scenario") or manifest.get("inputs", {}).get("first_cell")
        if stored:
            return inputs_text(Inputs(stored))
    module = next((slot[name] for slot in SLOTS.values() if name in slot), None)
    if module is not None:
        return _part_text(name, module, overrides)
    if _is_study(name):
        return _study_text(name)
    if find_file(name, Path.cwd()) is None:
        known = [*names("scenario"), *names("study"), *(part for slot in SLOTS.values() for part in slot)]
        raise InputError([f"unknown name{suggestion(name, known)}; allowed: a scenario, study or part of "
                          f"spirals list, a TOML file or a results folder; given: {name!r}"])
    return inputs_text(resolve_scenario(name, overrides))


def inputs_text(inputs: Inputs) -> str:
    """Return the resolved inputs of a scenario as TOML that loads to the same inputs."""
    return f"schema_version = {SCHEMA_VERSION}\n" + annotated_toml(inputs.tree)


def annotated_toml(tree: Mapping[str, Any]) -> str:
    """Return a resolved part as TOML; comments give unit, range, meaning and source.

    The source of a key is the nearest entry of ``sources`` at it or above it. A number that differs from its
    default and has none is marked.
    """
    lines: list[str] = []
    _table(tree, "", dict(tree.get("sources") or {}), "", lines)
    return "\n".join(lines) + "\n"


def _is_study(name: str) -> bool:
    path = find_file(name, Path.cwd(), "study")
    if path is None or path.parent == CATALOGUE:
        return path is not None and find_file(name, Path.cwd()) is None
    try:
        stated = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return False
    return stated.get("kind") == "study" or "replications" in stated


def _study_text(name: str) -> str:
    study = load_study(name)
    table = {"type": "Study", **{key: value for key, value in dataclasses.asdict(study).items() if key != "folder"}}
    points = len(study.design())
    head = f"# {points} points x {study.replications} replications = {points * study.replications} runs\n"
    return f'{head}schema_version = {SCHEMA_VERSION}\nkind = "study"\n' + annotated_toml(table)


def _part_text(name: str, module: str, overrides: Sequence[str]) -> str:
    """Return the defaults of a part as one table; keys that must be given are named in comments."""
    if overrides:
        raise InputError([f"a part cannot be overridden on its own; allowed: a scenario; given: {name!r}"])
    file = module_file(module)
    schema = read_schema(file, name) if file is not None else None
    table: dict[str, Any] = {"type": name}
    required = []
    for field in schema.fields if schema is not None else ():
        if field.default is MISSING:
            required.append(f"# {field.name}: required; {field.metadata.get('help', '')}\n")
        elif not isinstance(field.default, Unknown):
            table[field.name] = list(field.default) if isinstance(field.default, tuple) else field.default
    about = f"  # {schema.summary}" if schema is not None else ""
    return f"type = {toml_value(name)}{about}\n" + "".join(required) + annotated_toml(table)


def _table(part: Mapping[str, Any], path: str, sources: Mapping[str, str], header: str, lines: list[str]) -> None:
    schema = part_schema(part) if "type" in part else None
    if header:
        lines += ["", header]
    if path and "type" in part:
        about = f"  # {schema.summary}" if schema and schema.summary else ""
        lines.append(f"type = {toml_value(part['type'])}{about}")
    inner = []
    for key, value in part.items():
        if key == "type" or value is None:
            continue
        if _holds_parts(value) or (isinstance(value, dict) and schema is not None):
            inner.append((key, value))
        else:
            place = f"{path}.{key}" if path else key
            comment = _comment(schema.field(key) if schema else None, value, place, sources)
            lines.append(f"{_key(key)} = {toml_value(value)}{comment}")
    for key, value in inner:
        place = f"{path}.{key}" if path else key
        name = _header_name(header, key)
        if isinstance(value, list):
            for position, item in enumerate(value):
                _table(item, f"{place}.{position}", sources, f"[[{name}]]", lines)
        elif value:
            _table(value, place, sources, f"[{name}]", lines)


def _comment(field: FieldSchema | None, value: Any, path: str, sources: Mapping[str, str]) -> str:
    if field is None:
        return ""
    numeric = isinstance(value, int | float | list) and not isinstance(value, bool)
    remarks = [describe(field.metadata)] if numeric or field.metadata.get("choices") else []
    remarks.append(str(field.metadata.get("help", "")))
    source = _source(path, sources)
    default = list(field.default) if isinstance(field.default, tuple) else field.default
    if source:
        remarks.append(f"source: {source}")
    elif value == default:
        remarks.append("default")
    elif numeric:
        remarks.append(UNSTATED)
    text = "; ".join(" ".join(remark.split()) for remark in remarks if remark and remark != "a finite value")
    return f"  # {text}" if text else ""


def _source(path: str, sources: Mapping[str, str]) -> str:
    while path:
        if path in sources:
            return sources[path]
        path = path.rpartition(".")[0]
    return ""


def _holds_parts(value: Any) -> bool:
    if isinstance(value, dict):
        return "type" in value
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _header_name(header: str, key: str) -> str:
    above = header.strip("[]")
    return f"{above}.{_key(key)}" if above else _key(key)


def _key(name: str) -> str:
    return name if BARE_KEY.fullmatch(name) else toml_value(name)
