"""A sweep of toy tasks in a process of its own, to be killed by a test.

``python toy_driver.py FOLDER WORKERS TASKS SLEEP`` prints the digest of the table.
"""

import sys
from pathlib import Path

from spirals.scenarios.results.store import Store
from spirals.scenarios.results.tables import run_table, table_digest
from spirals.scenarios.results.task_driver import Task, run_tasks

OWNER = {"kind": "study", "name": "toy"}
FUNCTION = "scenario_toys:toy_task"


def toy_tasks(count, **payload):
    """Return tasks 0 .. count - 1; a payload value may be a dict from task number to value."""
    tasks = []
    for x in range(count):
        own = {key: value.get(x) if isinstance(value, dict) else value for key, value in payload.items()}
        own = {key: value for key, value in own.items() if value is not None}
        tasks.append(Task(f"{(x * 7919) % 1000:04d}-{x}", {"x": x, **own}, {"lever": x % 3, "replication": x // 3}))
    return tasks


def sweep_toys(folder, tasks, workers=2):
    """Run tasks in `folder` and return table, digest and counts."""
    with Store(Path(folder), OWNER) as store:
        store.write_manifest({"status": "running"})
        rows, counts = run_tasks(tasks, FUNCTION, store, workers=workers, progress=False)
        store.write_runs(rows, ["lever"])
        table = run_table(rows, ["lever"])
        return table, table_digest(table), counts


def main():
    folder, workers, count, sleep = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    print(sweep_toys(folder, toy_tasks(count, sleep=sleep), workers)[1])


if __name__ == "__main__":
    main()
