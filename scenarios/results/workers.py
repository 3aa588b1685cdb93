"""The processes that do the runs: a factory of pools, the task that they execute, their end.

A pool is disposable: one dead process breaks all of it, so the driver asks the factory for the next.
Every process watches its parent and ends with it, otherwise a killed driver leaves orphans behind.
"""

import contextlib
import importlib
import multiprocessing
import os
import platform
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from typing import Any

__all__ = ["PoolFactory", "SameProcess", "available_cores", "end_children", "execute", "ping", "process_pool"]

PoolFactory = Callable[[int], Executor]


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def process_pool(workers: int) -> ProcessPoolExecutor:
    """Return a pool of fresh processes of this machine (never a fork of this one).

    ``max_tasks_per_child`` is deliberately not used: it deadlocks on Python 3.11 to 3.13
    (python/cpython#115634).
    """
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=start_watchdog)


class SameProcess(Executor):
    """The pool of one worker that needs no process of its own: a call has ended when it is submitted."""

    def __init__(self, workers: int = 1) -> None:
        del workers

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        future.set_result(function(*arguments, **keywords))
        return future


def start_watchdog() -> None:
    """Make this process end when its parent ends, and leave Ctrl-C to the driver."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, name="parent-watchdog", daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def ping() -> int:
    """Return the process number: shows that a pool can start at all."""
    return os.getpid()


def execute(function: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Call ``"package.module:function"`` with the payload and return its result with status and time.

    An ordinary exception becomes a failed result that keeps its traceback.
    """
    started = time.perf_counter()
    try:
        module, _, name = function.partition(":")
        with contextlib.redirect_stdout(sys.stderr):  # the output of the command may be one JSON document
            found = getattr(importlib.import_module(module), name)(payload)
        result = dict(found, status="done", error="", traceback="")
    except (Exception, SystemExit) as error:
        lines = " ".join(str(error).split())
        result = {"status": "failed", "error": f"{type(error).__name__}: {lines}", "traceback": traceback.format_exc()}
    return {**result, "seconds": time.perf_counter() - started, "host": platform.node()}


def end_children(spared: set[int]) -> None:
    """Kill the child processes of this process other than those in `spared` (process numbers)."""
    for child in multiprocessing.active_children():
        if child.pid not in spared:
            child.kill()
