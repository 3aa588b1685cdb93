"""``spirals report``: one self-contained HTML page from the files of a study or of a run.

Only manifest and tables are read; code that they name is never imported.
"""

import json
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spirals.simulation.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["REPORT_FILE", "SCHEMA_VERSION", "SUMMARY_FILE", "write_report", "write_summary"]

REPORT_FILE = "report.html"
SUMMARY_FILE = "summary.html"
SCHEMA_VERSION = 1


def write_report(directory: Path | str, out: Path | str | None = None) -> Path:
    """Write the report of a results folder and return its path.

    Parameters
    ----------
    directory : path
        A study (``manifest.json`` and ``runs.parquet``) or a run (``run.json``, ``steps.parquet``,
        ``totals.parquet``, and twins as ``twin_<name>_steps.parquet``).
    out : path, optional
        File to write; ``report.html`` in the folder without it. It appears whole or not at all.

    Raises
    ------
    InputError
        The folder holds neither a study nor a run, a file cannot be read, or it is of a newer version.
    OSError
        The report cannot be written.
    """
    directory = Path(directory)
    if (directory / "manifest.json").is_file():
        text = _study(directory)
    elif (directory / "run.json").is_file():
        text = _run(directory)
    else:
        raise InputError([f"no results: {directory}, allowed a folder with manifest.json (study) or run.json (run)"])
    target = Path(out) if out is not None else directory / REPORT_FILE
    _write_whole(target, text)
    return target


def write_summary(directories: Sequence[Path | str], out: Path | str | None = None) -> Path:
    """Write one report over several studies of policies and return its path.

    Parameters
    ----------
    directories : sequence of path
        Results folders of studies with a column ``policy``, one for each event.
    out : path, optional
        File to write; ``summary.html`` beside the first folder without it.

    Raises
    ------
    InputError
        A folder holds no study of policies, or what :func:`write_report` refuses.
    """
    from spirals.scenarios.analysis.policy_effects import policy_runs
    from spirals.scenarios.reports.summary import summary_page

    folders = [Path(directory) for directory in directories]
    missing = [folder for folder in folders if not (folder / "manifest.json").is_file()]
    if missing:
        raise InputError([f"no study: {folder}, allowed a folder with manifest.json" for folder in missing])
    studies = [_read_study(folder) for folder in folders]
    others = [folder for folder, study in zip(folders, studies, strict=True) if policy_runs([study]) is None]
    if others:
        raise InputError([f"no study of policies: {folder}, allowed for a summary: studies with a column policy whose "
                          "values differ in pi" for folder in others])
    events = [str(manifest.get("scenario") or manifest.get("name")) for manifest, _ in studies]
    twice = [(folder, event) for k, (folder, event) in enumerate(zip(folders, events, strict=True))
             if event in events[:k]]
    if twice:
        raise InputError([f"two studies of one event: {folder} is of {event} as well, allowed for a summary: one study "
                          "for each event" for folder, event in twice])
    target = Path(out) if out is not None else folders[0].resolve().parent / SUMMARY_FILE
    names = [os.path.relpath(folder, target.resolve().parent) for folder in folders]
    _write_whole(target, summary_page(studies, names))
    return target


def _study(directory: Path) -> str:
    from spirals.scenarios.reports.study import study_page

    return study_page(*_read_study(directory))


def _read_study(directory: Path) -> "tuple[dict[str, Any], pd.DataFrame]":
    import pandas as pd

    manifest = _read_json(directory / "manifest.json")
    table = directory / "runs.parquet"
    if not table.is_file():
        raise InputError([f"no runs yet: {table} does not exist; the sweep writes it"])
    try:
        runs = pd.read_parquet(table)
    except (OSError, ValueError) as error:
        raise InputError([f"cannot read {table}: {error}"]) from error
    return manifest, runs


def _run(directory: Path) -> str:
    from spirals.scenarios.reports.run import run_page
    from spirals.scenarios.results.run_tables import read_run_tables

    run = _read_json(directory / "run.json")
    try:
        tables = read_run_tables(directory)
        twins = {name: read_run_tables(directory, prefix) for name, prefix in _twins(directory)}
    except (OSError, ValueError) as error:
        raise InputError([f"cannot read the tables of {directory}: {error}"]) from error
    return run_page(run, tables, twins)


def _twins(directory: Path) -> list[tuple[str, str]]:
    """Return name and file prefix of every twin: ``twin_T1_steps.parquet`` -> ("T1", "twin_T1_")."""
    found = []
    for path in sorted(directory.glob("twin_*steps.parquet")):
        match = re.fullmatch(r"twin_(?:(\w+)_)?steps\.parquet", path.name)
        if match:
            found.append((match.group(1) or "T1", path.name.removesuffix("steps.parquet")))
    return found


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError([f"cannot read {path}: {error}"]) from error
    if not isinstance(content, dict):
        raise InputError([f"wrong content: {path}, allowed a JSON object"])
    version = content.get("schema_version", SCHEMA_VERSION)
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise InputError([f"schema_version: {path}, allowed at most {SCHEMA_VERSION}, was {version!r}"])
    return content


def _write_whole(target: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
