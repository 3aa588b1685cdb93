"""Run a study: its cells become tasks, the driver brings them to their end, the folder tells the story."""

import contextlib
import dataclasses
import hashlib
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spirals.scenarios.design import Range
from spirals.scenarios.identity import code_digest, run_id
from spirals.scenarios.manifest import now, provenance
from spirals.scenarios.store import Store
from spirals.scenarios.study import Cell, Study, load_study, study_cells
from spirals.scenarios.task_driver import Counts, Task, finished_rows, run_tasks
from spirals.scenarios.workers import PoolFactory, process_pool
from spirals.simulation.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SEEDING", "SweepResult", "available_cores", "study_tasks", "sweep_study"]

SEEDING = "the seed of a run depends on (root seed, replication) only: common random numbers at all points"
CELL_FUNCTION = "spirals.scenarios.one_run:run_cell"
WARM_STEPS = 3
log = logging.getLogger("spirals")


@dataclasses.dataclass(frozen=True)
class SweepResult:
    """Table of runs (see :mod:`spirals.scenarios.tables`), its digest, counts, and the folder that holds them."""

    table: "pd.DataFrame"
    digest: str
    counts: Counts
    folder: Path


def sweep_study(
    study: Study | str | Path,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    *,
    workers: int | None = None,
    folder: str | Path | None = None,
    progress: bool = True,
    pool_factory: PoolFactory = process_pool,
) -> SweepResult:
    """Run every point and replication of a study, continuing where an earlier sweep stopped.

    Parameters
    ----------
    study : Study, str or Path
        A study, or what :func:`~spirals.scenarios.study.load_study` takes.
    overrides : sequence of "PATH=VALUE", or mapping of path to value
        Replaced inputs, the same at every point.
    workers : int, optional
        Number of processes; by default the cores that this process may use.
    folder : str or Path, optional
        Results folder; by default ``results/<name>``.
    progress : bool
        Show a bar on stderr when it takes longer than two seconds.

    Raises
    ------
    InputError
        Bad inputs, or a folder of another study or without write permission; nothing is overwritten.
    KeyboardInterrupt
        Interrupted; everything finished is kept.
    """
    workers = available_cores() if workers is None else workers
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise InputError([f"workers must be a whole number of at least 1, was {workers!r}"])
    if not isinstance(study, Study):
        study = load_study(study)
    cells = study_cells(study, overrides, allow_code=True)
    lines = override_lines(overrides)
    target = Path(folder) if folder is not None else default_folder(study.name, lines)
    with Store(target, {"kind": "study", "name": study.name, "overrides": lines}) as store:
        tasks = study_tasks(study, cells, target)
        manifest = _manifest(study, cells)
        compile_first(cells, tasks, store)
        return _swept(study, tasks, store, manifest, workers, progress, pool_factory)


def study_tasks(study: Study, cells: Sequence[Cell], folder: Path) -> list[Task]:
    """Return one task per cell, with its identity, its payload and its columns."""
    code = code_digest()
    extra = {"twins": list(study.twins), "tables": list(study.tables)}
    files: dict[int, dict[str, str]] = {}
    tasks = []
    for cell in cells:
        point = id(cell.inputs)  # one record per point, shared by its replications
        if point not in files:
            files[point] = cell.inputs.files()
        identity = run_id(cell.inputs.tree, files[point], cell.seed, code=code, extra=extra)
        payload = {"inputs": cell.inputs.tree, "seed": cell.seed, "run_id": identity,
                   "folder": str(folder.resolve()), **extra}
        columns = {"scenario": cell.inputs.name, **cell.columns, "replication": cell.replication, "seed": cell.seed}
        tasks.append(Task(identity, payload, columns, tuple(f"{name}/{identity}.parquet" for name in study.tables)))
    return tasks


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def override_lines(overrides: Sequence[str] | Mapping[str, Any]) -> list[str]:
    """Return overrides as sorted ``PATH=VALUE`` lines, which name the owner of a folder."""
    if isinstance(overrides, Mapping):
        return sorted(f"{path}={value}" for path, value in overrides.items())
    return sorted(overrides)


def default_folder(name: str, overrides: Sequence[str]) -> Path:
    """Return ``results/<name>``, with a short digest when inputs were overridden."""
    ending = "-" + hashlib.blake2b("\n".join(overrides).encode(), digest_size=3).hexdigest() if overrides else ""
    return Path("results") / f"{name}{ending}"


def _swept(
    study: Study,
    tasks: Sequence[Task],
    store: Store,
    manifest: dict[str, Any],
    workers: int,
    progress: bool,
    pool_factory: PoolFactory,
) -> SweepResult:
    from spirals.scenarios.tables import run_table, table_digest

    store.write_manifest({**manifest, "status": "running"})
    try:
        rows, counts = run_tasks(tasks, CELL_FUNCTION, store, workers=workers, pool_factory=pool_factory,
                                 progress=progress)
    except BaseException:
        finished = store.rows()
        rows = [finished[task.run_id] for task in tasks if task.run_id in finished]
        store.write_runs(rows, study.columns)
        store.write_manifest({**manifest, "status": "interrupted", "finished": now(), "runs": {"stored": len(rows)}})
        raise
    store.write_runs(rows, study.columns)
    table = run_table(rows, study.columns)
    digest = table_digest(table)
    store.write_manifest({**manifest, "status": "failed" if counts.failed else "done", "finished": now(),
                          "table_digest": digest, "runs": dataclasses.asdict(counts)})
    return SweepResult(table, digest, counts, store.folder)


def compile_first(cells: Sequence[Cell], tasks: Sequence[Task], store: Store) -> None:
    """Compile in this process before the pool starts, and meet faults of the user's files here."""
    from spirals.scenarios.first_use import announced
    from spirals.scenarios.loader import Inputs, build_scenario
    from spirals.scenarios.one_run import run_scenario

    known = finished_rows(tasks, store)
    missing = [place for place, task in enumerate(tasks) if task.run_id not in known]
    if not missing:
        return
    cell = cells[missing[0]]
    with announced():
        scenario = build_scenario(Inputs(cell.inputs.tree))
        try:
            with contextlib.redirect_stdout(sys.stderr):
                run_scenario(scenario, cell.seed, twins=tasks[0].payload["twins"],
                             steps=min(WARM_STEPS, scenario.steps))
        except RuntimeError:  # a fault during the run belongs to that run; the others go on
            log.debug("the first run failed", exc_info=True)


def _manifest(study: Study, cells: Sequence[Cell]) -> dict[str, Any]:
    first = cells[0].inputs
    points = study.design()
    levels = {name: list(dict.fromkeys(point.columns[name] for point in points if name in point.columns))
              for name in study.columns}
    stated = {key: value for key, value in dataclasses.asdict(study).items() if key != "folder"}
    return {
        **{key: stated[key] for key in ("title", "summary", "lever", "conditional_on", "left_out", "outcomes")},
        "scenario": first.name,
        "design": levels,
        "sampled": [axis.name for axis in study.axes() if isinstance(axis, Range)],
        "points": [{"columns": point.columns, "settings": dict(point.settings)} for point in points],
        "replications": study.replications,
        "twins": list(study.twins),
        "root_seed": study.seed,
        "seeding": SEEDING,
        "seeds": list(dict.fromkeys(cell.seed for cell in cells)),
        "inputs": {"scenario": first.tree, "study": stated},
        "files": first.files(),
        "started": now(),
        **provenance(),
    }
