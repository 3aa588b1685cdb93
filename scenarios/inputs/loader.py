"""Load a scenario: read its file, resolve its inputs, apply overrides, build the frozen record.

``load_scenario`` is the way in for Python; :func:`resolve_scenario` stops before any class is
imported, which is all that ``spirals show`` and the identity of a run need.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spirals.scenarios.inputs.build import build_part, check_sound_parts
from spirals.scenarios.inputs.catalogue_index import find_file, is_path, names
from spirals.scenarios.inputs.overrides import Override, apply_override, parse_override
from spirals.scenarios.inputs.problems import Key, Problems, Where, suggestion
from spirals.scenarios.inputs.resolve import Resolver, is_file_field, nested_parts, part_schema
from spirals.scenarios.inputs.toml_source import read_extended
from spirals.simulation.market.data_files import resolve_data_file

if TYPE_CHECKING:
    from spirals.scenarios.inputs.scenario import Scenario

__all__ = ["SCHEMA_VERSION", "Inputs", "load_scenario", "resolve_scenario", "user_files"]

SCHEMA_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Inputs:
    """The resolved inputs of a scenario: plain data, nothing imported.

    Attributes
    ----------
    tree : dict
        Every part with its class and all values; holds what JSON can hold.
    overrides : tuple of str
        ``PATH=VALUE`` lines that were applied, with full paths.
    places : mapping
        Where each key was stated, for messages.
    """

    tree: dict[str, Any]
    overrides: tuple[str, ...] = ()
    places: Mapping[Key, Where] = dataclasses.field(default_factory=dict, compare=False, repr=False)

    @property
    def name(self) -> str:
        return str(self.tree["name"])

    def files(self) -> dict[str, str]:
        """Return path and digest of the user's code and data files."""
        return user_files(self.tree)


def load_scenario(
    name_or_path: str | Path,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    *,
    allow_code: bool = True,
) -> "Scenario":
    """Return the scenario of a catalogue name or a TOML file.

    Parameters
    ----------
    name_or_path : str or Path
        Name in the catalogue, or path of a TOML file.
    overrides : sequence of "PATH=VALUE", or mapping of path to value
        Replaced inputs, e.g. ``{"margin.Floor.floor": 0.02}``.
    allow_code : bool
        Whether classes named by file or module may be imported.

    Raises
    ------
    InputError
        With every problem found, one line each.
    """
    return build_scenario(resolve_scenario(name_or_path, overrides, allow_code=allow_code), allow_code=allow_code)


def build_scenario(inputs: Inputs, *, allow_code: bool = True) -> "Scenario":
    """Return the frozen scenario of resolved inputs; raises InputError with every problem."""
    problems = Problems(inputs.places)
    scenario = build_part(inputs.tree, "Scenario", problems, allow_code=allow_code)
    problems.raise_if_any()
    return scenario


def resolve_scenario(
    name_or_path: str | Path,
    overrides: Sequence[str] | Mapping[str, Any] | Sequence[Override] = (),
    *,
    allow_code: bool | None = None,
) -> Inputs:
    """Return the resolved inputs; raises InputError with every problem of file and overrides.

    Parameters
    ----------
    allow_code : bool, optional
        Given: the parts are built as well, so that conditions between their fields are told together
        with all other problems; True lets code named in the file be imported for it. By default
        nothing is imported.
    """
    problems = Problems()
    path = find_file(str(name_or_path), Path.cwd())
    if path is None:
        add_unknown(str(name_or_path), "scenario", problems)
        problems.raise_if_any()
        raise AssertionError("unreachable")
    stated, places, folders = read_extended(path, problems, find_file)
    problems.places = places
    if stated.get("kind") == "study" or ("scenario" in stated and "population" not in stated):
        problems.add("a study, not a scenario", allowed="a scenario; for a study: spirals sweep",
                     given=str(name_or_path))
    problems.raise_if_any()  # nothing more can be said about such a file, or one that does not parse
    inputs = resolve_stated(stated, parsed_overrides(overrides, problems), problems, places, folders, allow_code)
    problems.raise_if_any()
    assert inputs is not None
    return inputs


def resolve_stated(
    stated: Mapping[str, Any],
    overrides: Iterable[Override],
    problems: Problems,
    places: Mapping[Key, Where] | None = None,
    folders: Mapping[Key, Path] | None = None,
    allow_code: bool | None = None,
) -> Inputs | None:
    """Resolve tables that were already read, with overrides; None when a problem was added."""
    before = len(problems)
    data, own_places, own_folders = deepcopy(dict(stated)), dict(places or {}), dict(folders or {})
    problems.places = own_places
    take_version(data, problems)
    data.pop("kind", None)
    applied = []
    for override in overrides:
        rough = Resolver(Problems(), own_folders).part(data, "Scenario") or {}
        key = apply_override(data, rough, override, problems)
        if key is not None:
            applied.append(f"{'.'.join(map(str, key))}={override.value}")
            _forget(key, own_places)
            _forget(key, own_folders)
            own_places[key] = Where(override.place)
            own_folders[key] = Path.cwd()
    tree = Resolver(problems, own_folders).part(data, "Scenario")
    if tree is not None:
        _check_sources(tree, problems)
        if allow_code is not None:
            check_sound_parts(tree, "Scenario", problems, allow_code=allow_code)
    return Inputs(tree, tuple(applied), own_places) if tree is not None and len(problems) == before else None


def add_unknown(given: str, kind: str, problems: Problems, key: Key = ()) -> None:
    """Add the problem of a scenario or study that is not there."""
    other = {"scenario": "study", "study": "scenario"}[kind]
    known = names(kind)
    allowed = f"{', '.join(known) or '(none)'}, or a TOML file"
    if is_path(given):
        problems.add("no such file", key, allowed=allowed, given=given)
    elif given in names(other):
        verb = "sweep" if other == "study" else "run"
        problems.add(f"a {other}, not a {kind}", key, allowed=f"{allowed}; for a {other}: spirals {verb}", given=given)
    else:
        problems.add(f"unknown {kind}" + suggestion(given, known), key, allowed=allowed, given=given)


def user_files(tree: dict[str, Any]) -> dict[str, str]:
    """Return path and digest of every file that resolved inputs name: code and data."""
    files: dict[str, str] = {}
    for _, part in nested_parts({"scenario": tree}):
        place = part["type"].rpartition(":")[0]
        if place.endswith(".py"):
            files[place] = _file_digest(Path(place))
        schema = part_schema(part)
        for field in schema.fields if schema else ():
            value = part.get(field.name)
            if is_file_field(field):
                for name in value if isinstance(value, list) else [value]:
                    if isinstance(name, str) and name:
                        files[name] = _file_digest(resolve_data_file(name))
    return dict(sorted(files.items()))


def parsed_overrides(given: Any, problems: Problems) -> list[Override]:
    """Return overrides given as lines, as a mapping or as records."""
    if isinstance(given, Mapping):
        return [Override(path, value, f"override {path}") for path, value in given.items()]
    parsed = [item if isinstance(item, Override) else parse_override(item, problems) for item in given]
    return [override for override in parsed if override is not None]


def take_version(stated: dict[str, Any], problems: Problems) -> None:
    """Remove ``schema_version`` from the tables of a file and refuse a newer one."""
    version = stated.pop("schema_version", SCHEMA_VERSION)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        problems.add("wrong type", ("schema_version",), allowed=f"{SCHEMA_VERSION}", given=version)
    elif version > SCHEMA_VERSION:
        problems.add("file of a newer version of the package", ("schema_version",),
                     allowed=f"at most {SCHEMA_VERSION}", given=version)


def _check_sources(tree: dict[str, Any], problems: Problems) -> None:
    """Every key of ``sources`` must name something that exists, so that no source dangles."""
    known = {path for path, _ in leaves({key: value for key, value in tree.items() if key != "sources"})}
    known |= {path.rpartition(".")[0] for path in known} | {name for name in tree if name != "type"}
    faulty = {".".join(map(str, problem.path)) for problem in problems}  # told already
    unread = [path.removesuffix(".type") for path in faulty if path.endswith(".type")]  # parts of an unknown class
    for path in tree.get("sources") or {}:
        if path in faulty or any(path == part or path.startswith(f"{part}.") for part in unread):
            continue
        if path not in known and not any(item.startswith(f"{path}.") for item in known):
            problems.add("source of an unknown key" + suggestion(path, known), ("sources", path),
                         allowed="dotted path of an input", given=tree["sources"][path])


def leaves(node: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Return every dotted path and value of a resolved tree that is no table of its own."""
    found: list[tuple[str, Any]] = []
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        path = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict) for item in value)):
            found += leaves(value, path)
        else:
            found.append((path, value))
    return found


def _forget(key: Key, places: dict[Key, Any]) -> None:
    for known in [place for place in places if place[: len(key)] == key]:
        del places[known]


def _file_digest(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
