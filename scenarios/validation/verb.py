"""What ``spirals validate`` does: 0 when every row passes, 1 when one fails, 2 for bad input."""

import argparse
import logging
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spirals.scenarios.validation.case import Case
from spirals.scenarios.validation.runner import CaseResult
from spirals.scenarios.validation.select import select_cases

__all__ = ["validate"]

SEED = 1
LEAST_SCALINGS = 0.8

log = logging.getLogger("spirals")


def validate(options: argparse.Namespace) -> int:
    """Run validation cases, or mutations of them, and print what came out."""
    cases = select_cases(options.cases, options.set)
    from spirals.scenarios.results.first_use import announced

    with announced():
        return _mutations(options, cases) if options.mutations else _measurements(options, cases)


def _measurements(options: argparse.Namespace, cases: Sequence[Case]) -> int:
    from spirals.scenarios.validation.output import as_json, markdown, text_table
    from spirals.scenarios.validation.runner import run_cases

    results = run_cases(cases, options.full, SEED, _said)
    document = as_json(results, options.full, SEED)
    if options.out:
        _write(Path(options.out), results, document, markdown(results, _command(options)))
    if options.json:
        _print_document(document)
    else:
        print(text_table(results))
        if options.out:
            print(f"tables and figures in {options.out}")
    return 0 if document["passed"] else 1


def _mutations(options: argparse.Namespace, cases: Sequence[Case]) -> int:
    from spirals.scenarios.results.store import write_whole
    from spirals.scenarios.validation.mutations import mutate_case, mutation_json, mutation_table

    results = []
    for case in cases:
        for result in mutate_case(case, options.full, SEED):
            log.info("%s %s: smallest size noticed %g", result.case, result.mechanism, result.smallest)
            results.append(result)
    document = mutation_json(results)
    if options.out:
        page = f"# Mutations of the validation cases\n\nMade by `{_command(options)}`.\n\n{mutation_table(results)}\n"
        write_whole(Path(options.out) / "mutations.md", page.encode())
    if options.json:
        _print_document(document)
    else:
        print(mutation_table(results))
    enough = document["scalings_noticed"] >= LEAST_SCALINGS * document["scalings"]
    return 0 if enough and document["flips_noticed"] == document["flips"] else 1


def _said(result: CaseResult) -> None:
    log.info("%s: %s, %.1f s", result.case.name, "passed" if result.passed else "FAILED", result.seconds)


def _command(options: argparse.Namespace) -> str:
    """Return the command that makes the same numbers; the folder is left out."""
    words = ["spirals", "validate", *options.cases]
    for change in options.set:
        words += ["-s", change]
    words += [flag for flag in ("--full", "--mutations") if getattr(options, flag[2:])]
    return shlex.join(words)


def _write(folder: Path, results: Sequence[CaseResult], document: dict[str, Any], page: str) -> None:
    from spirals.scenarios.reports.figures_deconvolution import figure_bytes
    from spirals.scenarios.results.documents import write_json
    from spirals.scenarios.results.store import write_whole
    from spirals.scenarios.validation.output import case_figure

    for result in results:
        write_whole(folder / f"{result.case.name}.svg", figure_bytes(case_figure(result)))
    write_whole(folder / "validation.md", f"{page.rstrip()}\n".encode())
    lasting = {key: value for key, value in document.items() if key != "seconds"}   # the same file every time
    write_json(folder / "validation.json", lasting)


def _print_document(document: dict[str, Any]) -> None:
    from spirals.scenarios.results.documents import print_json

    print_json(document)
