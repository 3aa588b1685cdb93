"""A single run of resolved inputs, kept in a folder where asked for."""

import traceback
from collections.abc import Sequence
from pathlib import Path

from spirals.scenarios.first_use import announced
from spirals.scenarios.identity import run_id
from spirals.scenarios.loader import Inputs, build_scenario
from spirals.scenarios.manifest import now, provenance
from spirals.scenarios.one_run import RunResult, run_scenario, write_table
from spirals.scenarios.store import RUN_MANIFEST, Store

__all__ = ["run_inputs"]


def run_inputs(
    inputs: Inputs,
    seed: int,
    *,
    twins: Sequence[str] = (),
    folder: Path | None = None,
    progress: bool = False,
) -> RunResult:
    """Run resolved inputs once; with `folder`, write manifest, the row of outcomes, steps and events there.

    Raises
    ------
    InputError
        Bad inputs, or a folder that belongs to something else; nothing is overwritten.
    """
    scenario = build_scenario(inputs)
    if folder is None:
        with announced():
            return run_scenario(scenario, seed, twins=twins, progress=progress)
    owner = {"kind": "run", "name": inputs.name, "seed": seed, "twins": list(twins),
             "overrides": list(inputs.overrides)}
    with Store(folder, owner, RUN_MANIFEST) as store:
        identity = run_id(inputs.tree, inputs.files(), seed, extra={"twins": list(twins)})
        manifest = {"scenario": inputs.name, "summary": inputs.tree.get("summary", ""), "run_id": identity,
                    "started": now(), "inputs": {"scenario": inputs.tree}, "targets": inputs.tree.get("targets", []),
                    "files": inputs.files(), **provenance()}
        store.write_manifest({**manifest, "status": "running"})
        row = {"run_id": identity, "scenario": inputs.name, "replication": 0, "seed": seed}
        try:
            with announced():
                result = run_scenario(scenario, seed, twins=twins, progress=progress)
        except BaseException as error:
            failure = {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
            status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            _keep(store, manifest, {**row, "status": status, **failure})
            raise
        for twin in ("", *result.twins):
            for name, table in result.tables(twin).items():
                write_table(table, folder / f"{f'twin_{twin}_' if twin else ''}{name}.parquet")
        _keep(store, {**manifest, "stop_reason": result.stop_reason, "outcomes": result.outcomes,
                      "attribution": result.attribution},
              {**row, "status": "done", "stop_reason": result.stop_reason, **result.outcomes})
        return result


def _keep(store: Store, manifest: dict[str, object], row: dict[str, object]) -> None:
    store.append(row)
    store.write_runs([row])
    store.write_manifest({**manifest, "status": row["status"], "finished": now()})
