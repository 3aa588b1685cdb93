"""A single run of resolved inputs, kept in a folder where asked for."""

import dataclasses
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spirals.scenarios.inputs.loader import Inputs, build_scenario
from spirals.scenarios.results.first_use import announced
from spirals.scenarios.results.identity import run_id
from spirals.scenarios.results.manifest import now, provenance
from spirals.scenarios.results.store import RUN_MANIFEST, Store
from spirals.scenarios.runs.one_run import RunResult, run_scenario, write_table

__all__ = ["run_inputs"]


def run_inputs(
    inputs: Inputs,
    seed: int,
    *,
    twins: Sequence[str] = (),
    channels: Sequence[str] | None = (),
    causes: Sequence[str] | None = (),
    groups: Sequence[Sequence[str]] = (),
    folder: Path | None = None,
    progress: bool = False,
) -> RunResult:
    """Run resolved inputs once; with `folder`, write manifest, the row of outcomes, steps and events there.

    With an attribution the folder also gets the family tree of the liquidations and the stability margin along the
    path. For `channels`, `causes` and `groups` see :func:`~spirals.scenarios.runs.one_run.run_scenario`.

    Raises
    ------
    InputError
        Bad inputs, or a folder that belongs to something else; nothing is overwritten.
    """
    scenario = build_scenario(inputs)
    asked: dict[str, Any] = {"twins": twins, "channels": channels, "causes": causes, "groups": groups}
    if folder is None:
        with announced():
            return run_scenario(scenario, seed, **asked, progress=progress)
    owner = {"kind": "run", "name": inputs.name, "seed": seed, "twins": list(twins),
             "overrides": list(inputs.overrides)}
    stated: dict[str, Any] = {"channels": list(channels or ()), "groups": [list(group) for group in groups],
                              "causes": "all" if causes is None else list(causes)}
    stated = {name: value for name, value in stated.items() if value}
    owner |= stated
    with Store(folder, owner, RUN_MANIFEST) as store:
        identity = run_id(inputs.tree, inputs.files(), seed, extra={"twins": list(twins), **stated})
        manifest = {"scenario": inputs.name, "summary": inputs.tree.get("summary", ""), "run_id": identity,
                    "started": now(), "inputs": {"scenario": inputs.tree}, "targets": inputs.tree.get("targets", []),
                    "files": inputs.files(), **provenance()}
        store.write_manifest({**manifest, "status": "running"})
        row = {"run_id": identity, "scenario": inputs.name, "replication": 0, "seed": seed}
        try:
            with announced():
                result = run_scenario(scenario, seed, **asked, progress=progress)
        except BaseException as error:
            failure = {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
            status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            _keep(store, manifest, {**row, "status": status, **failure})
            raise
        for twin in ("", *result.twins):
            for name, table in result.tables(twin).items():
                write_table(table, folder / f"{f'twin_{twin}_' if twin else ''}{name}.parquet")
        loop = _loop_facts(inputs, seed, result, folder)
        _keep(store, {**manifest, "stop_reason": result.stop_reason, "outcomes": result.outcomes,
                      **result.shares(), **loop},
              {**row, "status": "done", "stop_reason": result.stop_reason, **result.outcomes})
        return result


def _loop_facts(inputs: Inputs, seed: int, result: RunResult, folder: Path) -> dict[str, object]:
    """Write the family tree; return what else the report says about the loop. Nothing without an attribution."""
    if result.genealogy is None:
        return {}
    from spirals.scenarios.feedback.stability import stability_along
    from spirals.scenarios.results.run_tables import event_table

    write_table(event_table(result.genealogy.events), folder / "genealogy.parquet")
    averted = {name: getattr(result.genealogy, name) for name in ("averted", "averted_accounts")}
    return {"genealogy": {**averted, **dataclasses.asdict(result.genealogy.kernel)},
            "stability": stability_along(inputs, seed)}


def _keep(store: Store, manifest: dict[str, object], row: dict[str, object]) -> None:
    store.append(row)
    store.write_runs([row])
    store.write_manifest({**manifest, "status": row["status"], "finished": now()})
