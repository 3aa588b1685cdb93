"""What a results folder says about how it was made: versions, commit, machine, times."""

import datetime
import platform
import subprocess
from typing import Any

from spirals.scenarios.inputs.schema import PACKAGE_ROOT
from spirals.scenarios.results.identity import code_digest, library_versions

__all__ = ["now", "provenance"]

LIBRARIES = ("liquidation-spirals", "mesa", "numba", "numpy", "pandas", "pyarrow", "scipy")


def provenance() -> dict[str, Any]:
    """Return versions, digest of the code, commit and machine (no user or host names)."""
    return {
        "code": code_digest(),
        "commit": _commit(),
        "versions": {"python": platform.python_version(), **library_versions(LIBRARIES)},
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu_features": _cpu_features(),
    }


def now() -> str:
    """Return the time as ISO text in UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _commit() -> str:
    """Return the commit of the source tree, with ``+changes`` when it was edited; empty without git."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty=+changes", "--exclude=*"],
            cwd=PACKAGE_ROOT, capture_output=True, text=True, timeout=5, check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return described.stdout.strip() if (PACKAGE_ROOT / ".git").exists() else ""


def _cpu_features() -> str:
    """Return the vector instructions that NumPy found: the part of the machine that may change digits."""
    import numpy as np

    try:
        found = np.show_config(mode="dicts")["SIMD Extensions"]
    except (KeyError, TypeError):
        return ""
    return " ".join([*found.get("baseline", []), *found.get("found", [])])
