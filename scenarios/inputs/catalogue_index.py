"""The catalogue of scenarios, studies, venues, populations and books: TOML files of the folder ``catalogue``.

``name.toml`` is a scenario, ``study-name.toml`` a study; ``venue-name.toml``, ``population-name.toml`` and
``book-name.toml`` hold inputs that a scenario may extend: ``extends = ["black-thursday-2020", "population-2025"]``.
"""

import tomllib
from pathlib import Path
from typing import Any

__all__ = ["CATALOGUE", "entries", "find_file", "is_path", "names"]

CATALOGUE = Path(__file__).resolve().parents[1] / "catalogue"
PREFIXES = {"scenario": "", "study": "study-", "venue": "venue-", "population": "population-", "book": "book-"}


def find_file(name: str, folder: Path, kind: str = "scenario") -> Path | None:
    """Return the file of a catalogue name or of a path seen from `folder`; None when there is none.

    Text that looks like a path (a separator or ``.toml``) is never taken for a name.
    """
    if is_path(name):
        path = folder / Path(name).expanduser()
        return path if path.exists() else None
    path = CATALOGUE / f"{PREFIXES[kind]}{name}.toml"
    return path if path.is_file() else None


def is_path(name: str) -> bool:
    """Return whether text is meant as a path, not as a name of the catalogue."""
    return name.endswith(".toml") or "/" in name or "\\" in name


def names(kind: str) -> list[str]:
    """Return the catalogue names of a kind (a key of `PREFIXES`), sorted."""
    stems = sorted(path.stem for path in CATALOGUE.glob("*.toml"))
    others = tuple(prefix for name, prefix in PREFIXES.items() if prefix and name != kind)
    return [stem.removeprefix(PREFIXES[kind]) for stem in stems
            if stem.startswith(PREFIXES[kind]) and not stem.startswith(others)]


def entries(kind: str) -> list[dict[str, str]]:
    """Return name and summary of every catalogue file of a kind."""
    found = []
    for name in names(kind):
        path = find_file(name, CATALOGUE, kind)
        found.append({"name": name, "summary": str(_head(path).get("summary", ""))})
    return found


def _head(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}
