"""`make setup` says clearly what is missing on the machine, and leaves foreign folders alone.

The script runs in a copy of the few files it reads, with a PATH that holds only stand-ins for Python.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ("sh", "cat", "cksum", "dirname", "grep", "mkdir", "rm")


class Machine:
    """A folder with the set-up script, and programs on its PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = folder / "bin"
        self.programs.mkdir()
        shutil.copytree(ROOT / "requirements", folder / "requirements")
        shutil.copy(ROOT / "pyproject.toml", folder)
        for tool in TOOLS:
            self.programs.joinpath(tool).symlink_to(shutil.which(tool))

    def install(self, name: str, script: str) -> None:
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def python(self, name: str, version: str, has_venv: bool = True) -> None:
        """A stand-in that answers the two questions of the script; creating an environment writes a marker."""
        self.install(name, f"""case "$*" in
            *version_info*) echo {version} ;;
            *'import venv'*) exit {0 if has_venv else 1} ;;
            '-m venv'*) echo "{name}" > made-by; exit 1 ;;
        esac""")

    def setup(self, **variables: str) -> subprocess.CompletedProcess:
        command = [shutil.which("sh"), str(self.folder / "requirements" / "setup.sh"), ".venv", "core"]
        environment = {"PATH": str(self.programs), **variables}
        return subprocess.run(command, env=environment, cwd=self.folder, capture_output=True, text=True)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_no_python_at_all(machine):
    done = machine.setup()
    assert done.returncode == 1
    assert "Python 3.11, 3.12 or 3.13 is needed" in done.stderr
    assert not (machine.folder / ".venv").exists()


def test_python_too_old(machine):
    machine.python("python3", "3.9")
    done = machine.setup()
    assert done.returncode == 1
    assert "3.11, 3.12 or 3.13 is needed" in done.stderr and "python3 (Python 3.9)" in done.stderr


def test_venv_missing(machine):
    machine.python("python3", "3.11", has_venv=False)
    done = machine.setup()
    assert done.returncode == 1
    assert "venv" in done.stderr and "apt install python3.11-venv" in done.stderr


def test_a_second_interpreter_is_taken_where_the_first_does_not_serve(machine):
    machine.python("python3", "3.10")
    machine.python("python3.13", "3.13", has_venv=False)
    machine.python("python3.12", "3.12")
    machine.setup()
    assert (machine.folder / "made-by").read_text().strip() == "python3.12"


def test_a_tested_python_is_preferred_to_a_newer_one_and_the_choice_of_the_user_to_both(machine):
    machine.python("python3", "3.14")
    machine.setup()
    assert (machine.folder / "made-by").read_text().strip() == "python3"
    machine.python("python3.11", "3.11")
    machine.setup()
    assert (machine.folder / "made-by").read_text().strip() == "python3.11"
    machine.setup(PYTHON="python3")
    assert (machine.folder / "made-by").read_text().strip() == "python3"


def test_a_folder_that_is_no_environment_of_ours_is_not_touched(machine):
    machine.python("python3", "3.11")
    (machine.folder / ".venv").mkdir()
    (machine.folder / ".venv" / "thesis.txt").write_text("years of work")
    done = machine.setup()
    assert done.returncode == 1 and ".venv was not made by make" in done.stderr
    assert (machine.folder / ".venv" / "thesis.txt").exists()


def finished(machine, script):
    """Put a finished environment in place; its Python is a stand-in too, so that no test installs anything."""
    venv = machine.folder / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").write_text(f"#!/bin/sh\n{script}\n")
    (venv / "bin" / "python").chmod(0o755)
    state = "pwd; cat requirements/dev.lock pyproject.toml requirements/setup.sh | cksum"
    stamp = subprocess.run(["sh", "-c", state], cwd=machine.folder, capture_output=True, text=True, check=True).stdout
    (venv / ".set-up-dev").write_text(stamp)
    return venv


def test_a_finished_environment_is_left_as_it_is(machine):
    """The stamp names place, lock and project file: nothing changed, nothing is done."""
    finished(machine, 'case "$*" in -c*) exit 0 ;; *) echo "$*" >> called ;; esac')
    done = machine.setup()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (machine.folder / "called").exists()


@pytest.mark.parametrize("changed", ["requirements/dev.lock", "pyproject.toml"])
def test_a_changed_lock_or_project_file_is_installed(machine, changed):
    venv = finished(machine, 'case "$*" in -c*) exit 0 ;; *) echo "$*" >> called ;; esac')
    (venv / "pyvenv.cfg").write_text("home = nowhere\n")
    with (machine.folder / changed).open("a") as file:
        file.write("# changed\n")
    assert machine.setup().returncode == 0
    called = (machine.folder / "called").read_text()
    assert "--requirement requirements/core.lock" in called and "--editable ." in called


def test_nothing_is_installed_into_an_interpreter_that_is_no_environment(machine):
    """A bare link to an interpreter looks like an environment; installing would change that interpreter."""
    venv = finished(machine, 'echo "$*" >> called')
    (venv / ".set-up-dev").unlink()
    done = machine.setup()
    assert done.returncode == 1 and "no working environment" in done.stderr
    assert not (machine.folder / "called").exists()


def test_an_environment_that_was_moved_is_made_again(machine):
    machine.python("python3", "3.11")
    venv = finished(machine, "exit 0")
    (venv / "pyvenv.cfg").write_text("home = nowhere\n")
    (venv / ".set-up-dev").unlink()
    (venv / ".made-here").write_text("/somewhere/else\n")
    machine.setup()
    assert (machine.folder / "made-by").read_text().strip() == "python3"
