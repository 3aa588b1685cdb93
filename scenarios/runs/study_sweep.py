"""Run a study: its cells become tasks, the driver brings them to their end, the folder tells the story."""

import dataclasses
import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spirals.scenarios.analysis.policy_traits import policy_traits
from spirals.scenarios.inputs.design import Range
from spirals.scenarios.inputs.study import Cell, Study, load_study, study_cells
from spirals.scenarios.results.identity import code_digest, run_id
from spirals.scenarios.results.manifest import now, provenance
from spirals.scenarios.results.store import Store
from spirals.scenarios.results.task_driver import Counts, Task, finished_rows, run_tasks
from spirals.scenarios.results.workers import PoolFactory, available_cores, process_pool
from spirals.scenarios.runs.parts import RUN
from spirals.scenarios.runs.study_paths import PATH_COLUMNS, SOLVE_FUNCTION, drop_changed, path_tasks
from spirals.scenarios.runs.warm import compile_now
from spirals.simulation.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SEEDING", "SweepResult", "study_tasks", "sweep_study"]

SEEDING = "the seed of a run depends on (root seed, replication) only: common random numbers at all points"
CELL_FUNCTION = RUN


@dataclasses.dataclass(frozen=True)
class SweepResult:
    """Table of runs (:mod:`spirals.scenarios.results.tables`), digest, counts, the folder that holds it, and time.

    `seconds` is the wall time of this sweep [s], whatever an earlier one had already done; `workers` its processes.
    """

    table: "pd.DataFrame"
    digest: str
    counts: Counts
    folder: Path
    seconds: float
    workers: int


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
        A study, or what :func:`~spirals.scenarios.inputs.study.load_study` takes.
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
    _refuse_channels(study, cells)
    lines = override_lines(overrides)
    target = Path(folder) if folder is not None else default_folder(study.name, lines)
    started = time.perf_counter()
    with Store(target, {"kind": "study", "name": study.name, "overrides": lines}) as store:
        tasks = study_tasks(study, cells, target)
        manifest = _manifest(study, cells)
        compile_first(cells, tasks, store)
        running = {"workers": workers, "pool_factory": pool_factory, "progress": progress}
        result = _swept(study, cells, tasks, store, manifest, running)
    return dataclasses.replace(result, seconds=time.perf_counter() - started)


def _refuse_channels(study: Study, cells: Sequence[Cell]) -> None:
    """Meet channels that a point of the design lacks before anything is run."""
    from spirals.scenarios.inputs.loader import Inputs, build_scenario
    from spirals.scenarios.runs.channels import check_channels

    found: dict[str, None] = {}
    for inputs in {id(cell.inputs): cell.inputs for cell in cells if study.attribution}.values():
        found |= dict.fromkeys(check_channels(build_scenario(Inputs(inputs.tree)), study.attribution))
    if found:
        raise InputError(list(found))


def study_tasks(study: Study, cells: Sequence[Cell], folder: Path) -> list[Task]:
    """Return one task per cell, with its identity, its payload and its columns."""
    code, search = code_digest(), study.path_search()
    extra = {"twins": list(study.twins), "tables": list(study.tables)}
    if study.attribution:
        extra["attribution"] = list(study.attribution)
    files: dict[int, dict[str, str]] = {}
    tasks = []
    paths: Sequence[Task | None] = path_tasks(search, cells, folder) or [None] * len(cells)
    for cell, path in zip(cells, paths, strict=True):
        point = id(cell.inputs)  # one record per point, shared by its replications
        if point not in files:
            files[point] = cell.inputs.files()
        also = {"path": path.run_id} if path is not None else {}
        identity = run_id(cell.inputs.tree, files[point], cell.seed, code=code, extra={**extra, **also})
        payload = {"inputs": cell.inputs.tree, "seed": cell.seed, "run_id": identity,
                   "folder": str(folder.resolve()), **extra}
        if path is not None:
            payload["path"] = path.payload["file"]
        columns = {"scenario": cell.inputs.name, **cell.columns, "replication": cell.replication, "seed": cell.seed}
        tasks.append(Task(identity, payload, columns, tuple(f"{name}/{identity}.parquet" for name in study.tables)))
    return tasks


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
    cells: Sequence[Cell],
    tasks: Sequence[Task],
    store: Store,
    manifest: dict[str, Any],
    running: dict[str, Any],
) -> SweepResult:
    from spirals.scenarios.results.tables import run_table, table_digest

    store.write_manifest({**manifest, "status": "running"})
    try:
        paths, tasks = _with_paths(study, cells, tasks, store, running)
        if paths:
            manifest["paths"] = paths
            store.write_manifest({**manifest, "status": "running"})
        rows, counts = run_tasks(tasks, CELL_FUNCTION, store, **running)
    except BaseException:
        finished = store.rows()
        rows = [{**finished[task.run_id], **task.columns} for task in tasks if task.run_id in finished]
        store.write_runs(rows, study.columns)
        store.write_manifest({**manifest, "status": "interrupted", "finished": now(), "runs": {"stored": len(rows)}})
        raise
    store.write_runs(rows, study.columns)
    table = run_table(rows, study.columns)
    digest = table_digest(table)
    store.write_manifest({**manifest, "status": "failed" if counts.failed else "done", "finished": now(),
                          "table_digest": digest, "runs": dataclasses.asdict(counts)})
    return SweepResult(table, digest, counts, store.folder, 0.0, running["workers"])


def _with_paths(
    study: Study, cells: Sequence[Cell], tasks: Sequence[Task], store: Store, running: dict[str, Any]
) -> tuple[list[dict[str, Any]], list[Task]]:
    """Solve the paths of a study; return their rows, and the tasks of its runs with how well their path fits."""
    search = study.path_search()
    if search is None:
        return [], list(tasks)
    searches = path_tasks(search, cells, store.folder)
    needed = list({task.run_id: task for task in searches}.values())
    drop_changed(needed, store)
    rows, _ = run_tasks(needed, SOLVE_FUNCTION, store, **running, unit="path")
    found = {row["run_id"]: row for row in rows}
    shown = []
    for task, asked in zip(tasks, searches, strict=True):
        row = found[asked.run_id]
        fit = {name: row.get(name) for name in PATH_COLUMNS} | {"path_fits": bool(row.get("path_fits"))}
        shown.append(dataclasses.replace(task, columns={**task.columns, **fit}))
    left_out = ("attempts", "host", "traceback")
    return [{key: value for key, value in row.items() if key not in left_out} for row in rows], shown


def compile_first(cells: Sequence[Cell], tasks: Sequence[Task], store: Store) -> None:
    """Compile in this process where anything is left to do."""
    known = finished_rows(tasks, store)
    missing = [cell for cell, task in zip(cells, tasks, strict=True) if task.run_id not in known]
    if missing:
        compile_now(missing[0].inputs, missing[0].seed, tasks[0].payload["twins"])


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
        "policies": policy_traits(cells),
        "replications": study.replications,
        "twins": list(study.twins),
        "attribution": list(study.attribution),
        "root_seed": study.seed,
        "seeding": SEEDING,
        "seeds": list(dict.fromkeys(cell.seed for cell in cells)),
        "inputs": {"scenario": first.tree, "study": stated},
        "files": first.files(),
        "started": now(),
        **provenance(),
    }
