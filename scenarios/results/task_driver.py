"""Task driver: bring a list of runs to their end on several processes, whatever dies on the way.

Finished runs are in the journal before the next is taken up, so a killed sweep continues where it
stopped and ends with the same table. When a process dies, the runs that were in flight are suspects:
they are repeated one at a time in a pool of one, and a run that keeps killing its process is marked
``failed`` while the others go on.
"""

import contextlib
import dataclasses
import logging
import multiprocessing
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from typing import Any

from spirals.scenarios.results.progress import progress_bar
from spirals.scenarios.results.store import Store
from spirals.scenarios.results.workers import PoolFactory, end_children, execute, ping, process_pool

__all__ = ["ATTEMPTS", "Counts", "Task", "TaskDriver", "finished_rows", "run_tasks"]

ATTEMPTS = 3
log = logging.getLogger("spirals")


@dataclasses.dataclass(frozen=True)
class Task:
    """One run to do.

    Attributes
    ----------
    run_id : str
        Identity: a row of the journal with the same id is taken over instead of repeated.
    payload : dict
        Argument of the function; plain data.
    columns : dict
        Design columns of the row, e.g. levers, replication and seed.
    files : tuple of str
        Files that the run writes into the results folder; while one is missing it counts as not done.
    """

    run_id: str
    payload: dict[str, Any]
    columns: dict[str, Any] = dataclasses.field(default_factory=dict)
    files: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Counts:
    """How a sweep ended, in runs."""

    done: int
    failed: int
    reused: int


def run_tasks(
    tasks: Sequence[Task],
    function: str,
    store: Store,
    *,
    workers: int,
    pool_factory: PoolFactory = process_pool,
    progress: bool = True,
    unit: str = "run",
) -> tuple[list[dict[str, Any]], Counts]:
    """Run what the store does not hold yet and return the rows of all tasks.

    Parameters
    ----------
    tasks : sequence of Task
    function : str
        ``"package.module:name"`` of a function from payload to a dict of outcomes; must give the
        same result whenever it is called with the same payload.
    store : Store
        Keeps every finished run.
    workers : int
        Number of processes, at least 1.
    pool_factory : callable
        Returns a new ``concurrent.futures`` executor of the given size.
    progress : bool
        Show a bar on stderr when it takes longer than two seconds.
    unit : str
        What one task is called there.

    Raises
    ------
    KeyboardInterrupt
        Interrupted; everything finished is in the store and no process is left.
    """
    with TaskDriver(store, workers, pool_factory) as driver:
        return driver.run(tasks, function, progress=progress, unit=unit)


def finished_rows(tasks: Iterable[Task], store: Store) -> dict[str, dict[str, Any]]:
    """Return the rows of the tasks that need not be repeated, by run id."""
    done = {run_id: row for run_id, row in store.rows().items() if row.get("status") == "done"}
    whole = [task for task in tasks if all((store.folder / name).is_file() for name in task.files)]
    return {task.run_id: done[task.run_id] for task in whole if task.run_id in done}


class TaskDriver:
    """Feeds one pool and collects rows; never more in flight than is needed to keep it busy.

    A context manager: the processes stay for the next list of tasks until it is left.

    Parameters
    ----------
    store : Store
    workers : int
    pool_factory : callable
    """

    def __init__(self, store: Store, workers: int, pool_factory: PoolFactory = process_pool) -> None:
        self.store, self.workers, self.pool_factory = store, workers, pool_factory
        self.attempts: Counter[str] = Counter()
        self.pool: Executor | None = None
        self.spared = {child.pid for child in multiprocessing.active_children() if child.pid}

    def __enter__(self) -> "TaskDriver":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            end_children(self.spared)
        self._drop_pool(wait_for_end=True)

    def run(
        self, tasks: Sequence[Task], function: str, *, progress: bool = True, unit: str = "run",
        told: Callable[[int], Any] | None = None,
    ) -> tuple[list[dict[str, Any]], Counts]:
        """Return the rows of all tasks in their order, as :func:`run_tasks`; with `told`, no bar of its own."""
        known = finished_rows(tasks, self.store)
        missing = list({task.run_id: task for task in tasks if task.run_id not in known}.values())
        reused = sum(task.run_id in known for task in tasks)
        rows = {task.run_id: known[task.run_id] for task in tasks if task.run_id in known}
        if told is None:
            if reused:
                log.info("%d of %d %ss are already done", reused, len(tasks), unit)
            bar: Any = progress_bar(reused + len(missing), reused, unit, progress)
        else:
            told(reused)
            bar = contextlib.nullcontext(told)
        with bar as advance, contextlib.closing(self._results(missing, function)) as results:
            for row in results:
                rows[row["run_id"]] = row
                advance(1)
        ordered = [{**rows[task.run_id], **task.columns} for task in tasks]
        failed = sum(row["status"] != "done" for row in ordered)
        return ordered, Counts(len(ordered) - failed, failed, reused)

    def _results(self, tasks: Iterable[Task], function: str) -> Generator[dict[str, Any], None, None]:
        """Yield the row of every task as it is finished and stored."""
        waiting = deque(tasks)
        if waiting and self.pool is None:
            _check_start(self.pool_factory)
        running: dict[Future[dict[str, Any]], Task] = {}
        while waiting or running:
            self._fill(waiting, running, function)
            suspects = yield from self._collect(running)
            if suspects:
                self._drop_pool()
                for task in suspects:
                    yield self._alone(task, function)

    def _fill(
        self, waiting: deque[Task], running: dict[Future[dict[str, Any]], Task], function: str
    ) -> None:
        if self.pool is None:
            self.pool = self.pool_factory(self.workers)
        while waiting and len(running) < 2 * self.workers and not any(future.done() for future in running):
            try:
                future = self.pool.submit(execute, function, waiting[0].payload)
            except BrokenExecutor:
                if not running:
                    self._drop_pool()
                return
            running[future] = waiting.popleft()

    def _collect(self, running: dict[Future[dict[str, Any]], Task]) -> Generator[dict[str, Any], None, list[Task]]:
        """Yield finished rows; return the tasks of a pool that broke."""
        suspects: list[Task] = []
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        if any(isinstance(future.exception(), BrokenExecutor) for future in finished):
            finished, _ = wait(running)
        for future in finished:
            task = running.pop(future)
            self.attempts[task.run_id] += 1
            if isinstance(future.exception(), BrokenExecutor):
                suspects.append(task)
            else:
                yield self._stored(task, future.result())
        return suspects

    def _alone(self, task: Task, function: str) -> dict[str, Any]:
        """Run a suspect in a pool of one until it succeeds or has used up its attempts."""
        log.warning("a process died; repeating run %s on its own", task.run_id)
        while self.attempts[task.run_id] < ATTEMPTS:
            self.attempts[task.run_id] += 1
            pool = self.pool_factory(1)
            try:
                result = pool.submit(execute, function, task.payload).result()
                return self._stored(task, result)
            except BrokenExecutor:
                continue
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        error = f"the process died {ATTEMPTS} times during this run"
        return self._stored(task, {"status": "failed", "error": error, "traceback": "", "seconds": 0.0, "host": ""})

    def _stored(self, task: Task, result: Mapping[str, Any]) -> dict[str, Any]:
        row = {"run_id": task.run_id, **task.columns, **result, "attempts": self.attempts[task.run_id]}
        self.store.append(row)
        if row["status"] != "done":
            log.error("run %s failed: %s", task.run_id, row["error"])
        return row

    def _drop_pool(self, wait_for_end: bool = False) -> None:
        if self.pool is not None:
            self.pool.shutdown(wait=wait_for_end, cancel_futures=True)
            self.pool = None


def _check_start(pool_factory: PoolFactory) -> None:
    """Raise when no process can start at all, which is no fault of any run."""
    pool = pool_factory(1)
    try:
        pool.submit(ping).result()
    except BrokenExecutor:
        raise RuntimeError(
            "worker processes cannot start; a script that calls sweep() must do so below "
            "`if __name__ == '__main__':`, because every worker imports the script"
        ) from None
    finally:
        pool.shutdown(wait=False)
