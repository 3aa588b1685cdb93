"""Reading a scenario: resolving, bad input told all at once, overrides, inheritance, code named in files."""

import dataclasses
import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import scenario_toys as toys

from spirals.scenarios.command.show import inputs_text
from spirals.scenarios.inputs.loader import build_scenario, load_scenario, resolve_scenario
from spirals.scenarios.inputs.parts import BASES, SLOTS
from spirals.scenarios.inputs.schema import MISSING, Unknown, module_file, read_schema
from spirals.simulation.errors import InputError


@pytest.fixture
def toy(request, monkeypatch, tmp_path):
    """The toy catalogue instead of the real one, and a folder to work in."""
    for table in (SLOTS, BASES):
        kept = dict(table)
        request.addfinalizer(lambda table=table, kept=kept: (table.clear(), table.update(kept)))
    toys.use_toy_catalogue()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(text, name="toy.toml"):
    Path(name).write_text(text, encoding="utf-8")
    return name


def problems(text_or_name, overrides=(), **keywords):
    name = text_or_name if text_or_name.endswith(".toml") else written(text_or_name)
    with pytest.raises(InputError) as caught:
        load_scenario(name, overrides, **keywords)
    return list(caught.value.problems)


def test_nested_parts_arrays_and_defaults_are_built(toy):
    scenario = load_scenario(written(toys.GOOD))
    inner = scenario.policy.inner
    assert [type(part).__name__ for part in (scenario.policy, inner, inner.inner)] == ["Lag", "Wrap", "Plain"]
    assert (scenario.policy.seconds, scenario.policy.floor, inner.floor, inner.inner.rate) == (30.0, 0.01, 0.03, 0.1)
    assert isinstance(scenario.policy.seconds, float)  # a whole number in the file
    assert scenario.weights == (0.5, 0.5) and scenario.fund.size == 1e6
    assert [shock.at for shock in scenario.shocks] == [5.0]


def test_all_problems_are_told_at_once_with_file_line_key_allowed_and_given(toy):
    found = problems(
        """name = "bad"
steps = 0
mode = "fsat"
weights = [0.5, nan]
switch = 1
stpes = 3
[policy]
type = "Lagg"
[fund]
size = inf
file = "nowhere.csv"
[[shocks]]
at = -1
[[shocks]]
at = "soon"
sise = -0.2
[sources]
"fund.sped" = "a guess"
"policy.seconds" = "of a part whose class is unknown"
"""
    )
    text = "\n".join(found)
    expected = [
        "out of range in toy.toml:2 steps; allowed: in [1, 1000] steps; given: 0",
        "out of range in toy.toml:3 mode; allowed: one of fast, slow; given: 'fsat'",
        "not a finite number in toy.toml:4 weights",
        "wrong type in toy.toml:5 switch; allowed: true or false; given: 1",
        "unknown key (did you mean 'steps'?) in toy.toml:6 stpes; allowed: name, policy",
        "unknown type (did you mean 'Lag'?) in toy.toml:8 policy.type; allowed: Lag, Plain, Wrap",
        "not a finite number in toy.toml:10 fund.size",
        "no such file",
        "out of range in toy.toml:13 shocks[0].at; allowed: at least 0 s; given: -1",
        "wrong type in toy.toml:15 shocks[1].at; allowed: a number; given: 'soon'",
        "unknown key (did you mean 'size'?) in toy.toml:16 shocks[1].sise",
        "source of an unknown key",
    ]
    missing = [line for line in expected if line not in text]
    assert not missing, text
    assert len(found) == len(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name = 'x'\n[policy\n", "malformed TOML: "),
        ("name = 'x'\n", "missing key in toy.toml policy; allowed: a table with type = Lag, Plain, Wrap"),
        ("[policy]\ntype = 'Plain'\n", "missing key in toy.toml name; allowed: text"),
        ("name = 'x'\n[policy]\nrate = 0.1\n", "missing key in toy.toml:2 policy.type"),
        ("name = 'x'\npolicy = 3\n", "wrong type in toy.toml:2 policy; allowed: a table with type"),
        ("name = 'x'\npolicy = 'Plain'\nshocks = 1\n", "allowed: an array of tables ([[shocks]])"),
        ("name = 'x'\nschema_version = 99\npolicy = 'Plain'\n", "file of a newer version of the package"),
        ("name = 'x'\n[policy]\ntype = 'Plain'\nmaintenance = 0.5\n",
         "maintenance must not exceed rate 0.05, was 0.5 in toy.toml:2 policy"),
        ("name = 'x'\npolicy = 'nowhere.py:Mine'\n", "no such file or module in toy.toml:2 policy.type"),
        ("name = 'x'\nextends = 'nothing'\npolicy = 'Plain'\n", "unknown scenario in toy.toml:2 extends"),
    ],
)
def test_one_bad_input_is_told(toy, text, expected):
    found = problems(text)
    assert len(found) == 1 and expected in found[0], found


def test_malformed_toml_tells_line_and_column(toy):
    assert "(at line 2, column 8)" in problems("name = 'x'\n[policy\n")[0]


def test_an_unknown_scenario_is_told_with_a_suggestion(toy, monkeypatch):
    monkeypatch.setattr("spirals.scenarios.inputs.catalogue_index.CATALOGUE", toy)
    written(toys.GOOD, "flash-crash.toml")
    with pytest.raises(InputError, match=r"did you mean 'flash-crash'\?"):
        load_scenario("flashcrash")
    with pytest.raises(InputError, match="no such file"):
        load_scenario("missing.toml")


def test_conditions_between_fields_of_several_parts_are_told_together(toy):
    found = problems(
        "name = 'x'\n[policy]\ntype = 'Wrap'\n[policy.inner]\ntype = 'Plain'\nmaintenance = 0.5\n"
        "[fund]\nsize = -1\n[[shocks]]\nsize = 0.1\n"
    )
    assert "maintenance must not exceed rate 0.05, was 0.5 in toy.toml:4 policy.inner" in found
    assert len(found) == 3


def test_overrides_go_by_field_class_or_unique_name_and_keep_the_rest(toy):
    name = written(toys.GOOD)
    inputs = resolve_scenario(
        name, ["policy.Wrap.floor=0.2", "policy.rate=0.5", "shocks.0.size=-0.3", "fund.size=5", "mode=slow", "steps=7"]
    )
    policy = inputs.tree["policy"]
    assert (policy["inner"]["floor"], policy["inner"]["inner"]["rate"], policy["floor"]) == (0.2, 0.5, 0.01)
    assert inputs.tree["shocks"][0] == {"type": "Jolt", "at": 5.0, "size": -0.3}
    assert (inputs.tree["fund"]["size"], inputs.tree["mode"], inputs.tree["steps"]) == (5.0, "slow", 7)
    assert inputs.overrides[0] == "policy.inner.floor=0.2"
    assert resolve_scenario(name, {"policy": {"type": "Plain", "rate": 0.3}}).tree["policy"]["rate"] == 0.3
    assert resolve_scenario(name, ["policy=Plain"]).tree["policy"]["rate"] == 0.05


def test_another_type_keeps_shared_keys_and_an_override_becomes_the_source(toy):
    text = toys.GOOD + '[sources]\n"policy.seconds" = "a book"\n"policy.inner.inner.rate" = "a law"\n'
    tree = resolve_scenario(written(text), ["policy.type=Wrap", "policy.Plain.rate=0.3"]).tree
    assert tree["policy"]["type"] == "Wrap" and "seconds" not in tree["policy"]
    assert tree["policy"]["inner"]["floor"] == 0.03
    assert tree["sources"] == {"policy.type": "-s policy.type=Wrap",
                               "policy.inner.inner.rate": "-s policy.Plain.rate=0.3"}


def test_a_part_can_be_addressed_by_its_label(toy):
    text = toys.GOOD.replace('type = "Wrap"', 'type = "Wrap"\nlabel = "soft"')
    assert resolve_scenario(written(text), ["policy.soft.floor=0.4"]).tree["policy"]["inner"]["floor"] == 0.4
    assert load_scenario("toy.toml").policy.inner.floor == 0.03


def test_bad_overrides_are_told_together(toy):
    overrides = ["policy.flor=1", "nonsense", "steps=-4", "policy.Plain.rate=nan", "shocks.3.at=1"]
    found = problems(written(toys.GOOD), overrides)
    text = "\n".join(found)
    assert "unknown path, no 'flor' in policy (did you mean 'floor'?) in -s policy.flor=1" in text
    assert "malformed override in -s; allowed: PATH=VALUE; given: 'nonsense'" in text
    assert "out of range in -s steps=-4 steps" in text
    assert "not a finite number in -s policy.Plain.rate=nan policy.inner.inner.rate" in text
    assert "no '3' in shocks" in text
    assert len(found) == 5


def test_a_condition_broken_by_an_override_blames_the_override(toy):
    found = problems(written(toys.GOOD), ["policy.Plain.maintenance=0.5"], allow_code=True)
    assert found == ["maintenance must not exceed rate 0.1, was 0.5 "
                     "in -s policy.Plain.maintenance=0.5 policy.inner.inner"]


def test_a_huge_number_without_an_upper_bound_of_its_own_is_refused(toy):
    found = problems(written(toys.GOOD), ["fund.size=1e300"])
    assert found == ["too large in -s fund.size=1e300 fund.size; allowed: at most 1e+12 in size; given: 1e+300"]


def test_a_part_replaced_by_an_override_names_its_file_from_the_working_folder(toy):
    Path("base").mkdir()
    written(toys.GOOD, "base/toy.toml")
    written(PLUGIN, "mine.py")
    tree = resolve_scenario("base/toy.toml", ["policy={type='mine.py:Mine', inner='Plain'}"]).tree
    assert tree["policy"]["type"] == f"{toy / 'mine.py'}:Mine"


def test_a_byte_order_mark_is_no_fault(toy):
    Path("bom.toml").write_text(toys.GOOD, encoding="utf-8-sig")
    assert load_scenario("bom.toml").name == "toy"


def test_an_ambiguous_override_names_the_places(toy):
    text = "name='x'\n[policy]\ntype='Wrap'\n[policy.inner]\ntype='Wrap'\ninner={type='Wrap',inner='Plain'}\n"
    found = problems(text, ["policy.Wrap.floor=0.2"])
    assert "ambiguous path, 'Wrap' is in several parts" in found[0]
    assert "policy.inner, policy.inner.inner" in found[0]


def test_a_scenario_extends_another(toy):
    written(toys.GOOD, "base.toml")
    child = written('extends = "base.toml"\nname = "child"\n[policy]\nseconds = 7\n[fund]\nsize = 3\n', "child.toml")
    tree = resolve_scenario(child).tree
    assert (tree["name"], tree["summary"], tree["fund"]["size"]) == ("child", "a toy", 3.0)
    assert (tree["policy"]["type"], tree["policy"]["seconds"], tree["policy"]["inner"]["floor"]) == ("Lag", 7.0, 0.03)
    other = written('extends = "base.toml"\n[policy]\ntype = "Plain"\n', "other.toml")
    assert resolve_scenario(other).tree["policy"] == {"type": "Plain", "rate": 0.05, "maintenance": 0.02}
    written('extends = "b.toml"\n', "a.toml")
    written('extends = "a.toml"\n', "b.toml")
    assert "in a circle" in problems("a.toml")[0]


def test_a_scenario_extends_several_files_and_the_later_one_goes_over_the_earlier(toy):
    written(toys.GOOD, "base.toml")
    written("summary = 'a set'\n[policy]\nseconds = 7\n[fund]\nsize = 3\n", "set.toml")
    written("[policy]\nseconds = 9\n", "more.toml")
    both = written('extends = ["base.toml", "set.toml", "more.toml"]\nname = "both"\n', "both.toml")
    tree = resolve_scenario(both).tree
    assert (tree["name"], tree["summary"]) == ("both", "a toy")
    assert (tree["policy"]["seconds"], tree["fund"]["size"]) == (9.0, 3.0)
    diamond = written('extends = ["both.toml", "base.toml"]\n', "diamond.toml")
    assert resolve_scenario(diamond).tree["policy"]["seconds"] == 30.0
    assert "unknown scenario" in problems(written('extends = ["base.toml", "nothing"]\n', "lost.toml"))[0]


def test_a_source_does_not_cover_what_an_extending_scenario_replaces(toy):
    written(toys.GOOD + '[sources]\n"policy" = "a law"\n"fund.size" = "a book"\n"shocks" = "a guess"\n', "base.toml")
    child = written('extends = "base.toml"\n[policy]\nseconds = 7\n[fund]\nsize = 3\n', "child.toml")
    text = inputs_text(resolve_scenario(child))
    assert "seconds = 7.0  # at least 0 s; no source given" in text
    assert "floor = 0.03  # in [0, 1]; source: a law" in text
    assert "size = 3.0  # at least 0 quote; no source given" in text
    child = written('extends = "base.toml"\n[policy]\nseconds = 7\n[sources]\n"policy" = "my law"\n', "child.toml")
    assert "seconds = 7.0  # at least 0 s; source: my law" in inputs_text(resolve_scenario(child))
    other = written('extends = "base.toml"\npolicy = {type = "Wrap", inner = "Plain"}\n', "other.toml")
    assert "a law" not in inputs_text(resolve_scenario(other))


def test_problems_of_an_extended_file_name_that_file(toy):
    written(toys.GOOD.replace("seconds = 30", "seconds = -30"), "base.toml")
    child = written('extends = "base.toml"\nsteps = 0\n', "child.toml")
    found = problems(child)
    assert "base.toml:6 policy.seconds" in "\n".join(found) and "child.toml:2 steps" in "\n".join(found)


def test_printed_inputs_load_to_the_same_inputs(toy):
    inputs = resolve_scenario(written(toys.GOOD + '[sources]\n"policy.inner" = "assumption"\n'))
    text = inputs_text(inputs)
    assert resolve_scenario(written(text, "again.toml")).tree == inputs.tree
    assert "floor = 0.03  # in [0, 1]; source: assumption" in text
    assert "seconds = 30.0  # at least 0 s; no source given" in text
    assert "size = 1000000.0  # at least 0 quote; default" in text


PLUGIN = """
import dataclasses
from pathlib import Path
from scenario_toys import Wrap
from spirals.simulation.parameters import parameter

Path("imported").touch()

@dataclasses.dataclass(frozen=True)
class Mine(Wrap):
    \"\"\"A policy of the user's.\"\"\"

    extra: float = parameter(2.0, low=1)
    odd: float = parameter(float("3"))
"""


def test_a_class_of_a_users_file_is_checked_without_import_and_imported_only_to_run(toy):
    Path("code").mkdir()
    written(PLUGIN, "code/mine.py")
    name = written('name = "x"\npolicy = {type = "mine.py:Mine", inner = "Plain", extra = 1.5}\n', "code/toy.toml")
    inputs = resolve_scenario(name, ["policy.Mine.floor=0.3", "policy.odd=4"])
    assert "Mine" in inputs_text(inputs)
    assert not Path("imported").exists()
    found = problems(name, allow_code=False)
    assert "code named in a file is not imported here" in found[0]
    scenario = build_scenario(inputs)
    assert Path("imported").exists()
    assert (scenario.policy.extra, scenario.policy.floor, scenario.policy.odd) == (1.5, 0.3, 4.0)
    assert load_scenario(name).policy.odd == 3.0
    assert scenario.policy.spec.endswith("mine.py:Mine")
    bad = name.replace("toy", "bad")
    written('name = "x"\npolicy = {type = "mine.py:Mine", inner = "Plain", extra = 0, flor = 1}\n', bad)
    text = "\n".join(problems(bad))
    assert "out of range in code/bad.toml:2 policy.extra" in text and "did you mean 'floor'?" in text


@pytest.mark.parametrize(
    ("code", "kind", "expected"),
    [
        ("def broken(:\n", "Mine", "cannot read the code"),
        ("x = 1\n", "Mine", "no such class in the file"),
        ("class Mine:\n    pass\n", "Mine", "wrong class"),
        ("from nothing_of_this_name import Mine\n", "Mine", "cannot import the code (ModuleNotFoundError"),
        ("import sys\nsys.exit()\nclass Mine:\n    pass\n", "Mine", "cannot import the code (SystemExit"),
        ("import nothing_of_this_name\nclass Mine:\n    pass\n", "Mine", "cannot import the code (ModuleNotFoundError"),
        ("raise RuntimeError('boo')\nclass Mine:\n    pass\n", "Mine", "cannot import the code (RuntimeError: boo)"),
    ],
)
def test_faults_of_a_users_code_are_told(toy, code, kind, expected):
    written(code, "mine.py")
    assert expected in problems(f'name = "x"\npolicy = "mine.py:{kind}"\n')[0]


def test_users_files_are_part_of_the_inputs_by_content(toy):
    written(PLUGIN, "mine.py")
    written("a,b\n1,2\n", "fund.csv")
    name = written('name = "x"\npolicy = {type = "mine.py:Mine", inner = "Plain"}\nfund = {file = "fund.csv"}\n')
    before = resolve_scenario(name).files()
    assert [Path(path).name for path in before] == ["fund.csv", "mine.py"]
    written("a,b\n1,3\n", "fund.csv")
    after = resolve_scenario(name).files()
    assert [key for key in before if before[key] != after[key]] == [str(toy / "fund.csv")]


PARTS = [(slot, name, module) for slot, names in sorted(SLOTS.items()) for name, module in sorted(names.items())]


@pytest.mark.parametrize(("slot", "name", "module"), PARTS, ids=[name for _, name, _ in PARTS])
def test_what_is_read_from_source_is_what_the_class_says(slot, name, module):
    """The schema that `show` and the checks use never drifts from the real dataclass."""
    schema = read_schema(module_file(module), name)
    found = getattr(importlib.import_module(module), name)
    fields = [field for field in dataclasses.fields(found) if field.compare]
    assert schema.complete and schema.summary
    assert list(schema.field_names) == [field.name for field in fields]
    for read, real in zip(schema.fields, fields, strict=True):
        required = real.default is MISSING and real.default_factory is MISSING
        assert (read.default is MISSING) == required, read.name
        if not isinstance(read.default, Unknown | dict) and not dataclasses.is_dataclass(real.default):
            plain = real.default_factory() if real.default is MISSING and not required else real.default
            if not (isinstance(plain, tuple) and any(dataclasses.is_dataclass(item) for item in plain)):
                assert read.default == plain, read.name
        for key, value in read.metadata.items():
            assert real.metadata[key] == value, (read.name, key)


def test_class_names_are_unique_over_all_slots_and_every_class_fills_its_slot():
    names = [name for _, name, _ in PARTS]
    assert len(names) == len(set(names))
    for slot, module in BASES.items():
        base = getattr(importlib.import_module(module), slot)
        for name, place in SLOTS[slot].items():
            assert issubclass(getattr(importlib.import_module(place), name), base)


def test_resolving_does_not_import_the_simulation(toy):
    code = ("import sys; from spirals.scenarios.command import listing, show; "
            "from spirals.scenarios.inputs import loader, study; print(sorted(sys.modules))")
    text = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    heavy = [name for name in ("numba", "pandas", "mesa", "pyarrow", "scipy") if f"'{name}'" in text]
    assert not heavy
