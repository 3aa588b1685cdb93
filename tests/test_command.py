"""The command: exit status, one line per problem, JSON alone on stdout, quick answers."""

import functools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import scenario_toys as toys

from spirals.scenarios import __all__ as public
from spirals.scenarios.command.entry import main
from spirals.scenarios.command.listing import KINDS
from spirals.scenarios.inputs.parts import SLOTS

TOY = Path(__file__).with_name("toy_command.py")
linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")


def called(capsys, *arguments):
    """Return exit status, output and lines of errors of the command in this process."""
    status = main(list(arguments))
    captured = capsys.readouterr()
    return status, captured.out, captured.err.splitlines()


@pytest.fixture
def toy_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("toy.toml").write_text(toys.GOOD)
    Path("small.toml").write_text(toys.STUDY)
    return tmp_path


def toy(*arguments, **environment):
    """Run the toy command in a process of its own."""
    return subprocess.run([sys.executable, str(TOY), *map(str, arguments)], capture_output=True, text=True,
                          env={**os.environ, **environment}, timeout=60)


@pytest.mark.parametrize("kind", KINDS)
def test_list_gives_names_and_summaries(capsys, kind):
    status, out, errors = called(capsys, "list", kind, "--json")
    entries = json.loads(out)
    assert status == 0 and not errors
    assert all(set(entry) == {"name", "summary"} and entry["name"] for entry in entries)
    if kind == "policies":
        assert {entry["name"] for entry in entries} == set(SLOTS["MarginPolicy"])
        assert all(entry["summary"] for entry in entries)
    assert called(capsys, "list", kind)[0] == 0


def test_list_without_a_kind_lists_every_kind(capsys):
    status, out, _ = called(capsys, "list")
    assert status == 0 and all(f"{kind}:" in out for kind in KINDS if kind != "measures")


def test_show_explains_a_part_without_running_it(capsys):
    status, out, _ = called(capsys, "show", "LossWaterfall")
    assert status == 0
    assert out.startswith('type = "LossWaterfall"')
    assert "insurance_fund = 0.0  # at least 0 quote; opening balance; default" in out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["lst"], "(did you mean 'list'?)"),
        (["list", "polices"], "(did you mean 'policies'?)"),
        ([], "the following arguments are required: VERB"),
        (["show", "Floorr"], "unknown name (did you mean 'Floor'?)"),
        (["run", "no-such-scenario"], "unknown scenario"),
        (["run", "missing.toml"], "no such file"),
        (["run", "procyclicality"], "a study, not a scenario; allowed: "),
        (["sweep", "calm"], "a scenario, not a study; allowed: "),
        (["run", "x", "--seed", "9007199254740993"], "and at most 9007199254740992"),
        (["run", "x", "--speed", "9"], "unrecognized arguments: --speed 9"),
        (["sweep", "no-such-study"], "unknown study"),
        (["report", "nowhere"], "no manifest in the folder"),
        (["run", "x", "--seed", "-1"], "bad number in --seed; allowed: a whole number of at least 0 "
         "and at most 9007199254740992; given: '-1'"),
        (["sweep", "x", "--workers", "0"], "bad number in --workers; allowed: a whole number of at least 1"),
    ],
)
def test_bad_input_ends_with_status_2_and_no_traceback(capsys, monkeypatch, tmp_path, arguments, expected):
    monkeypatch.chdir(tmp_path)
    status, out, errors = called(capsys, *arguments)
    assert status == 2 and not out
    assert any(expected in line for line in errors), errors
    assert all(line.startswith("spirals: ") for line in errors)


AGENT = """from spirals.agents import UserAgent
from spirals.simulation.errors import InputError
class Clumsy(UserAgent):
    def start(self):
        {start}
    def step(self):
        {step}
"""
FAULTS = ("1 / 0", "raise InputError(['no such price'])", "raise SystemExit(3)", "raise RuntimeError('x')")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("method", "expected"), [("start", 2), ("step", 1)])
def test_user_code_that_fails_is_bad_input_before_the_first_step_and_a_failed_run_after(
    capsys, tmp_path, method, expected, fault
):
    """Status 2: the input cannot be used; status 1: the run failed. Whatever the kind of the fault."""
    bodies = {"start": "pass", "step": "pass", method: fault}
    (tmp_path / "clumsy.py").write_text(AGENT.format(**bodies))
    scenario = tmp_path / "clumsy.toml"
    scenario.write_text('extends = "calm"\nsteps = 3\n[[agents]]\nfile = "clumsy.py"\ncapital = 10_000\n')
    status, out, errors = called(capsys, "run", str(scenario))
    assert status == expected and not out
    assert f"{method} of agent Clumsy" in errors[-1] and not any("Traceback" in line for line in errors), errors


def test_all_problems_of_a_command_line_are_told_at_once(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    status, _, errors = called(capsys, "run", "nothing", "--seed", "x", "--steps", "0", "-s", "nonsense")
    assert status == 2 and len(errors) == 4


def test_the_command_starts_in_a_process_of_its_own():
    done = subprocess.run([sys.executable, "-m", "spirals", "run", "nothing"], capture_output=True, text=True)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith("spirals: unknown scenario")


def test_list_and_show_import_nothing_heavy():
    heavy = ("numba", "mesa", "pandas", "scipy", "pyarrow", "matplotlib")
    code = ("import sys; from spirals.scenarios.command.entry import main; main(['list']); main(['show', 'Floor']); "
            f"print([name for name in {heavy} if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_sweep_ends_with_table_manifest_and_one_json_document(toy_folder):
    done = toy("sweep", "small.toml", "--workers", 2, "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == 0 and not done.stderr
    assert (answer["study"], answer["runs"], answer["failed"], answer["reused"]) == ("small", 12, 0, 0)
    manifest = json.loads(Path("results/small/manifest.json").read_text())
    assert manifest["status"] == "done" and manifest["table_digest"] == answer["digest"]
    assert manifest["design"] == {"policy.Plain.rate": [0.1, 0.2], "fund": [1.0, "deep"]}
    assert "common random numbers" in manifest["seeding"] and len(manifest["seeds"]) == 3
    assert manifest["inputs"]["scenario"]["policy"]["type"] == "Lag"
    assert {"versions", "platform", "code", "commit", "started", "finished"} <= set(manifest)
    again = json.loads(toy("sweep", "small.toml", "--workers", 1, "--json").stdout)
    assert again["reused"] == 12 and again["digest"] == answer["digest"]
    other = json.loads(toy("sweep", "small.toml", "--workers", 1, "--json", "--out", "elsewhere").stdout)
    assert other["reused"] == 0 and other["digest"] == answer["digest"]


def test_the_folder_of_another_study_is_refused(toy_folder):
    assert toy("sweep", "small.toml", "--out", "out").returncode == 0
    before = {path: path.read_bytes() for path in Path("out").iterdir()}
    Path("other.toml").write_text(toys.STUDY.replace('"small"', '"other"'))
    for arguments in (["other.toml"], ["small.toml", "-s", "policy.Wrap.floor=0.5"]):
        refused = toy("sweep", *arguments, "--out", "out")
        assert refused.returncode == 2 and "results folder belongs to study small" in refused.stderr
        assert refused.stderr.count("\n") == 1
    assert before == {path: path.read_bytes() for path in Path("out").iterdir()}


def test_a_failed_run_ends_with_status_1_and_the_others_are_kept(toy_folder):
    Path("some.toml").write_text('name = "some"\nscenario = "toy.toml"\nreplications = 2\n[levers]\nsteps = [5, 13]\n')
    done = toy("sweep", "some.toml", "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == 1 and (answer["done"], answer["failed"]) == (2, 2)
    assert "failed: ValueError: an unlucky number of steps" in done.stderr and "Traceback" not in done.stderr


@linux
def test_an_interrupt_ends_with_status_130_and_keeps_what_is_finished(toy_folder):
    marker = f"command-{os.getpid()}-{toy_folder.name}"
    arguments = [sys.executable, str(TOY), "sweep", "small.toml", "--workers", "2", "-s", "steps=150"]
    heard = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    driver = subprocess.Popen([*arguments, "--out", "out"], preexec_fn=heard,
                              env={**os.environ, "COMMAND_TEST": marker},
                              stderr=subprocess.PIPE, text=True)
    path = Path("out/journal.jsonl")
    assert toys.wait_for(lambda: path.exists() and path.read_bytes().count(b"\n") >= 2)
    driver.send_signal(signal.SIGINT)
    _, errors = driver.communicate(timeout=30)
    assert driver.returncode == 130 and "spirals: interrupted" in errors and "Traceback" not in errors
    assert toys.wait_for(lambda: not toys.processes_with(marker))
    manifest = json.loads(Path("out/manifest.json").read_text())
    assert manifest["status"] == "interrupted" and 2 <= manifest["runs"]["stored"] < 12
    assert Path("out/runs.parquet").exists()
    finished = path.read_bytes().count(b"\n")
    again = json.loads(toy("sweep", "small.toml", "-s", "steps=150", "--out", "out", "--json").stdout)
    assert (again["reused"], again["done"]) == (finished, 12)


@pytest.mark.parametrize(("verb", "expected"), [("run", "nothing of an unfinished run is kept"),
                                                ("sweep", "everything finished is kept")])
def test_an_interrupt_says_what_is_kept(capsys, monkeypatch, toy_folder, verb, expected):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("spirals.scenarios.inputs.loader.resolve_scenario", interrupted)
    monkeypatch.setattr("spirals.scenarios.inputs.study.load_study", interrupted)
    status, out, errors = called(capsys, verb, "x")
    assert (status, out, errors) == (130, "", [f"spirals: interrupted; {expected}"])


def test_a_report_that_cannot_be_written_is_bad_input(capsys, monkeypatch, tmp_path):
    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("spirals.scenarios.results.store.read_manifest", lambda _: {"kind": "study"})
    monkeypatch.setattr("spirals.scenarios.reports.write.write_report", refused)
    status, _, errors = called(capsys, "report", str(tmp_path))
    assert status == 2 and "cannot write the report (Permission denied); allowed: a writable folder" in errors[0]


def test_what_a_users_code_prints_does_not_spoil_the_json(toy_folder):
    Path("mine.py").write_text("from scenario_toys import Plain\nprint('noise')\nclass Mine(Plain):\n    pass\n")
    Path("one.toml").write_text('name = "one"\nscenario = "toy.toml"\nreplications = 1\n')
    done = toy("sweep", "one.toml", "-s", "policy.inner.inner={type='mine.py:Mine'}", "--json")
    assert "noise" in done.stderr and json.loads(done.stdout)["done"] == 1


def test_show_prints_inputs_of_a_scenario_a_study_and_a_results_folder(toy_folder):
    scenario = toy("show", "toy.toml", "-s", "policy.Wrap.floor=0.5")
    assert scenario.returncode == 0 and "floor = 0.5  # in [0, 1]; source: -s policy.Wrap.floor=0.5" in scenario.stdout
    study = toy("show", "small.toml")
    assert study.stdout.startswith("# 4 points x 3 replications = 12 runs")
    assert "replications = 3" in study.stdout
    assert toy("sweep", "small.toml", "--out", "out").returncode == 0
    assert 'name = "toy"' in toy("show", "out").stdout


def test_the_public_names_exist():
    import spirals.scenarios

    lazy = [name for name in public if name not in ("Scenario",)]
    assert all(getattr(spirals.scenarios, name) is not None for name in lazy)
    with pytest.raises(AttributeError, match="nonsense"):
        spirals.scenarios.nonsense  # noqa: B018
