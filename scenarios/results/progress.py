"""Progress bar on stderr, only for work that takes longer than two seconds."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["progress_bar"]

QUIET_SECONDS = 2.0


@contextlib.contextmanager
def progress_bar(total: int, done: int, unit: str, shown: bool) -> Iterator[Callable[[int], Any]]:
    """Yield the function that moves the bar on by a number of units."""
    if not shown:   # a bar that is only disabled holds a semaphore, which a killed worker would leave behind
        yield lambda count: None
        return
    from tqdm import tqdm

    with tqdm(total=total, initial=done, desc=f"{unit}s", unit=unit, delay=QUIET_SECONDS, file=sys.stderr,
              dynamic_ncols=True) as bar:
        yield bar.update
