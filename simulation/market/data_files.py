"""Find a data file: as the user gave it, beside the file that names it, or among the shipped data."""

import difflib
from importlib.util import find_spec
from pathlib import Path

from spirals.simulation.errors import InputError

__all__ = ["resolve_data_file", "shipped_data_files"]


def resolve_data_file(file: str, base: str = "", ending: str = ".csv") -> Path:
    """Return the path of a data file.

    Looked up in this order: relative to `base` (the folder of the scenario file), as given (relative
    to the working folder, or absolute), and as the name of a shipped file with that
    `ending`, with or without it.

    Raises
    ------
    InputError
        When there is no such file; with the closest shipped names.
    """
    given = Path(file)
    candidates = [Path(base) / given] if base else []
    candidates.append(given)
    if given.name == file:
        shipped = shipped_data_files(ending)
        candidates += [shipped[name] for name in (file, f"{file}{ending}") if name in shipped]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    close = difflib.get_close_matches(given.name, shipped_data_files(ending), n=2, cutoff=0.5)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    raise InputError([f"data file must exist or be the name of a shipped file, was {file!r}{hint}"])


def shipped_data_files(ending: str = ".csv") -> dict[str, Path]:
    """Return the shipped files with an ending by name, in alphabetical order."""
    # Found through the parent package: looking up `spirals.scenarios.data` itself would import its code.
    spec = find_spec("spirals.scenarios")
    folders = spec.submodule_search_locations if spec is not None else None
    files = (path for folder in folders or () for path in (Path(folder) / "data").glob(f"*{ending}"))
    return {path.name: path for path in sorted(files)}
