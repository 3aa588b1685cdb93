"""The wheel holds everything and nothing else, and works away from the tree."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tree import tree_files

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, unpacked; built without the network from a copy of the tree, so that left-overs cannot help."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "copy"
    for name in tree_files(ROOT):
        if name.startswith(("simulation/", "agents/", "scenarios/", "pyproject", "LICENSE", "README")):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy / name)
    options = ["--disable-pip-version-check", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    command = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", folder, copy]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [archive] = folder.glob("*.whl")
    with zipfile.ZipFile(archive) as content:
        content.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_contains_every_module_and_data_file(wheel):
    expected = {"spirals/" + name.removeprefix("simulation/_top/") for name in tree_files(ROOT)
                if name.startswith(("simulation/", "agents/", "scenarios/"))}
    found = {path.relative_to(wheel).as_posix() for path in (wheel / "spirals").rglob("*") if path.is_file()}
    assert not expected - found
    assert not {name for name in found - expected if "/_top/" not in name}


def test_the_wheel_brings_no_other_top_level_name(wheel):
    tops = {path.name for path in wheel.iterdir() if not path.name.endswith(".dist-info")}
    assert tops == {"spirals"}


def test_the_wheel_carries_licence_command_and_requirements(wheel):
    [info] = wheel.glob("*.dist-info")
    assert "Apache License" in (info / "licenses" / "LICENSE").read_text()
    assert "spirals = spirals.scenarios.command:main" in (info / "entry_points.txt").read_text()
    metadata = (info / "METADATA").read_text()
    assert "Requires-Python: >=3.11" in metadata and "Requires-Dist: mesa" in metadata


def test_the_command_runs_from_the_wheel_alone(wheel, tmp_path):
    environment = os.environ | {"PYTHONPATH": str(wheel)}
    program = "import spirals.scenarios, sys; print(spirals.scenarios.__file__)"
    for arguments in (["-c", program], ["-m", "spirals", "list", "scenarios"]):
        command = [sys.executable, *arguments]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert str(wheel) in done.stdout or "black-thursday-2020" in done.stdout
