"""Read a TOML file together with the line of every key, and with what it extends."""

import re
import tomllib
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

from spirals.scenarios.inputs.problems import Key, Problems, Where

__all__ = ["key_lines", "merge", "read_extended", "read_toml"]

HEADER = re.compile(r"^\s*(\[\[?)\s*([^\]#]+?)\s*\]\]?\s*(?:#.*)?$")
NAME = r"""(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)"""
ASSIGNMENT = re.compile(rf"^\s*({NAME}(?:\s*\.\s*{NAME})*)\s*=")
TOKEN = re.compile(r""""([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+)""")


def read_toml(path: Path, problems: Problems) -> dict[str, Any]:
    """Return the tables of `path`; a file that is missing or malformed is a problem and gives ``{}``."""
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        problems.add("no such file", allowed="a TOML file", given=str(path))
    except IsADirectoryError:
        problems.add("a folder, not a file", allowed="a TOML file", given=str(path))
    except OSError as error:
        problems.add(f"cannot read the file ({error.strerror})", given=str(path))
    except UnicodeDecodeError as error:
        problems.add(f"not UTF-8 text at byte {error.start}", where=Where(str(path)))
    except tomllib.TOMLDecodeError as error:
        problems.add(f"malformed TOML: {error}", where=Where(str(path)), allowed="see https://toml.io")
    return {}


def key_lines(text: str) -> dict[Key, int]:
    """Return the line of every table and key that starts a line; keys in inline tables are not listed."""
    lines: dict[Key, int] = {}
    prefix: Key = ()
    counts: dict[Key, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        header = HEADER.match(line)
        if header:
            prefix = _placed(_tokens(header[2]), counts)
            if header[1] == "[[":
                index = counts.get(prefix, -1) + 1
                counts[prefix] = index
                prefix = (*prefix, index)
            lines.setdefault(prefix, number)
            continue
        assignment = ASSIGNMENT.match(line)
        if assignment:
            lines.setdefault((*prefix, *_tokens(assignment[1])), number)
    return lines


def read_extended(
    path: Path, problems: Problems, find: Callable[[str, Path], Path | None]
) -> tuple[dict[str, Any], dict[Key, Where], dict[Key, Path]]:
    """Read `path` and what it extends: one file, or several of which a later one goes over an earlier one.

    Parameters
    ----------
    find : callable
        Returns the file of the name given by ``extends``, seen from a folder.

    Returns
    -------
    data : dict
        Merged tables.
    places : dict
        Where each key was stated.
    folders : dict
        Folder that relative paths under each key refer to.
    """
    chain: list[Path] = []
    data: dict[str, Any] = {}
    places: dict[Key, Where] = {}
    folders: dict[Key, Path] = {}
    waiting: list[tuple[Path, tuple[Path, ...]]] = [(path.resolve(), ())]  # what goes below, next one last
    while waiting:
        current, above = waiting.pop()
        if current in above:
            problems.add("scenarios extend each other in a circle", ("extends",), where=Where(str(current)))
            break
        chain.append(current)
        child = read_toml(current, problems)
        for key, line in _lines_of(current).items():
            places.setdefault(key, Where(_shown(current), line))
        places[()] = Where(_shown(chain[0]))
        for key in _all_keys(child):
            folders.setdefault(key, current.parent)
        stated = child.pop("extends", None)
        if above and "name" not in child:
            child.pop("summary", None)  # it describes a set of inputs, not the scenario
        sources = _inherited_sources(child, data)
        data = merge(child, data)
        if sources:
            data["sources"] = sources
        for parent in stated if isinstance(stated, list) else [stated]:
            found = _parent_file(parent, current, problems, find)
            if found is not None:
                waiting.append((found, (*above, current)))
    return data, places, folders


def merge(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with `top` over it: tables merge unless their ``type`` differs, all else is replaced."""
    merged = deepcopy(base)
    for key, value in top.items():
        below = merged.get(key)
        if isinstance(value, dict) and isinstance(below, dict) and value.get("type") in (None, below.get("type")):
            merged[key] = merge(below, value)
        else:
            merged[key] = deepcopy(value)
    return merged


def _inherited_sources(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    """Return the sources of `top` over those of `base` that still speak of what `base` states.

    A value that `top` replaces without a source of its own gets an empty one, so that the source of
    the old value does not cover the new one.
    """
    old, own = base.get("sources"), top.get("sources", {})
    if not isinstance(old, dict) or not isinstance(own, dict):
        return {}
    kept = dict(old)
    for path in _replaced(base, top):
        for name in [name for name in kept if name == path or name.startswith(f"{path}.")]:
            del kept[name]
        if _covered(path, kept) and not _covered(path, own):
            kept[path] = ""
    return {**kept, **own}


def _covered(path: str, sources: dict[str, Any]) -> bool:
    return any(path == name or path.startswith(f"{name}.") for name in sources)


def _replaced(base: dict[str, Any], top: dict[str, Any], prefix: str = "") -> list[str]:
    """Return the dotted paths of what `top` states anew: values, and parts of another class."""
    found = []
    for key, value in top.items():
        path = f"{prefix}.{key}" if prefix else key
        below = base.get(key)
        if isinstance(value, dict) and isinstance(below, dict) and value.get("type") in (None, below.get("type")):
            found += _replaced(below, value, path)
        elif path not in ("sources", "name", "summary"):
            found.append(path)
    return found


def _parent_file(
    parent: Any, current: Path, problems: Problems, find: Callable[[str, Path], Path | None]
) -> Path | None:
    if parent is None:
        return None
    found = find(parent, current.parent) if isinstance(parent, str) else None
    if found is None:
        where = Where(_shown(current), _lines_of(current).get(("extends",)))
        problems.add("unknown scenario", ("extends",), where=where,
                     allowed="a name of the catalogue or a TOML file", given=parent)
    return found


def _lines_of(path: Path) -> dict[Key, int]:
    try:
        return key_lines(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError):
        return {}


def _all_keys(node: Any, prefix: Key = ()) -> list[Key]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    found = [prefix]
    for key, value in items:
        found += _all_keys(value, (*prefix, key))
    return found


def _tokens(text: str) -> Key:
    return tuple(first or second or third for first, second, third in TOKEN.findall(text))


def _placed(tokens: Key, counts: dict[Key, int]) -> Key:
    """Insert the current position of every array of tables on the way (not of the last token)."""
    placed: Key = ()
    for token in tokens[:-1]:
        placed = (*placed, token)
        if placed in counts:
            placed = (*placed, counts[placed])
    return (*placed, tokens[-1]) if tokens else ()


def _shown(path: Path) -> str:
    """Return `path` relative to the working folder where that is shorter."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
