"""One run: outcomes against twins, what is kept in a folder, bad arguments. The model is a stand-in."""

import dataclasses
import json
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from measures_support import make_record

from spirals.scenarios.inputs.loader import Inputs
from spirals.scenarios.reports.write import write_report
from spirals.scenarios.results.tables import read_runs
from spirals.scenarios.runs import single_run
from spirals.scenarios.runs.one_run import run_scenario
from spirals.simulation.engine import FORCED, Engine
from spirals.simulation.errors import InputError


@dataclasses.dataclass(frozen=True)
class Setup:
    """As much of a scenario as a run touches."""

    name: str = "stand-in"
    steps: int = 4
    engine: Engine = Engine()  # noqa: RUF009 (frozen)


class StandIn:
    """Falls by 20 %, by 12 % without price impact of forced orders; seed 13 fails."""

    made: list = []  # noqa: RUF012 (shared on purpose)

    def __init__(self, setup, rng, collect_every=1):
        self.setup, self.seed, self.core = setup, rng, self
        self.tick, self.running = 0, True
        self.made.append(setup)

    def run(self, steps):
        if self.seed == 13:
            raise RuntimeError("an unlucky seed")
        if self.seed == 14:
            raise SystemExit
        self.tick = min(self.setup.steps, self.tick + steps)
        self.running = self.tick < self.setup.steps

    def record(self):
        fall = 12.0 if self.setup.engine.shadow_causes or self.setup.engine.transfer_causes else 20.0
        mark = np.linspace(100.0, 100.0 - fall, self.setup.steps + 1)
        return make_record(mark, seed=self.seed, stop_reason="horizon")


@pytest.fixture
def model(monkeypatch):
    """The stand-in for the model, and the list of set-ups that it was made with."""
    module = types.ModuleType("spirals.agents.model")
    module.SpiralModel = StandIn
    monkeypatch.setitem(sys.modules, "spirals.agents.model", module)
    StandIn.made.clear()
    return StandIn.made


def test_a_run_with_twins_gives_outcomes_and_an_attribution_that_adds_up(model):
    result = run_scenario(Setup(), 7, twins=["T1", "T2", "T3"], steps=6)
    fall, twin = -np.log(0.8), -np.log(0.88)
    assert result.outcomes["drawdown_mark"] == pytest.approx(fall)
    assert result.outcomes["excess_drawdown"] == pytest.approx(fall - twin)
    channels = result.attribution["drawdown_mark"]
    assert channels["impact of forced orders"] == pytest.approx(fall - twin)
    assert sum(channels.values()) == result.outcomes["drawdown_mark"]
    assert [setup.steps for setup in model] == [6, 6, 6, 6]
    assert [setup.engine.shadow_causes for setup in model] == [(), FORCED, (), ()]
    assert [setup.engine.liquidation for setup in model] == [True, True, True, False]
    assert (result.seed, result.stop_reason, set(result.twins)) == (7, "horizon", {"T1", "T2", "T3"})


def test_without_twins_there_is_no_attribution(model):
    result = run_scenario(Setup(), 0)
    assert result.attribution == {} and "excess_drawdown" not in result.outcomes
    assert len(result.tables()["steps"]) == 5


def test_a_call_of_sys_exit_in_a_step_is_a_failed_run(model):
    with pytest.raises(RuntimeError, match=r"called sys.exit\(None\) at step 0"):
        run_scenario(Setup(), 14)


def test_bad_arguments_of_a_run_are_told_together(model):
    with pytest.raises(InputError) as caught:
        run_scenario(Setup(), -1, steps=0, twins=["T9"])
    assert len(caught.value.problems) == 3 and not model


def test_a_run_leaves_a_folder_that_the_report_can_read(model, monkeypatch, tmp_path):
    monkeypatch.setattr(single_run, "build_scenario", lambda inputs: Setup())
    inputs = Inputs({"type": "LossWaterfall", "name": "stand-in", "summary": "a fall"})
    folder = tmp_path / "out"
    single_run.run_inputs(inputs, 3, twins=("T1",), folder=folder)
    manifest = json.loads((folder / "run.json").read_text())
    found = [manifest[key] for key in ("kind", "scenario", "seed", "status")]
    assert found == ["run", "stand-in", 3, "done"]
    assert manifest["outcomes"]["bad_debt_to_liquidated"] is None  # NaN is no JSON
    assert len(pd.read_parquet(folder / "twin_T1_steps.parquet")) == 5
    assert list(read_runs(folder / "runs.parquet")["status"]) == ["done"]
    page = write_report(folder).read_text()
    assert "stand-in" in page
    single_run.run_inputs(inputs, 3, twins=("T1",), folder=folder)  # the same again is no other run
    with pytest.raises(InputError, match="belongs to run stand-in"):
        single_run.run_inputs(inputs, 4, twins=("T1",), folder=folder)


def test_a_failed_run_is_kept_with_its_traceback(model, monkeypatch, tmp_path):
    monkeypatch.setattr(single_run, "build_scenario", lambda inputs: Setup())
    inputs = Inputs({"type": "LossWaterfall", "name": "stand-in"})
    with pytest.raises(RuntimeError, match="unlucky"):
        single_run.run_inputs(inputs, 13, folder=tmp_path)
    row = read_runs(Path(tmp_path) / "runs.parquet").iloc[0]
    assert row["status"] == "failed" and "an unlucky seed" in row["traceback"]
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "failed"
