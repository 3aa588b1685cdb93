"""Paths of a study: the exogenous paths that reproduce the bars, solved before the runs that share them.

One path for each replication and each value of the columns named by ``by`` (depth, above all). Paths are results:
each is one file of ``paths/`` in the results folder, named by a digest of everything that it depends on, and it is
used again only when that digest and the content of the file are what they were.
"""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spirals.scenarios.inputs.design import Axis, Range, Setting
from spirals.scenarios.inputs.problems import Problems, suggestion
from spirals.scenarios.results.identity import path_code_digest, run_id
from spirals.scenarios.results.task_driver import Task

if TYPE_CHECKING:
    from spirals.scenarios.calibration.deconvolution import Deconvolution
    from spirals.scenarios.inputs.loader import Inputs
    from spirals.scenarios.inputs.study import Cell
    from spirals.scenarios.results.store import Store

__all__ = [
    "PATH_COLUMNS", "SOLVE_FUNCTION", "PathSearch", "drop_changed", "path_search", "path_settings", "path_tasks",
    "refuse_other_worlds", "solve_path",
]

#: Columns of the table of runs that say how well the path of a run reproduces the bars.
PATH_COLUMNS = ("path_fits", "path_max_residual_bp", "path_median_residual_bp", "path_missed_bars", "path_bars")
SOLVE_FUNCTION = "spirals.scenarios.runs.study_paths:solve_path"
FOLDER = "paths"
PRICES = ("mark", "mid", "last")
BOUNDS: dict[str, tuple[float, float]] = {"tolerance_bp": (0.01, 1000.0), "slack": (0.0, 0.5), "iterations": (1, 100)}


@dataclasses.dataclass(frozen=True)
class PathSearch:
    """How the paths of a study are solved.

    Attributes
    ----------
    by : tuple of str
        Design columns whose value changes the path; all others stand as the scenario states them.
    price : {"mark", "mid", "last"}
        Simulated price held against the bars.
    tolerance_bp : float
        [bp] Largest residual of a bar that counts as met.
    slack : float
        [log] Of the exogenous move beyond the bar's own.
    iterations : int
        Trials per bar and starting shape.
    """

    by: tuple[str, ...]
    price: str = "mark"
    tolerance_bp: float = 20.0
    slack: float = 0.02
    iterations: int = 12

    def options(self) -> dict[str, Any]:
        """Return keywords of :func:`~spirals.scenarios.calibration.deconvolution.deconvolve`."""
        return {"price": self.price, "tolerance": self.tolerance_bp * 1e-4, "slack": self.slack,
                "iterations": self.iterations}


def path_search(table: Mapping[str, Any], axes: Sequence[Axis | Range], problems: Problems) -> PathSearch | None:
    """Read ``[deconvolve]``; None when it is empty or at fault, and every fault goes to `problems`."""
    if not table:
        return None
    before = len(problems)
    known = [field.name for field in dataclasses.fields(PathSearch)]
    for word in sorted(set(table) - set(known)):
        problems.add("unknown key" + suggestion(word, known), ("deconvolve", word), allowed=", ".join(known),
                     given=table[word])
    listed = [axis.name for axis in axes if isinstance(axis, Axis)]
    by = table.get("by", [])
    if not isinstance(by, list):
        problems.add("wrong type", ("deconvolve", "by"), allowed="an array of columns of the design", given=by)
        by = []
    for name in by:
        if name not in listed:
            problems.add("not a listed axis of the design" + suggestion(str(name), listed), ("deconvolve", "by"),
                         allowed=", ".join(listed) or "(the design lists no values)", given=name)
    if table.get("price", "mark") not in PRICES:
        problems.add("unknown word", ("deconvolve", "price"), allowed=", ".join(PRICES), given=table["price"])
    for name, (low, high) in BOUNDS.items():
        value = table.get(name, low)
        if type(value) not in ((int,) if name == "iterations" else (int, float)) or not low <= value <= high:
            problems.add("out of range", ("deconvolve", name), allowed=f"in [{low:g}, {high:g}]", given=value)
    if len(problems) > before:
        return None
    return PathSearch(**{**table, "by": tuple(by)})


def path_settings(axes: Sequence[Axis | Range], columns: Mapping[str, Any]) -> list[Setting]:
    """Return the settings that stand for the labels in `columns` (axis name to label)."""
    return [setting for axis in axes if isinstance(axis, Axis) and axis.name in columns
            for label, settings in axis.values if label == columns[axis.name] for setting in settings]


def refuse_other_worlds(inputs: "Inputs | None", problems: Problems) -> None:
    """Add a problem when the scenario has no bars that a path could reproduce."""
    world = (inputs.tree.get("outside_world") or {}).get("type") if inputs is not None else None
    if world is not None and world != "HistoricalBars":
        problems.add("no bars to reproduce", ("deconvolve",), given=world,
                     allowed="a scenario whose outside_world is HistoricalBars, or no table deconvolve")


def path_tasks(search: PathSearch | None, cells: Sequence["Cell"], folder: Path) -> list[Task]:
    """Return the search for the path of every cell, in their order; cells that share a path get the same task.

    Empty when the study solves no paths.
    """
    found: dict[tuple[int, int], Task] = {}
    if search is None:
        return []
    for cell in cells:
        key = (id(cell.path), cell.seed)
        if key not in found:
            found[key] = _task(search, cell, folder)
    return [found[id(cell.path), cell.seed] for cell in cells]


def _task(search: PathSearch, cell: "Cell", folder: Path) -> Task:
    assert cell.path is not None
    options = search.options()
    identity = run_id(cell.path.tree, cell.path.files(), cell.seed, code=path_code_digest(), extra={"path": options})
    file = f"{FOLDER}/{identity}.csv"
    payload = {"inputs": cell.path.tree, "seed": cell.seed, "options": options,
               "file": str((folder / file).resolve())}
    columns = {**cell.path_columns, "replication": cell.replication, "seed": cell.seed, "path_file": file}
    return Task(identity, payload, columns, (file,))


def solve_path(task: dict[str, Any]) -> dict[str, Any]:
    """Find one path and write its file, which ``FrozenPath`` reads.

    Parameters
    ----------
    task : dict
        ``inputs`` (resolved), ``seed``, ``options`` of the search, ``file`` to write.

    Returns
    -------
    dict
        :data:`PATH_COLUMNS`, ``path_reason`` (why no path fits) and ``path_digest`` (of the file).
    """
    from spirals.scenarios.calibration.deconvolution import deconvolve
    from spirals.scenarios.inputs.loader import Inputs, build_scenario
    from spirals.scenarios.results.store import write_whole
    from spirals.simulation.market.frozen_path import path_text

    found = deconvolve(build_scenario(Inputs(task["inputs"])), seed=task["seed"], **task["options"])
    content = path_text({"price": found.exogenous[:, 0]}, found.record.step_seconds, found.opening_seconds).encode()
    write_whole(Path(task["file"]), content)
    return {**_verdict(found), "path_reason": found.reason, "path_digest": _digest(content)}


def drop_changed(tasks: Sequence[Task], store: "Store") -> None:
    """Remove files of paths whose content is no longer what the search wrote, so that they are solved again."""
    rows = store.rows()
    for task in tasks:
        file, row = store.folder / task.files[0], rows.get(task.run_id)
        if row is not None and file.is_file() and _digest(file.read_bytes()) != row.get("path_digest"):
            file.unlink()


def _verdict(found: "Deconvolution") -> dict[str, Any]:
    values = (found.converged, found.max_residual_bp, found.median_residual_bp, found.missed, len(found.verdicts))
    return dict(zip(PATH_COLUMNS, values, strict=True))


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=10).hexdigest()
