"""Answers made of parts: the same on any number of processes, kept as they are made, in folders of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spirals.scenarios.command.entry import main
from spirals.scenarios.inputs.loader import resolve_scenario
from spirals.scenarios.runs.parts import Part, Question, kept_parts, parts_here
from spirals.simulation.errors import InputError

DOUBLE = "part_toys:part"
SMALL = ["population.traders=60", "steps=200", "background.places=60"]
TAIL = ["-q", "tail", "stochastic-volatility-crash", *(word for one in SMALL for word in ("-s", one)),
        "--score", "drawdown_mark", "--level", "0.004", "--particles", "6"]


@pytest.fixture
def asked(tmp_path):
    """Return a question, and a function from numbers to parts that note when they are made."""
    inputs = resolve_scenario("flash-crash", SMALL, allow_code=True)

    def parts(numbers, **rest):
        return [Part(inputs, 1, {"x": x, "made": str(tmp_path / "made"), **rest}) for x in numbers]

    return Question("toy", inputs, {"level": 1.0}), parts


def made(tmp_path):
    """Return the numbers of the parts that were made, in their order."""
    return [int(line) for line in (tmp_path / "made").read_text().split()]


def status(folder):
    return json.loads((folder / "manifest.json").read_text())["status"]


@pytest.mark.parametrize("workers", [1, 2])
def test_parts_are_made_once_and_come_back_in_order(asked, tmp_path, workers):
    question, parts = asked
    here = [row["double"] for row in parts_here(DOUBLE, parts(range(4)))]
    (tmp_path / "made").unlink()
    told = []
    with kept_parts(tmp_path / "out", question, workers=workers, told=told.append) as kept:
        first = kept(DOUBLE, parts([0, 1, 2]))
        more = kept(DOUBLE, parts([3, 1, 0]))   # of the same processes
    assert [row["double"] for row in first] + [more[0]["double"]] == here == [0.0, 2.0, 4.0, 6.0]
    assert [row["double"] for row in more] == [6.0, 2.0, 0.0]
    assert sorted(made(tmp_path)) == [0, 1, 2, 3] and sum(told) == 6
    with kept_parts(tmp_path / "out", question, workers=workers) as kept:
        again = kept(DOUBLE, parts(range(5)))
    assert [row["double"] for row in again] == [0.0, 2.0, 4.0, 6.0, 8.0] and sorted(made(tmp_path)) == [0, 1, 2, 3, 4]
    assert status(tmp_path / "out") == "done"


def test_an_interrupted_answer_keeps_its_parts_and_goes_on(asked, tmp_path):
    question, parts = asked
    with pytest.raises(KeyboardInterrupt), kept_parts(tmp_path / "out", question) as kept:
        kept(DOUBLE, parts(range(4), interrupted=2))
    assert made(tmp_path) == [0, 1, 2] and status(tmp_path / "out") == "interrupted"
    with kept_parts(tmp_path / "out", question) as kept:
        kept(DOUBLE, parts(range(4), interrupted=9))   # another question to each part: made anew
        kept(DOUBLE, parts([0, 1], interrupted=2))     # as before: known
    assert made(tmp_path) == [0, 1, 2, 0, 1, 2, 3]


def test_a_part_that_fails_is_named_and_the_others_are_kept(asked, tmp_path):
    question, parts = asked
    with (pytest.raises(RuntimeError, match="1 of 4 parts failed, the first with ValueError: three is too much"),
          kept_parts(tmp_path / "out", question, workers=2) as kept):
        kept(DOUBLE, parts(range(4), fails=3))
    assert sorted(made(tmp_path)) == [0, 1, 2, 3] and status(tmp_path / "out") == "failed"
    rows = [json.loads(line) for line in (tmp_path / "out" / "journal.jsonl").read_text().splitlines()]
    assert sorted(row["status"] for row in rows) == ["done", "done", "done", "failed"]
    assert any("part_toys.py" in row["traceback"] for row in rows)


def test_a_folder_of_something_else_is_refused_and_left_as_it_is(asked, tmp_path):
    question, _ = asked
    with kept_parts(tmp_path / "out", question):
        pass
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.name != ".lock"}
    other = Question("toy", question.inputs, {"level": 2.0})
    with pytest.raises(InputError, match="belongs to toy flash-crash"), kept_parts(tmp_path / "out", other):
        raise AssertionError("not reached")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.name != ".lock"} == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="holds other files"), kept_parts(tmp_path / "mine", question):
        raise AssertionError("not reached")
    assert main([*TAIL, "--out", str(tmp_path / "out")]) == 2


def test_more_populations_take_over_those_that_the_folder_holds(tmp_path, capsys):
    out = tmp_path / "out"
    assert main([*TAIL, "--replications", "2", "--out", str(out)]) == 0
    capsys.readouterr()
    assert main([*TAIL, "--replications", "4", "--json", "--out", str(out)]) == 0
    told = json.loads(capsys.readouterr().out)
    journal = [json.loads(line) for line in (out / "journal.jsonl").read_text().splitlines()]
    assert len(journal) == 4 and told["replications"] == 4
    assert main([*TAIL, "--replications", "4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == told == json.loads((out / "tail.json").read_text())


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_killed_answer_ends_with_the_same_bytes(tmp_path, workers):
    def command(folder):
        return [sys.executable, "-c", "from spirals.scenarios.command import main; raise SystemExit(main())", *TAIL,
                "--replications", "4", "--workers", workers, "--out", str(folder)]

    subprocess.run(command(tmp_path / "whole"), check=True, capture_output=True)
    killed = tmp_path / "killed"
    with subprocess.Popen(command(killed), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as driver:
        deadline = time.monotonic() + 60.0
        while driver.poll() is None and time.monotonic() < deadline and not _lines(killed):
            time.sleep(0.01)
        if driver.poll() is None:
            os.kill(driver.pid, signal.SIGKILL)
    kept = _lines(killed)
    assert kept >= 1
    subprocess.run(command(killed), check=True, capture_output=True)
    assert (killed / "tail.json").read_bytes() == (tmp_path / "whole" / "tail.json").read_bytes()
    assert _lines(killed) == 4


def _lines(folder: Path) -> int:
    journal = folder / "journal.jsonl"
    return journal.read_bytes().count(b"\n") if journal.is_file() else 0
