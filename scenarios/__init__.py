"""What is asked: scenarios, studies, single runs, sweeps, their results and reports.

>>> from spirals.scenarios import load_scenario, run
>>> result = run(load_scenario("calm"), seed=1)        # doctest: +SKIP
>>> result.outcomes["drawdown_mark"]                   # doctest: +SKIP

Names are imported when they are first used, so that the command starts quickly.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spirals.scenarios.attribution import attribute_causes, attribute_run
    from spirals.scenarios.loader import load_scenario
    from spirals.scenarios.one_run import RunResult
    from spirals.scenarios.one_run import run_scenario as run
    from spirals.scenarios.scenario import Scenario
    from spirals.scenarios.study import Study, load_study
    from spirals.scenarios.study_sweep import SweepResult
    from spirals.scenarios.study_sweep import sweep_study as sweep
    from spirals.scenarios.tables import read_runs, table_digest

__all__ = [
    "RunResult", "Scenario", "Study", "SweepResult", "attribute_causes", "attribute_run", "load_scenario", "load_study",
    "read_runs", "run", "sweep", "table_digest",
]

_PLACES = {
    "RunResult": ("one_run", "RunResult"),
    "Scenario": ("scenario", "Scenario"),
    "Study": ("study", "Study"),
    "SweepResult": ("study_sweep", "SweepResult"),
    "attribute_causes": ("attribution", "attribute_causes"),
    "attribute_run": ("attribution", "attribute_run"),
    "load_scenario": ("loader", "load_scenario"),
    "load_study": ("study", "load_study"),
    "read_runs": ("tables", "read_runs"),
    "run": ("one_run", "run_scenario"),
    "sweep": ("study_sweep", "sweep_study"),
    "table_digest": ("tables", "table_digest"),
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _PLACES[name]
    return getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
