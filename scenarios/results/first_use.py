"""Say so on screen when the first use of a version has to compile."""

import contextlib
import logging
import time
from collections.abc import Iterator

from spirals.scenarios.results.identity import code_digest

__all__ = ["announced"]

log = logging.getLogger("spirals")


@contextlib.contextmanager
def announced() -> Iterator[None]:
    """Announce that compiled code is not cached yet, and remember it when the block was left normally."""
    from spirals.simulation.kernel import cache_base

    marker = cache_base() / f"compiled-{code_digest()}"
    if marker.exists():
        yield
        return
    log.warning("first use of this version: compiling, up to a minute")
    started = time.perf_counter()
    yield
    log.info("compiled in %.0f s", time.perf_counter() - started)
    with contextlib.suppress(OSError):
        marker.touch()
