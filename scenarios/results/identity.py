"""Identity of a run: a digest of its inputs and of the code and libraries that make the result.

A stored result is reused only when the identity is the same. It covers the resolved inputs with the
content (not the place) of the user's files, seed and twins, the sources of the package that make
results, and the versions of numpy, numba and scipy. What has no effect (summary, sources of
numbers, targets to compare with) and the commit are left out.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from spirals.scenarios.inputs.schema import PACKAGE_ROOT

__all__ = [
    "canonical", "code_digest", "feedback_code_digest", "library_versions", "path_code_digest", "run_id",
    "result_sources",
]

LIBRARIES = ("numba", "numpy", "scipy")
RESULT_MODULES = ("inputs/build.py", "inputs/parts.py", "inputs/plugins.py", "inputs/scenario.py", "inputs/values.py",
                  "runs/one_run.py")
PATH_MODULES = ("calibration/deconvolution.py", "calibration/deconvolution_bar.py", "runs/study_paths.py")
LEFT_OUT = ("sources", "summary", "targets")


def canonical(value: Any) -> str:
    """Return `value` as JSON with sorted keys and no spaces; raises ValueError on NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def run_id(
    tree: Mapping[str, Any], files: Mapping[str, str], seed: int, *, code: str = "", extra: Mapping[str, Any] = {}
) -> str:
    """Return the identity of one run as 20 hexadecimal digits.

    Parameters
    ----------
    tree : mapping
        Resolved inputs.
    files : mapping of path to digest
        The user's files among them.
    seed : int
    code : str
        Digest of the code; the package's own by default.
    extra : mapping
        What else decides the result: twins, tables asked for.
    """
    inputs = {key: value for key, value in tree.items() if key not in LEFT_OUT}
    record = {"inputs": _by_content(inputs, files), "seed": seed, "code": code or code_digest(),
              "libraries": library_versions(LIBRARIES), "extra": dict(extra)}
    return hashlib.blake2b(canonical(record).encode(), digest_size=10).hexdigest()


@cache
def code_digest() -> str:
    """Return the digest of all sources of the package that make results."""
    digest = hashlib.blake2b(digest_size=10)
    for path in result_sources():
        digest.update(path.relative_to(PACKAGE_ROOT).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


@cache
def path_code_digest() -> str:
    """Return the digest of all sources that make a deconvolved path: those of results and of the search."""
    return _digest_with(PACKAGE_ROOT / "scenarios" / name for name in PATH_MODULES)


@cache
def feedback_code_digest() -> str:
    """Return the digest of all sources that make a part of an answer about feedback."""
    return _digest_with(sorted((PACKAGE_ROOT / "scenarios" / "feedback").glob("*.py")))


def _digest_with(sources: Iterable[Path]) -> str:
    digest = hashlib.blake2b(code_digest().encode(), digest_size=10)
    for path in sources:
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def result_sources() -> Iterator[Path]:
    """Yield the source files that make results, in a fixed order."""
    for folder in ("agents", "simulation"):
        for path in sorted((PACKAGE_ROOT / folder).rglob("*.py")):
            inside = path.relative_to(PACKAGE_ROOT).parts
            if inside[1] not in ("_top", "reference"):
                yield path
    yield from (PACKAGE_ROOT / "scenarios" / name for name in RESULT_MODULES)


@cache
def library_versions(names: tuple[str, ...]) -> dict[str, str]:
    """Return the installed version of each distribution, without importing it."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def _by_content(node: Any, files: Mapping[str, str]) -> Any:
    """Return `node` with every path of a user's file replaced by the digest of its content."""
    if isinstance(node, dict):
        return {key: _by_content(value, files) for key, value in node.items()}
    if isinstance(node, list):
        return [_by_content(value, files) for value in node]
    if isinstance(node, str):
        place, colon, name = node.rpartition(":")
        if colon and place in files:
            return f"{files[place]}:{name}"
        return files.get(node, node)
    return node
