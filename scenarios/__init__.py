"""What is asked: scenarios, studies, single runs, sweeps, their results and reports.

>>> from spirals.scenarios import load_scenario, run
>>> result = run(load_scenario("calm"), seed=1)        # doctest: +SKIP
>>> result.outcomes["drawdown_mark"]                   # doctest: +SKIP

Names are imported when they are first used, so that the command starts quickly.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spirals.scenarios.inputs.loader import load_scenario
    from spirals.scenarios.inputs.scenario import Scenario
    from spirals.scenarios.inputs.study import Study, load_study
    from spirals.scenarios.results.tables import read_runs, table_digest
    from spirals.scenarios.runs.attribution import attribute_causes, attribute_run
    from spirals.scenarios.runs.one_run import RunResult
    from spirals.scenarios.runs.one_run import run_scenario as run
    from spirals.scenarios.runs.study_sweep import SweepResult
    from spirals.scenarios.runs.study_sweep import sweep_study as sweep

__all__ = [
    "RunResult", "Scenario", "Study", "SweepResult", "attribute_causes", "attribute_run", "load_scenario", "load_study",
    "read_runs", "run", "sweep", "table_digest",
]

_PLACES = {
    "RunResult": ("runs.one_run", "RunResult"),
    "Scenario": ("inputs.scenario", "Scenario"),
    "Study": ("inputs.study", "Study"),
    "SweepResult": ("runs.study_sweep", "SweepResult"),
    "attribute_causes": ("runs.attribution", "attribute_causes"),
    "attribute_run": ("runs.attribution", "attribute_run"),
    "load_scenario": ("inputs.loader", "load_scenario"),
    "load_study": ("inputs.study", "load_study"),
    "read_runs": ("results.tables", "read_runs"),
    "run": ("runs.one_run", "run_scenario"),
    "sweep": ("runs.study_sweep", "sweep_study"),
    "table_digest": ("results.tables", "table_digest"),
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _PLACES[name]
    return getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
