"""Which files a kernel's digest covers, where compiled code is kept, and when it is thrown away."""

import os
import time
from pathlib import Path

import pytest

from spirals.simulation import kernel as kernel_module
from spirals.simulation.kernel import cache_base, kernel, prune_cache, source_digest


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A user's package `own_rules` with a rule and a helper, as if written before this process started."""
    (tmp_path / "own_rules" / "parts").mkdir(parents=True)
    for name in ("own_rules/__init__.py", "own_rules/parts/__init__.py"):
        (tmp_path / name).write_text("")
    (tmp_path / "own_rules" / "helper.py").write_text("from .parts import deep\nRATE = 1\n")
    (tmp_path / "own_rules" / "parts" / "deep.py").write_text("DEEP = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(kernel_module, "_started", time.time() + 3600)
    return tmp_path / "own_rules"


def digest_of(rule: Path) -> str:
    for function in (source_digest, kernel_module._imported_names, kernel_module._file_of):
        function.cache_clear()
    return source_digest(rule, "own_rules")


IMPORTS = [
    "from own_rules.helper import RATE",
    "from own_rules import helper",
    "import own_rules.helper as h",
    "from . import helper",
    "from .helper import RATE",
    "def late():\n    from own_rules.helper import RATE",
]


@pytest.mark.parametrize("line", IMPORTS)
@pytest.mark.parametrize("edited", ["helper.py", "parts/deep.py"])
def test_every_form_of_import_is_followed(tree, line, edited):
    rule = tree / "rule.py"
    rule.write_text(line + "\n")
    before = digest_of(rule)
    assert before and digest_of(rule) == before
    with (tree / edited).open("a") as file:
        file.write("CHANGED = 1\n")
    assert digest_of(rule) != before


def test_files_that_are_not_imported_do_not_matter(tree):
    rule = tree / "rule.py"
    rule.write_text("import numpy\nimport json\n")
    before = digest_of(rule)
    (tree / "helper.py").write_text("RATE = 2\n")
    assert digest_of(rule) == before


def test_a_file_moved_to_another_module_changes_the_digest(tree):
    (tree / "rule.py").write_text("import own_rules.helper\n")
    (tree / "parts" / "rule.py").write_text("import own_rules.helper\n")
    assert digest_of(tree / "rule.py") != digest_of(tree / "parts" / "rule.py")


def test_sources_changed_since_the_process_started_are_not_cached(tree, monkeypatch):
    rule = tree / "rule.py"
    rule.write_text("from own_rules.helper import RATE\n")
    assert digest_of(rule)
    monkeypatch.setattr(kernel_module, "_started", time.time() - 60)
    os.utime(rule, (0, 0))
    assert digest_of(rule) == ""      # the helper is new


def test_finding_imports_imports_nothing(tree):
    (tree / "helper.py").write_text("raise RuntimeError('imported')\n")
    (tree / "rule.py").write_text("from own_rules.helper import RATE\n")
    assert digest_of(tree / "rule.py")


def test_a_function_typed_at_a_prompt_compiles_without_a_cache():
    scope: dict = {}
    exec("def triple(x):\n    return 3 * x\n", scope)
    assert kernel(scope["triple"])(5) == 15


@pytest.fixture
def places(tmp_path, monkeypatch):
    """An environment in which only the temporary folder can be written to."""
    blocked = tmp_path / "a-file"
    blocked.write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(blocked / "chosen"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked / "cache"))
    monkeypatch.setattr(kernel_module.tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_cache_falls_back_from_folders_that_cannot_be_written(places, monkeypatch):
    private = cache_base.__wrapped__()
    assert private.parent == places and private.stat().st_mode & 0o077 == 0
    monkeypatch.setenv("XDG_CACHE_HOME", str(places / "home"))
    assert cache_base.__wrapped__() == places / "home" / "liquidation-spirals"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(places / "chosen"))
    assert cache_base.__wrapped__() == places / "chosen"


def test_code_in_a_temporary_folder_that_others_can_write_to_is_not_trusted(places):
    open_to_all = places / f"liquidation-spirals-{os.getuid()}"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    assert cache_base.__wrapped__() != open_to_all


def test_pruning_removes_old_code_of_ours_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(kernel_module, "cache_base", lambda: tmp_path)
    long_ago = time.time() - 100 * 86400
    for name in ("spirals-old", "spirals-new", "somebody-elses"):
        (tmp_path / name / "sub").mkdir(parents=True)
    os.utime(tmp_path / "spirals-old", (long_ago, long_ago))
    os.utime(tmp_path / "somebody-elses", (long_ago, long_ago))
    assert prune_cache(keep_days=30) == 1
    assert sorted(f.name for f in tmp_path.iterdir()) == ["somebody-elses", "spirals-new"]


def test_code_in_use_is_marked_as_used_so_that_pruning_spares_it(tmp_path, monkeypatch):
    monkeypatch.setattr(kernel_module, "cache_base", lambda: tmp_path)
    folder = tmp_path / "spirals-used"
    folder.mkdir()
    long_ago = time.time() - 100 * 86400
    os.utime(folder, (long_ago, long_ago))
    assert kernel_module._folder.__wrapped__("used") == folder
    assert prune_cache(keep_days=30) == 0


def test_new_code_is_the_occasion_to_prune_the_old(tmp_path, monkeypatch):
    monkeypatch.setattr(kernel_module, "cache_base", lambda: tmp_path)
    old = tmp_path / "spirals-old"
    old.mkdir()
    os.utime(old, (0, 0))
    kernel_module._prune_once.cache_clear()
    kernel_module._folder.__wrapped__("new")
    assert not old.exists()
