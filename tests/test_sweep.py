"""Sweeps: the same table whatever dies, nothing overwritten, nothing left running."""

import dataclasses
import functools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import scenario_toys as toys
from toy_driver import OWNER, sweep_toys, toy_tasks

from spirals.scenarios.results.store import RESULTS_SCHEMA, Store, read_manifest
from spirals.scenarios.results.tables import read_runs, table_digest
from spirals.simulation.errors import InputError

COUNT = 24
linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """Digest of the undisturbed sweep on one worker."""
    return sweep_toys(tmp_path_factory.mktemp("plain"), toy_tasks(COUNT), workers=1)[1]


def journal(folder):
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


def test_two_workers_give_the_table_of_one(tmp_path, expected):
    table, digest, counts = sweep_toys(tmp_path, toy_tasks(COUNT), workers=2)
    assert digest == expected
    assert (counts.done, counts.failed, counts.reused) == (COUNT, 0, 0)
    assert list(table["run_id"]) == sorted(table["run_id"])
    assert list(table.columns[:5]) == ["run_id", "lever", "replication", "status", "stop_reason"]


def test_a_finished_sweep_is_not_repeated(tmp_path, expected):
    sweep_toys(tmp_path, toy_tasks(COUNT))
    _, digest, counts = sweep_toys(tmp_path, toy_tasks(COUNT))
    assert digest == expected and counts.reused == COUNT
    assert len(journal(tmp_path)) == COUNT


def test_a_killed_worker_costs_nothing_but_a_repeat(tmp_path, expected):
    tasks = toy_tasks(COUNT, once={3: str(tmp_path / "a"), 11: str(tmp_path / "b")})
    table, digest, counts = sweep_toys(tmp_path / "out", tasks)
    assert digest == expected and counts.failed == 0
    assert (tmp_path / "a").exists() and (tmp_path / "b").exists()
    assert table["attempts"].max() == 2


def test_a_run_that_always_kills_its_process_fails_after_three_attempts_and_the_others_go_on(tmp_path):
    table, _, counts = sweep_toys(tmp_path, toy_tasks(COUNT, die={5: True}))
    failed = table[table["status"] == "failed"]
    assert (counts.done, counts.failed) == (COUNT - 1, 1)
    assert list(failed["attempts"]) == [3] and "died 3 times" in failed["error"].iloc[0]
    assert table["attempts"].drop(failed.index).max() <= 2


def test_an_ordinary_failure_keeps_its_traceback_and_is_tried_again_by_the_next_sweep(tmp_path, expected):
    table, _, counts = sweep_toys(tmp_path, toy_tasks(COUNT, fail={7: True}))
    failed = table[table["status"] == "failed"].iloc[0]
    assert counts.failed == 1 and failed["error"] == "ValueError: no result for 7"
    assert "Traceback" in failed["traceback"] and "toy_task" in failed["traceback"]
    _, digest, counts = sweep_toys(tmp_path, toy_tasks(COUNT))
    assert digest == expected and (counts.reused, counts.failed) == (COUNT - 1, 0)


def test_a_run_that_calls_sys_exit_fails_and_the_others_go_on(tmp_path, expected):
    table, _, counts = sweep_toys(tmp_path, toy_tasks(COUNT, leave={7: True}))
    assert (counts.done, counts.failed) == (COUNT - 1, 1)
    assert table[table["status"] == "failed"]["error"].iloc[0].startswith("SystemExit")


def test_a_run_whose_files_are_missing_is_repeated(tmp_path, expected):
    sweep_toys(tmp_path, toy_tasks(COUNT))
    tasks = [dataclasses.replace(task, files=(f"steps/{task.run_id}",)) for task in toy_tasks(COUNT)]
    (tmp_path / "steps").mkdir()
    for task in tasks[:-2]:
        (tmp_path / task.files[0]).touch()
    _, digest, counts = sweep_toys(tmp_path, tasks)
    assert digest == expected and counts.reused == COUNT - 2


def started(folder, marker, *arguments):
    environment = {**os.environ, "SWEEP_TEST_MARKER": marker}
    script = Path(__file__).with_name("toy_driver.py")
    heard = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    return subprocess.Popen([sys.executable, str(script), str(folder), *map(str, arguments)], preexec_fn=heard,
                            env=environment,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def lines_in(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


@linux
def test_a_killed_driver_leaves_nothing_running_and_the_rerun_gives_the_same_table(tmp_path, expected):
    marker = f"driver-{os.getpid()}-{tmp_path.name}"
    driver = started(tmp_path / "out", marker, 2, COUNT, 0.1)
    assert toys.wait_for(lambda: lines_in(tmp_path / "out" / "journal.jsonl") >= 4)
    assert len(toys.processes_with(marker)) >= 3  # the driver and two workers at least
    driver.kill()
    driver.communicate()
    assert toys.wait_for(lambda: not toys.processes_with(marker))
    finished = len(journal(tmp_path / "out"))
    assert 4 <= finished < COUNT
    _, digest, counts = sweep_toys(tmp_path / "out", toy_tasks(COUNT))
    assert digest == expected and counts.reused == finished


@linux
def test_an_interrupt_keeps_what_is_finished_and_ends_all_processes(tmp_path, expected):
    marker = f"interrupt-{os.getpid()}-{tmp_path.name}"
    driver = started(tmp_path / "out", marker, 2, COUNT, 0.1)
    assert toys.wait_for(lambda: lines_in(tmp_path / "out" / "journal.jsonl") >= 3)
    driver.send_signal(signal.SIGINT)
    _, errors = driver.communicate(timeout=30)
    assert driver.returncode != 0 and "KeyboardInterrupt" in errors
    assert toys.wait_for(lambda: not toys.processes_with(marker))
    finished = len(journal(tmp_path / "out"))
    assert finished >= 3
    _, digest, counts = sweep_toys(tmp_path / "out", toy_tasks(COUNT))
    assert digest == expected and counts.reused == finished


def test_a_torn_last_line_of_the_journal_costs_one_run(tmp_path, expected):
    sweep_toys(tmp_path, toy_tasks(COUNT))
    path = tmp_path / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:-25])
    _, digest, counts = sweep_toys(tmp_path, toy_tasks(COUNT))
    assert digest == expected and counts.reused == COUNT - 1
    _, digest, counts = sweep_toys(tmp_path, toy_tasks(COUNT))
    assert digest == expected and counts.reused == COUNT


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_folder_of_another_study_is_refused_and_left_as_it_is(tmp_path):
    sweep_toys(tmp_path, toy_tasks(2))
    before = contents(tmp_path)
    for owner in ({"kind": "study", "name": "other"}, {**OWNER, "overrides": ["margin.pi=0.5"]}):
        with pytest.raises(InputError, match="belongs to study toy"):
            Store(tmp_path, owner)
    assert contents(tmp_path) == before


def test_a_folder_with_other_files_is_refused_and_left_as_it_is(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="holds other files"):
        Store(tmp_path, OWNER)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        (json.dumps({"schema_version": RESULTS_SCHEMA + 1, **OWNER}), "newer version"),
        ("{", "cannot read the manifest"),
        ("[]", "not a manifest"),
    ],
)
def test_a_manifest_that_cannot_be_understood_is_refused(tmp_path, manifest, expected):
    (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(InputError, match=expected):
        Store(tmp_path, OWNER)
    assert (tmp_path / "manifest.json").read_text() == manifest


def test_a_folder_that_cannot_be_written_is_bad_input(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        Store(tmp_path / "file", OWNER)
    with pytest.raises(InputError, match="cannot write to the results folder"):
        Store(tmp_path / "file" / "below", OWNER)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        Store(tmp_path / "new", OWNER)


def test_two_sweeps_cannot_write_one_folder_but_a_dead_ones_lock_is_taken_over(tmp_path):
    first = Store(tmp_path, OWNER)
    with pytest.raises(InputError, match=rf"another command \(process {os.getpid()}\)"):
        Store(tmp_path, OWNER)
    first.close()
    (tmp_path / ".lock").write_text("999999999")
    Store(tmp_path, OWNER).close()


def test_files_appear_whole_and_half_written_ones_are_removed(tmp_path):
    (tmp_path / ".runs.parquet.1234.tmp").write_bytes(b"half")
    table, digest, _ = sweep_toys(tmp_path, toy_tasks(5))
    assert not list(tmp_path.glob(".*.tmp"))
    stored = read_runs(tmp_path / "runs.parquet")
    assert table_digest(stored) == digest and list(stored.columns) == list(table.columns)
    import pyarrow.parquet as pq

    assert pq.read_schema(tmp_path / "runs.parquet").metadata[b"schema_version"] == str(RESULTS_SCHEMA).encode()
    manifest = read_manifest(tmp_path)
    assert (manifest["schema_version"], manifest["name"]) == (RESULTS_SCHEMA, "toy")


def test_the_digest_tells_outcomes_apart_but_not_times_and_order(tmp_path):
    table, digest, _ = sweep_toys(tmp_path, toy_tasks(6))
    other = table.iloc[::-1].assign(seconds=9.0, host="elsewhere", attempts=2)
    assert table_digest(other) == digest
    other.loc[0, "double"] += 1e-12
    assert table_digest(other) != digest
