"""One run: a scenario, a seed, and what came of it, with its twins where asked for."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spirals.scenarios.results.progress import progress_bar
from spirals.simulation.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from spirals.scenarios.inputs.scenario import Scenario
    from spirals.scenarios.runs.attribution import RunAttribution
    from spirals.simulation.measures.genealogy import Genealogy
    from spirals.simulation.measures.record import RunRecord

__all__ = [
    "RunResult", "attribution", "finished_core", "run_cell", "run_scenario", "twin_setup", "write_table",
]


STEPS_AT_ONCE = 20


@dataclasses.dataclass(frozen=True)
class RunResult:
    """What one run gives.

    Attributes
    ----------
    scenario : str
    seed : int
    stop_reason : str
        Why the run ended; a bound that was hit is named here.
    outcomes : dict of str to float
        Every measure by name; ``spirals list measures`` gives meaning and unit.
    attribution : dict of str to dict
        Per outcome the levels of shock, direct impact and each channel, which add up to the outcome; without channels
        only what twin T1 tells. Empty without twin T1.
    record : RunRecord
        Everything that was recorded, as arrays.
    twins : dict of str to RunRecord
        The same of every twin.
    channels, causes : RunAttribution or None
        The attribution with first-in, last-out and interactions, by channel and by cause of forced flow; None where
        none was asked for.
    genealogy : Genealogy or None
        Family tree of the liquidations; with an attribution.
    """

    scenario: str
    seed: int
    stop_reason: str
    outcomes: dict[str, float]
    attribution: dict[str, dict[str, float]]
    record: "RunRecord"
    twins: "dict[str, RunRecord]"
    channels: "RunAttribution | None" = None
    causes: "RunAttribution | None" = None
    genealogy: "Genealogy | None" = None

    def shares(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return levels and details of every attribution as plain data."""
        found: dict[str, Any] = {"attribution": self.attribution}
        if self.channels is not None:
            found["attribution_detail"] = self.channels.detail()
        if self.causes is not None:
            found |= {"attribution_by_cause": self.causes.levels(),
                      "attribution_by_cause_detail": self.causes.detail()}
        return found

    def tables(self, twin: str = "") -> "dict[str, pd.DataFrame]":
        """Return steps, totals, calls, liquidations and auto-deleveraging of the run or of a twin."""
        from spirals.scenarios.results.run_tables import run_tables

        return run_tables(self.twins[twin] if twin else self.record)


def run_scenario(
    scenario: "Scenario",
    seed: int = 0,
    *,
    twins: Sequence[str] = (),
    channels: Sequence[str] | None = (),
    causes: Sequence[str] | None = (),
    groups: Sequence[Sequence[str]] = (),
    steps: int | None = None,
    progress: bool = False,
) -> RunResult:
    """Run a scenario once and measure it.

    Parameters
    ----------
    scenario : Scenario
        See :func:`~spirals.scenarios.inputs.loader.load_scenario`.
    seed : int
        Any non-negative whole number.
    twins : sequence of str
        Names among T1, T2, T3: the same run, same draws, with one part of the feedback cut.
    channels : sequence of str, optional
        Channels of the feedback to share the outcomes out over, at 2^n runs in all for n up to six and with twin T1;
        None: the usual ones that the scenario has. See :func:`~spirals.scenarios.runs.attribution.attribute_run`.
    causes : sequence of str, optional
        The same by cause of forced flow; None: those that the scenario has.
    groups : sequence of sequence of str
        A partition of the channels for Owen values.
    steps : int, optional
        Number of steps instead of the scenario's.
    progress : bool
        Show a bar of steps on stderr when it takes longer than two seconds.

    Raises
    ------
    InputError
        A seed, number of steps, twin, channel or cause that does not exist, inputs that contradict, or code of the
        user's with which the run does not open: all that happens before the first step.
    RuntimeError
        Code of the user's failed from the first step on.
    """
    from spirals.simulation.engine import TWINS

    _check(seed, steps, twins, tuple(TWINS))
    if steps is not None:
        scenario = dataclasses.replace(scenario, steps=steps)
    if channels == () and causes == ():
        return _plain_run(scenario, seed, tuple(dict.fromkeys(twins)), progress)
    from spirals.scenarios.runs.attributed_run import attributed_run

    return attributed_run(scenario, seed, twins, channels, causes, groups, progress)


def _plain_run(scenario: "Scenario", seed: int, twins: Sequence[str], progress: bool) -> RunResult:
    from spirals.simulation.measures.outcomes import outcomes

    records = {}
    with progress_bar(scenario.steps * (1 + len(twins)), 0, "step", progress) as advance:
        for name in ("", *twins):
            records[name] = finished_core(twin_setup(scenario, name), seed, advance).record()
    own = records.pop("")
    measured = outcomes(own, records)
    return RunResult(scenario.name, seed, own.stop_reason, measured, attribution(measured), own, records)


def twin_setup(scenario: "Scenario", twin: str) -> "Scenario":
    """Return the scenario with the switches of a twin; unchanged for ""."""
    from spirals.simulation.engine import TWINS

    switches: Any = TWINS[twin][1] if twin else {}
    return dataclasses.replace(scenario, engine=dataclasses.replace(scenario.engine, **switches))


def finished_core(setup: "Scenario", seed: int, advance: Callable[[int], Any], **options: Any) -> Any:
    """Return the core of a run at its end; `options` go to the model, `advance` is told of steps done."""
    from spirals.agents.model import SpiralModel

    model = _opened(SpiralModel, setup, seed, options)
    _run_to_end(model, advance)
    return model.core


def _opened(model: Any, setup: Any, seed: int, options: dict[str, Any]) -> Any:
    """Return the model at its opening; whatever goes wrong until here is input that cannot be used."""
    try:
        return model(setup=setup, rng=seed, collect_every=0, **options)
    except SystemExit as error:
        raise InputError([f"the user's code called sys.exit({error.code!r}) before the first step"]) from error
    except RuntimeError as error:
        raise InputError([str(error)]) from error


def _run_to_end(model: Any, advance: Callable[[int], Any]) -> None:
    """Run a model; what goes wrong from now on is a failed run, no longer bad input."""
    try:
        while model.running:
            before = model.tick
            model.run(STEPS_AT_ONCE)
            if model.tick == before:
                break
            advance(model.tick - before)
    except SystemExit as error:
        raise RuntimeError(f"the user's code called sys.exit({error.code!r}) at step {model.tick}") from error
    except InputError as error:
        raise RuntimeError("; ".join(error.problems)) from error


def run_cell(task: dict[str, Any]) -> dict[str, Any]:
    """Do one run of a sweep: build the scenario from plain data, run it, write the tables asked for.

    Parameters
    ----------
    task : dict
        ``inputs`` (resolved), ``seed``, ``twins``, ``tables``, ``run_id``, ``folder``; with ``path``, a file of
        exogenous prices instead of the scenario's outside world; with ``attribution``, channels.

    Returns
    -------
    dict
        ``stop_reason`` and every outcome; with channels also the columns of
        :func:`~spirals.scenarios.runs.attribution_columns.columns_of`.
    """
    from spirals.scenarios.inputs.loader import Inputs, build_scenario
    from spirals.scenarios.runs.attributed_run import attributed_run
    from spirals.scenarios.runs.attribution_columns import columns_of

    scenario = build_scenario(Inputs(task["inputs"]))
    if task.get("path"):
        scenario = _on_path(scenario, Path(task["path"]))
    channels = tuple(task.get("attribution", ()))
    if channels:
        result = attributed_run(scenario, task["seed"], task["twins"], channels, (), (), False, trace=False)
    else:
        result = run_scenario(scenario, task["seed"], twins=task["twins"])
    if task["tables"]:
        found = result.tables()
        for name in task["tables"]:
            write_table(found[name], Path(task["folder"]) / name / f"{task['run_id']}.parquet")
    shares = {} if result.channels is None else columns_of(result.channels)
    return {"stop_reason": result.stop_reason, **result.outcomes, **shares}


def _on_path(scenario: "Scenario", file: Path) -> "Scenario":
    """Return the scenario on the prices of a file; raises RuntimeError when no path was found for it."""
    from spirals.simulation.market.frozen_path import FrozenPath

    if not file.is_file():
        raise RuntimeError(f"the search for the exogenous path failed; no file {file.name}")
    return dataclasses.replace(scenario, outside_world=FrozenPath(file=str(file)))


def write_table(table: "pd.DataFrame", path: Path) -> None:
    """Write a table as Parquet; the file appears whole or not at all."""
    from spirals.scenarios.results.store import RESULTS_SCHEMA, write_whole
    from spirals.scenarios.results.tables import parquet_bytes

    write_whole(path, parquet_bytes(table, RESULTS_SCHEMA))


def attribution(outcomes: dict[str, float]) -> dict[str, dict[str, float]]:
    """Return how much of each compared outcome is there without price impact of forced orders.

    First-order reading of twin T1: the level in the twin is what the shock alone does, the
    difference is what the forced orders add through the price.
    """
    from spirals.simulation.measures.catalogue import COMPARED

    found = {}
    for name in COMPARED:
        alone = outcomes.get(f"twin_{name}", math.nan)
        if not math.isnan(alone):
            found[name] = {"without impact of forced orders": alone, "impact of forced orders": outcomes[name] - alone}
    return found


def _check(seed: int, steps: int | None, twins: Sequence[str], known: Sequence[str]) -> None:
    found = []
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        found.append(f"seed must be a whole number of at least 0, was {seed!r}")
    if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int) or steps < 1):
        found.append(f"steps must be a whole number of at least 1, was {steps!r}")
    found += [f"twin must be one of {', '.join(known)}, was {name!r}" for name in twins if name not in known]
    if found:
        raise InputError(found)
