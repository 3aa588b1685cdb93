"""Find the class that a ``type`` names: in the catalogue, in a file, or in an installed module."""

import dataclasses
import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from spirals.scenarios.inputs.schema import Schema, module_file, read_schema

__all__ = ["Reference", "import_class", "is_user_code", "locate"]


@dataclasses.dataclass(frozen=True)
class Reference:
    """A class named in an input: `file` holds its source, `module` is empty for a plain file."""

    name: str
    file: Path | None
    module: str = ""

    @property
    def user_code(self) -> bool:
        """Whether the class comes from outside this package."""
        return not self.module.startswith("spirals.")

    def schema(self) -> Schema | None:
        """Return the parameters as far as the source tells; None when it cannot be read."""
        return read_schema(self.file, self.name) if self.file is not None else None


def is_user_code(type_name: str) -> bool:
    """Return whether a ``type`` names code outside the catalogue."""
    return ":" in type_name


def locate(type_name: str, catalogue: dict[str, str]) -> Reference:
    """Return the reference of a ``type``; nothing is imported.

    Raises
    ------
    KeyError
        No such name in the catalogue, or malformed.
    FileNotFoundError
        The named file or module does not exist.
    """
    if not is_user_code(type_name):
        module = catalogue[type_name]
        return Reference(type_name, module_file(module), module)
    place, _, name = type_name.rpartition(":")
    if not name.isidentifier() or not place:
        raise KeyError(type_name)
    if place.endswith(".py"):
        file = Path(place)
        if not file.is_file():
            raise FileNotFoundError(place)
        return Reference(name, file)
    found = module_file(place)
    if found is None:
        raise FileNotFoundError(place)
    return Reference(name, found, place)


def import_class(reference: Reference) -> type[Any]:
    """Import the class; a plain file is loaded under a name made from its content.

    Raises
    ------
    ImportError
        The code could not be imported or has no such class; the cause is chained.
    """
    try:
        module = importlib.import_module(reference.module) if reference.module else _load_file(reference.file)
    except (Exception, SystemExit) as error:  # sys.exit() in a user's file must not look like the end of a run
        raise ImportError(f"{type(error).__name__}: {error}") from error
    found = getattr(module, reference.name, None)
    if not isinstance(found, type):
        raise ImportError(f"no class {reference.name}")
    return found


def _load_file(file: Path | None) -> ModuleType:
    if file is None:
        raise ImportError("no source file")
    digest = hashlib.blake2b(str(file.resolve()).encode() + file.read_bytes(), digest_size=6).hexdigest()
    name = f"spirals_user_{file.stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {file}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up while the class is made
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
