"""The kernel cache never serves what another file no longer says, and still serves what did not change.

A small package named `spirals` is copied into a temporary folder, with the real ``kernel.py``, and run
in new processes between edits.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spirals.simulation import kernel as kernel_module

FILES = {
    "__init__.py": "",
    "simulation/__init__.py": "",
    "simulation/constants.py": "import numpy as np\nRATE = 10\nROW = np.dtype([('a', 'i8'), ('b', 'i8')])\n",
    "simulation/callee.py": (
        "from spirals.simulation.kernel import kernel\n"
        "from spirals.simulation.constants import RATE\n"
        "@kernel\ndef charge(x):\n    return x * RATE\n"
    ),
    "simulation/caller.py": (
        "import numpy as np\n"
        "from spirals.simulation.kernel import kernel\n"
        "from spirals.simulation.callee import charge\n"
        "from spirals.simulation.constants import ROW\n"
        "row = np.zeros(1, ROW)\n"
        "template = row[0]\n"
        "@kernel\ndef total(x):\n    return charge(x) + 1\n"
        "@kernel\ndef offset(rows):\n    return rows[0]['b']\n"
    ),
    "simulation/unrelated.py": (
        "from spirals.simulation.kernel import kernel\n@kernel\ndef twice(x):\n    return 2 * x\n"
    ),
}
PROGRAM = """
import json
import multiprocessing
import sys

def measure():
    import numpy as np
    from spirals.simulation import caller, unrelated
    from spirals.simulation.constants import ROW
    rows = np.arange(4, dtype="i8").view(ROW)[:1].copy()
    answer = {"total": int(caller.total(2)), "offset": int(caller.offset(rows)), "twice": int(unrelated.twice(4))}
    for name, function in (("total", caller.total), ("twice", unrelated.twice)):
        hits = function.stats.cache_hits.values() if hasattr(function, "stats") else ()
        answer[name + "_from_cache"] = sum(hits) > 0
    return answer

if __name__ == "__main__":
    if "spawn" in sys.argv:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            print(json.dumps(pool.apply(measure)))
    else:
        print(json.dumps(measure()))
"""


class SmallPackage:
    """The copied package, its cache and a way to run it in a new process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in FILES.items():
            self.write(name, text)
        self.write("simulation/kernel.py", Path(kernel_module.__file__).read_text())
        (folder / "program.py").write_text(PROGRAM)

    def write(self, name: str, text: str) -> None:
        path = self.folder / "spirals" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        assert old in FILES[name]
        self.write(name, FILES[name].replace(old, new))

    def run(self, *arguments: str, **variables: str) -> dict:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
        environment |= {"PYTHONPATH": str(self.folder), "NUMBA_CACHE_DIR": str(self.folder / "cache"), **variables}
        command = [sys.executable, str(self.folder / "program.py"), *arguments]
        done = subprocess.run(command, env=environment, cwd=self.folder, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The small package after its first run, so that everything is compiled and cached."""
    package = SmallPackage(tmp_path_factory.mktemp("small"))
    first = package.run()
    assert (first["total"], first["offset"], first["twice"]) == (21, 1, 8)
    assert not first["total_from_cache"]
    return package


def test_an_unchanged_package_is_served_from_the_cache_also_in_a_spawned_worker(package):
    answer = package.run("spawn")
    assert answer["total_from_cache"] and answer["twice_from_cache"]
    assert answer["total"] == 21


@pytest.mark.parametrize(
    ("file", "old", "new", "quantity", "expected"),
    [
        ("simulation/constants.py", "RATE = 10", "RATE = 30", "total", 61),
        ("simulation/callee.py", "x * RATE", "x - RATE", "total", -7),
        ("simulation/constants.py", "('a', 'i8'), ('b', 'i8')", "('b', 'i8'), ('a', 'i8')", "offset", 0),
    ],
    ids=["constant two files away", "function in another file", "dtype in another file"],
)
def test_an_edit_in_another_file_gives_the_new_result(package, file, old, new, quantity, expected):
    package.edit(file, old, new)
    try:
        answer = package.run()
    finally:
        package.write(file, FILES[file])
    assert answer[quantity] == expected
    assert not answer["total_from_cache"]
    assert answer["twice_from_cache"], "a file that does not depend on the edit must stay cached"


def test_kernels_run_as_plain_python_with_the_same_results(package):
    answer = package.run(NUMBA_DISABLE_JIT="1")
    assert (answer["total"], answer["offset"], answer["twice"]) == (21, 1, 8)
