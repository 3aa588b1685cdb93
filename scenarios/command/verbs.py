"""What the verbs of the command do. Imports are late: ``list`` and ``show`` answer in under a second."""

import argparse
import contextlib
import logging
import math
import sys
from collections.abc import Mapping
from pathlib import Path

from spirals.scenarios.inputs.faults import Faults, channels_of
from spirals.scenarios.results.documents import print_json
from spirals.simulation.errors import InputError

__all__ = ["bench", "fit_book", "list_names", "report", "run", "show", "sweep"]

log = logging.getLogger("spirals")


def list_names(options: argparse.Namespace) -> int:
    """Print names of one kind, or of every kind, with one line each."""
    from spirals.scenarios.command.listing import KINDS, listed

    kinds = [options.kind] if options.kind else [kind for kind in KINDS if kind != "measures"]
    entries = {kind: listed(kind) for kind in kinds}
    if options.json:
        print_json([entry if options.kind else {"kind": kind, **entry} for kind in kinds for entry in entries[kind]])
        return 0
    for kind in kinds:
        if len(kinds) > 1:
            print(f"{kind}:")
        width = max((len(entry["name"]) for entry in entries[kind]), default=0)
        indent = "  " if len(kinds) > 1 else ""
        for entry in entries[kind]:
            print(f"{indent}{entry['name']:<{width}}  {entry['summary']}")
        if not entries[kind]:
            print(f"{indent}(none)")
    return 0


def show(options: argparse.Namespace) -> int:
    """Print the resolved inputs of a scenario, a study, a part or a results folder."""
    from spirals.scenarios.command.show import shown

    print(shown(options.name, options.set), end="")
    return 0


def run(options: argparse.Namespace) -> int:
    """Run a scenario once and print its outcomes."""
    from spirals.scenarios.inputs.loader import resolve_scenario
    from spirals.scenarios.inputs.overrides import check_overrides

    faults = Faults()
    faults.attempt(check_overrides, options.set)
    seed = faults.whole("--seed", options.seed, least=0, most=2**53)
    steps = faults.whole("--steps", options.steps, least=1)
    changes = [*options.set, *([f"steps={steps}"] if steps is not None else [])]
    with contextlib.redirect_stdout(sys.stderr):  # what the user's code prints is no result
        inputs = faults.attempt(resolve_scenario, options.scenario, changes, allow_code=True)
    faults.raise_if_any()
    from spirals.scenarios.runs.single_run import run_inputs

    channels, groups = channels_of(options.channels, options.twins)
    with contextlib.redirect_stdout(sys.stderr):
        result = run_inputs(inputs, seed or 0, twins=("T1", "T2", "T3") if options.twins else (),
                            channels=channels, groups=groups, causes=None if options.causes else (),
                            folder=Path(options.out) if options.out else None, progress=not options.quiet)
    if options.json:
        print_json({"scenario": result.scenario, "seed": result.seed, "stop_reason": result.stop_reason,
                     "outcomes": result.outcomes, **result.shares()})
        return 0
    print(f"{result.scenario}, seed {result.seed}: {result.stop_reason}")
    _print_numbers(result.outcomes)
    for outcome, levels in result.attribution.items():
        print(f"\n{outcome} =")
        _print_numbers(levels)
    for outcome, levels in result.causes.levels().items() if result.causes is not None else ():
        print(f"\n{outcome}, by cause =")
        _print_numbers(levels)
    if options.out:
        print(f"\nresults in {options.out}")
    return 0


def sweep(options: argparse.Namespace) -> int:
    """Run a study and say where the results are; 1 when a run failed."""
    from spirals.scenarios.inputs.overrides import check_overrides
    from spirals.scenarios.inputs.study import load_study, study_cells

    faults = Faults()
    workers = faults.whole("--workers", options.workers, least=1)
    replications = faults.whole("--replications", options.replications, least=1)
    faults.attempt(check_overrides, options.set)
    study = faults.attempt(load_study, options.study, replications=replications)
    if study is not None:
        with contextlib.redirect_stdout(sys.stderr):  # what the user's code prints is no result
            faults.attempt(study_cells, study, options.set, allow_code=True)
    faults.raise_if_any()
    from spirals.scenarios.runs.study_sweep import sweep_study

    assert study is not None
    with contextlib.redirect_stdout(sys.stderr):
        result = sweep_study(study, options.set, workers=workers, folder=options.out, progress=not options.quiet)
    counts = result.counts
    if options.json:
        print_json({"study": study.name, "runs": len(result.table), "done": counts.done, "failed": counts.failed,
                     "reused": counts.reused, "digest": result.digest, "folder": str(result.folder),
                    "seconds": round(result.seconds, 1), "workers": result.workers})
    else:
        print(f"{study.name}: {counts.done} runs done ({counts.reused} of them earlier), {counts.failed} failed; "
              f"table {result.digest} in {result.folder}")
        print(f"{result.seconds / 60.0:.1f} minutes with {result.workers} workers")
    return 1 if counts.failed else 0


def report(options: argparse.Namespace) -> int:
    """Write the report of a results folder, or one summary of several, and print its path."""
    from spirals.scenarios.results.store import read_manifest

    folders = [Path(folder) for folder in options.folder]
    kinds = {folder: (read_manifest(folder) or {}).get("kind") for folder in folders}
    faults = [f"{f'folder of spirals {kind}' if kind else 'no manifest in the folder'}; allowed: a results folder of "
              f"run --out or sweep; given: {str(folder)!r}" for folder, kind in kinds.items()
              if kind not in ("run", "study")]
    if faults:
        raise InputError(faults)
    from spirals.scenarios.reports.write import write_report, write_summary

    try:
        print(write_summary(folders, options.out) if len(folders) > 1 else write_report(folders[0], options.out))
    except OSError as error:
        raise InputError([f"cannot write the report ({error.strerror}); allowed: a writable folder; "
                          f"given: {str(options.out or folders[0])!r}"]) from error
    return 0


def bench(options: argparse.Namespace) -> int:
    """Measure speed."""
    from spirals.scenarios.experiments.bench import main

    return int(main(as_json=options.json, full=options.full) or 0)


def fit_book(options: argparse.Namespace) -> int:
    """Fit a depth model to an L2 stream and print what was found."""
    from spirals.scenarios.calibration.fit_book import fit_book as fitted
    from spirals.scenarios.calibration.fit_book_output import as_json, text_table, write_fit
    from spirals.simulation.market.data_files import resolve_data_file

    fit = fitted(resolve_data_file(options.file, ending=".gz"), repair=options.repair)
    for line in fit.about["repairs"]:
        log.warning("%s", line)
    written = write_fit(fit, Path(options.out)) if options.out else []
    if options.json:
        print_json(as_json(fit))
        return 0
    print(text_table(fit))
    for path in written:
        print(path)
    return 0


def _print_numbers(numbers: Mapping[str, float]) -> None:
    width = max(map(len, numbers), default=0)
    for name, value in numbers.items():
        print(f"  {name:<{width}}  {'n/a' if math.isnan(value) else f'{value:.6g}'}")
