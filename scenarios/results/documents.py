"""Answers as JSON: on stdout, and as files that appear whole."""

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["plain", "print_json", "write_json"]


def print_json(value: Any) -> None:
    """Print one JSON document on stdout."""
    json.dump(plain(value), sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
    print()


def plain(value: Any) -> Any:
    """Return `value` with NaN and infinities as null, which is all that JSON can say."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def write_json(path: Path, value: Any) -> None:
    """Write `value` as a JSON file that appears whole or not at all, NaN and infinities as null."""
    from spirals.scenarios.results.store import write_whole

    text = json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(path, f"{text}\n".encode())
