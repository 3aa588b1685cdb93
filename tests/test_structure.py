"""The shape of the project: direction of imports, packages, types, doctests, and what must not be in the tree."""

import ast
import doctest
import importlib
import pkgutil
import re
import sys
import tomllib
from pathlib import Path

import pytest
from tree import tree_files

import spirals

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("simulation", "agents", "scenarios")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
TESTS = sorted((ROOT / "tests").glob("*.py"))


def relative(path):
    return path.relative_to(ROOT).as_posix()


def imported_modules(path):
    """Names of everything that a file imports, at the top or late."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(path)}:{node.lineno}: import by the full name `spirals. ...`"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        ("simulation", ("spirals.agents", "spirals.scenarios", "mesa", "pandas", "matplotlib")),
        ("agents", ("spirals.scenarios", "matplotlib")),
        ("scenarios", ()),
    ],
)
def test_imports_go_one_way(folder, forbidden):
    wrong = []
    for path in (ROOT / folder).rglob("*.py"):
        if path.parent.name == "_top" or (folder == "simulation" and path.parent.name == "reference"):
            continue   # `python -m spirals` starts the command; the plain reference is written with Mesa
        for name in imported_modules(path):
            if name.startswith(tuple(word + "." for word in forbidden)) or name in forbidden:
                wrong.append(f"{relative(path)} imports {name}")
            if name.split(".")[0] in FOLDERS:
                wrong.append(f"{relative(path)} imports {name} without the prefix `spirals.`")
    assert not wrong, "\n".join(wrong)


def test_the_reference_knows_no_agents_and_no_scenarios():
    for path in (ROOT / "simulation" / "reference").glob("*.py"):
        assert not [n for n in imported_modules(path) if n.startswith(("spirals.agents", "spirals.scenarios"))]


def test_every_folder_with_code_is_a_listed_package_with_types():
    listed = set(PROJECT["tool"]["setuptools"]["packages"])
    found = {"spirals"}
    for path in SOURCES:
        if path.parent.name != "_top":
            found.add("spirals." + relative(path.parent).replace("/", "."))
            assert (path.parent / "__init__.py").exists(), f"{relative(path.parent)} has no __init__.py"
        assert (path.parent / "py.typed").exists(), f"{relative(path.parent)} has no py.typed"
    assert found == listed


def module_names():
    names = ["spirals.__main__"]
    for folder in FOLDERS:
        package = importlib.import_module(f"spirals.{folder}")
        names.append(package.__name__)
        names += [m.name for m in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
    return [name for name in names if "._top" not in name]


def test_every_module_is_imported_once_and_its_examples_hold():
    failed = 0
    for name in module_names():
        failed += doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE).failed
    assert failed == 0
    assert len(module_names()) == len([path for path in SOURCES if path.parent.name != "_top"]) + 1
    twice = [name for name in sys.modules if name.split(".")[0] in FOLDERS]
    assert not twice, f"a second copy was imported without the prefix: {twice}"


def test_public_names_exist():
    wrong = []
    for name in module_names():
        module = importlib.import_module(name)
        wrong += [f"{name}.{public}" for public in getattr(module, "__all__", ()) if not hasattr(module, public)]
    assert not wrong


def is_kernel(function):
    return any(ast.unparse(decorator) in ("kernel", "lean", "inlined") for decorator in function.decorator_list)


def test_everything_but_kernels_is_annotated():
    """Kernels take structured records and stay untyped; everything else states its types."""
    missing = []

    def visit(node, path, inside_kernel):
        for child in ast.iter_child_nodes(node):
            inside = inside_kernel
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                inside = inside or is_kernel(child)
                arguments = [*child.args.posonlyargs, *child.args.args, *child.args.kwonlyargs]
                bare = [a.arg for a in arguments if a.annotation is None and a.arg not in ("self", "cls")]
                if not inside and (bare or child.returns is None):
                    missing.append(f"{relative(path)}:{child.lineno} {child.name}")
            visit(child, path, inside)

    for path in SOURCES:
        visit(ast.parse(path.read_text()), path, False)
    assert not missing, "\n".join(missing)


def test_compile_options_live_in_one_place():
    wrong = [relative(path) for path in SOURCES
             if path.name != "kernel.py" and re.search(r"\bn?jit\(|@(numba\.)?n?jit\b|import njit", path.read_text())]
    assert not wrong


def test_every_module_and_test_says_what_it_is():
    empty = [relative(path) for path in [*SOURCES, *TESTS] if not ast.get_docstring(ast.parse(path.read_text()))]
    assert not empty


def test_the_tree_names_no_machine_and_no_package_registry():
    paths, hosts = r"(?<![\w.])/(home|root|Users|work|farm|opt)/\w|/tmp/\w", r"index-url|find-links|pypi\.|pythonhosted"
    machine = re.compile(f"{paths}|{hosts}")
    wrong = []
    for path in (ROOT / name for name in tree_files(ROOT)):
        if path.suffix in (".csv", ".gz", ".png", ".svg") or path == Path(__file__).resolve():
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        wrong += [f"{relative(path)}:{number}: {line.strip()[:100]}"
                  for number, line in enumerate(lines, 1) if machine.search(line)]
    assert not wrong, "\n".join(wrong)


def test_the_lock_pins_every_dependency_for_every_python():
    for name, extra in (("core", []), ("dev", PROJECT["project"]["optional-dependencies"]["dev"])):
        lines = (ROOT / "requirements" / f"{name}.lock").read_text().splitlines()
        pinned = {re.split(r"==", line)[0].lower() for line in lines if re.match(r"[a-z0-9-]+==[\w.]+", line)}
        wanted = [re.split(r"[\[<>=;]", d)[0].lower() for d in PROJECT["project"]["dependencies"] + extra]
        assert not set(wanted) - pinned
        loose = [line for line in lines if line and not line.startswith((" ", "#")) and "==" not in line]
        assert not loose
    core, dev = ((ROOT / "requirements" / f"{name}.lock").read_text() for name in ("core", "dev"))
    assert {line for line in core.splitlines() if "==" in line} <= set(dev.splitlines())


def test_no_test_is_written_where_pytest_does_not_look():
    lost = []
    for path in (ROOT / "tests").rglob("*.py"):
        named = re.findall(r"^\s*(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
        if named and (path.parent != ROOT / "tests" or not path.name.startswith("test_")):
            lost.append(relative(path))
    assert not lost


def test_the_version_is_the_one_of_the_project():
    assert spirals.__version__ == PROJECT["project"]["version"]
