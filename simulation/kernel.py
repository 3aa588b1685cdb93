"""Compile a function once and cache it safely: the only place where compile options live.

Plain ``numba.njit(cache=True)`` stamps the cache with the file of the function itself, so it serves
stale code when a function, constant or dtype *imported from another file* changes. ``kernel`` names
the cache folder by a digest of the file and of every package file that it imports, directly or not.

Environment: ``NUMBA_DISABLE_JIT=1`` runs kernels as plain Python; ``NUMBA_CACHE_DIR`` moves the cache.
"""

import ast
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np

__all__ = ["cache_base", "kernel", "source_digest", "prune_cache"]

PACKAGE = "spirals"
KEEP_DAYS = 30
Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile `function` in nopython mode, cached by the digest of all sources it depends on."""
    source = Path(function.__code__.co_filename)
    saved = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(cache_base() / source_digest(source))
    try:
        return numba.njit(cache=True, error_model="numpy", nogil=True)(function)
    finally:
        numba.config.CACHE_DIR = saved


@lru_cache(maxsize=1)
def cache_base() -> Path:
    """Return a writable folder for compiled code: user's choice, user cache, or temporary folder."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    candidates = [Path(chosen)] if chosen else []
    candidates += [Path(home) / "liquidation-spirals", Path(tempfile.gettempdir()) / "liquidation-spirals"]
    for folder in candidates:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    return Path(tempfile.mkdtemp(prefix="liquidation-spirals-"))


@lru_cache(maxsize=None)
def source_digest(source: Path) -> str:
    """Return a short digest of `source` and of the package files that it imports, transitively."""
    digest = hashlib.blake2b(digest_size=10)
    for path in sorted(_closure(source)):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    digest.update(f"{numba.__version__} {np.__version__}".encode())
    return digest.hexdigest()


def prune_cache(keep_days: float = KEEP_DAYS) -> int:
    """Delete cache folders that were not used for `keep_days` days; return how many."""
    limit = time.time() - keep_days * 86400
    stale = [f for f in cache_base().iterdir() if f.is_dir() and f.stat().st_mtime < limit]
    for folder in stale:
        shutil.rmtree(folder, ignore_errors=True)
    return len(stale)


def _closure(source: Path) -> set[Path]:
    found: set[Path] = set()
    waiting = [source]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(_package_imports(path))
    return found


@lru_cache(maxsize=None)
def _package_imports(source: Path) -> tuple[Path, ...]:
    """Package files imported by `source`, with the packages that contain them."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source.read_bytes())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    paths = []
    for name in sorted(names):
        if name.split(".")[0] == PACKAGE:
            try:
                spec = find_spec(name)
            except (ImportError, AttributeError, ValueError):
                continue  # a class or function, not a module
            if spec is not None and spec.origin and spec.origin.endswith(".py"):
                paths.append(Path(spec.origin))
    return tuple(paths)
