"""Store: the folder that a sweep writes, made so that a kill at any moment loses at most the runs in flight.

Every finished run is one line of ``journal.jsonl``, on the disk before the next is taken up; a torn last
line is skipped. ``runs.parquet`` and ``manifest.json`` are written whole and then renamed. One driver at
a time holds the lock, which the system releases when the driver dies.
"""

import contextlib
import json
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from spirals.scenarios.results.documents import plain
from spirals.simulation.errors import InputError

try:
    import fcntl
except ImportError:  # not on Windows, where two drivers are not kept apart
    fcntl = None  # type: ignore[assignment]

__all__ = ["RESULTS_SCHEMA", "RUN_MANIFEST", "Store", "read_manifest", "write_whole"]

RESULTS_SCHEMA = 1
JOURNAL, LOCK, RUNS = "journal.jsonl", ".lock", "runs.parquet"
MANIFEST, RUN_MANIFEST = "manifest.json", "run.json"
OWN_FILES = {JOURNAL, LOCK}
log = logging.getLogger("spirals")


class Store:
    """One results folder, opened for one owner.

    Parameters
    ----------
    folder : Path
        Made when missing.
    manifest_name : str
        ``manifest.json``, or ``run.json`` for a single run.
    owner : mapping
        What the folder belongs to, e.g. ``{"kind": "study", "name": "procyclicality"}``. A folder of
        another owner is refused and left as it is.

    Raises
    ------
    InputError
        Another owner, a newer schema, other files, no folder, not writable, or another driver at work.
    """

    def __init__(self, folder: Path, owner: Mapping[str, Any], manifest_name: str = MANIFEST) -> None:
        self.folder = Path(folder)
        self.manifest_name = manifest_name
        self.owner = dict(owner)
        self._journal: IO[bytes] | None = None
        self._refuse_foreign()
        self._lock = self._locked()
        try:
            self._remove_torn()
            self._journal = self._open_journal()
        except OSError as error:
            self.close()
            raise InputError([_cannot("write to the results folder", error, self.folder)]) from None

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the folder."""
        for stream in (self._journal, self._lock):
            if stream is not None:
                stream.close()
        self._journal = None

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return the last journal row of every run id."""
        found = {}
        for line in (self.folder / JOURNAL).read_bytes().splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                row = json.loads(line)
                found[row["run_id"]] = row
        return found

    def append(self, row: Mapping[str, Any]) -> None:
        """Add one finished run; it is on the disk when this returns."""
        if self._journal is None:
            raise ValueError("the store is closed")
        self._journal.write(json.dumps(plain(dict(row)), ensure_ascii=False).encode() + b"\n")
        self._journal.flush()
        os.fsync(self._journal.fileno())

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest whole, with the owner and the schema version."""
        full = {"schema_version": RESULTS_SCHEMA, **self.owner, **plain(dict(manifest))}
        text = json.dumps(full, indent=2, ensure_ascii=False, allow_nan=False)
        write_whole(self.folder / self.manifest_name, text.encode() + b"\n")

    def write_runs(self, rows: Iterable[Mapping[str, Any]], first_columns: Iterable[str] = ()) -> None:
        """Write ``runs.parquet`` whole: one row per run, sorted by run id."""
        from spirals.scenarios.results.tables import parquet_bytes, run_table

        write_whole(self.folder / RUNS, parquet_bytes(run_table(rows, first_columns), RESULTS_SCHEMA))

    def _refuse_foreign(self) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError([f"results folder is a file; allowed: a new folder or one of the same inputs; "
                              f"given: {str(self.folder)!r}"])
        manifest = read_manifest(self.folder)
        if manifest is None:
            others = sorted({path.name for path in self.folder.glob("*")} - OWN_FILES) if self.folder.exists() else []
            if [name for name in others if not name.startswith(".")]:
                raise InputError([f"results folder holds other files ({', '.join(others[:3])}) and no manifest; "
                                  f"allowed: a new folder or one of the same inputs; given: {str(self.folder)!r}"])
            return
        theirs = {key: manifest.get(key) for key in self.owner}
        if theirs != self.owner:
            raise InputError([f"results folder belongs to {_named(theirs)}, not to {_named(self.owner)}; allowed: "
                              f"a new folder (--out DIR) or one of the same inputs; given: {str(self.folder)!r}"])

    def _locked(self) -> IO[bytes]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            stream = (self.folder / LOCK).open("a+b")
        except OSError as error:
            raise InputError([_cannot("write to the results folder", error, self.folder)]) from None
        if fcntl is not None:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stream.seek(0)
                holder = stream.read().decode(errors="replace").strip()
                stream.close()
                raise InputError([f"another command (process {holder or 'unknown'}) is writing the results folder; "
                                  f"allowed: one at a time; given: {str(self.folder)!r}"]) from None
            except OSError as error:
                log.warning("no lock on %s (%s): run only one command there", self.folder, error.strerror)
        stream.truncate(0)
        stream.write(str(os.getpid()).encode())
        stream.flush()
        return stream

    def _open_journal(self) -> IO[bytes]:
        stream = (self.folder / JOURNAL).open("a+b")
        if stream.tell() > 0:
            stream.seek(-1, os.SEEK_END)
            if stream.read(1) != b"\n":  # torn by a kill: the rest of that line must not swallow the next
                stream.write(b"\n")
        return stream

    def _remove_torn(self) -> None:
        """Delete half-written files of earlier drivers; holding the lock, nobody else is writing."""
        for path in self.folder.rglob(".*.tmp"):
            path.unlink(missing_ok=True)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a results folder (of a study or a run), None when it has none.

    Raises
    ------
    InputError
        It cannot be read, or was written by a newer version of the package.
    """
    path = next((path for name in (MANIFEST, RUN_MANIFEST) if (path := Path(folder) / name).exists()), None)
    if path is None:
        return None
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError([f"cannot read the manifest ({error}) in {path}"]) from None
    found = manifest.get("schema_version") if isinstance(manifest, dict) else None
    if not isinstance(found, int):
        raise InputError([f"not a manifest of this package in {path}; allowed: schema_version; given: {found!r}"])
    if found > RESULTS_SCHEMA:
        raise InputError([f"results of a newer version of the package in {path}; "
                          f"allowed: schema_version up to {RESULTS_SCHEMA}; given: {found}"])
    return manifest


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _named(owner: Mapping[str, Any]) -> str:
    text = f"{owner.get('kind') or 'something'} {owner.get('name') or 'else'}"
    rest = {key: value for key, value in owner.items() if key not in ("kind", "name") and value}
    return f"{text} with {rest}" if rest else text


def _cannot(what: str, error: OSError, folder: Path) -> str:
    return f"cannot {what} ({error.strerror}); allowed: a writable folder; given: {str(folder)!r}"
