"""A toy part for the tests of kept answers."""

import math
from pathlib import Path


def part(task):
    """Note that it was made in a file, then return its double; fail, be interrupted or say NaN where asked."""
    with Path(task["made"]).open("a", encoding="utf-8") as stream:
        stream.write(f"{task['x']}\n")
    if task["x"] == task.get("fails"):
        raise ValueError("three is too much")
    if task["x"] == task.get("interrupted"):
        raise KeyboardInterrupt
    return {"double": 2.0 * task["x"], "nothing": math.nan}
