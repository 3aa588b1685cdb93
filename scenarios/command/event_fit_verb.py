"""What ``spirals fit-event`` does: fit one event, predict another, print and keep the answer."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spirals.scenarios.calibration.deconvolution_grid import Cell, amplification_set, as_record, solve_grid
from spirals.scenarios.calibration.event_fit import BEHAVIOUR, Event, EventFit, Scored, fit_event, open_event, predict
from spirals.scenarios.calibration.event_fit_text import Section, as_plain_scores, markdown, plain, sections
from spirals.scenarios.inputs.faults import Faults
from spirals.scenarios.results.documents import print_json, write_json

__all__ = ["QUICK", "fit_document", "fit_event_verb", "fitted_answer", "write_fit_folder"]

QUICK, THOROUGH = (2, 2), (4, 3)     # seeds, iterations
KAPPA = "price_feed.index_feedback"
log = logging.getLogger("spirals")


def fit_event_verb(options: argparse.Namespace) -> int:
    """Fit the behaviour to one event, predict the other, and print tables, matrices and paragraphs."""
    from spirals.scenarios.inputs.loader import resolve_scenario
    from spirals.scenarios.inputs.overrides import check_overrides
    from spirals.scenarios.results.first_use import announced
    from spirals.scenarios.runs.parts import Question, answer_folder

    n_seeds, iterations = QUICK if options.quick else THOROUGH
    faults = Faults()
    faults.attempt(check_overrides, options.set)
    n_seeds = faults.whole("--seeds", options.seeds, least=2, most=1000) or n_seeds
    event = faults.attempt(open_event, options.event, options.set)
    other = faults.attempt(open_event, options.transfer, options.set) if options.transfer else None
    faults.lines = list(dict.fromkeys(faults.lines))
    faults.raise_if_any()
    asked = {"transfer": options.transfer, "seeds": n_seeds, "quick": options.quick}
    owned = Question("fit-event", resolve_scenario(options.event, options.set), asked)
    with answer_folder(options.out, owned), announced():
        parts, document = fitted_answer(event, other, range(n_seeds), iterations, thin=options.quick)
        if options.out:
            write_fit_folder(Path(options.out), event.name, _command(options), parts, document)
    if options.json:
        print_json(document)
    else:
        print(plain(parts))
        if options.out:
            print(f"files in {options.out}")
    return 0


def fitted_answer(
    event: Event, other: Event | None, seeds: Sequence[int], iterations: int, *, thin: bool
) -> tuple[list[Section], dict[str, Any]]:
    """Fit `event`, predict `other` where given, and return the answer as sections and as plain data."""
    fit = fit_event(event, BEHAVIOUR, seeds=seeds, iterations=iterations, thin=thin, say=log.info)
    cells = _cells(event, fit)
    found = predict(other, fit.overrides, seeds) if other else None
    other_cells = _cells(other, fit) if other else []
    name = other.name if other else ""
    return sections(fit, cells, found, name, other_cells), fit_document(fit, cells, found, name, other_cells)


def fit_document(
    fit: EventFit, cells: Sequence[Cell], found: Scored | None, other: str, other_cells: Sequence[Cell]
) -> dict[str, Any]:
    """Return the whole answer as plain data."""
    known = fit.identification
    transfer = {"scenario": other, **as_plain_scores(found), "set": amplification_set(other_cells),
                "cells": [as_record(cell) for cell in other_cells]} if found else None
    parts = sections(fit, cells, found, other, other_cells)
    return {
        "scenario": fit.event.name, "overrides": list(fit.event.overrides), "seeds": list(fit.seeds),
        "evaluations": fit.evaluations, "free_parameters": len(fit.parameters), "fitted_moments": len(known.moments),
        "parameters": [{
            "path": parameter.path, "label": parameter.label, "low": parameter.low, "high": parameter.high,
            "logarithmic": parameter.logarithmic, "start": float(fit.start[k]), "estimate": float(fit.estimate[k]),
            "error_of_range": float(known.errors[k]), "identified": parameter.label in known.identified,
            "at_bound": parameter.label in fit.at_bound} for k, parameter in enumerate(fit.parameters)],
        "before": as_plain_scores(fit.before), "after": as_plain_scores(fit.after), "objective": fit.objective,
        "j": {"statistic": fit.j_statistic, "freedom": fit.j_freedom}, "identifiability": known.as_record(),
        "not_scored": [{"figure": line.figure, "reason": line.reason} for line in fit.event.not_scored],
        "set": amplification_set(cells), "cells": [as_record(cell) for cell in cells], "transfer": transfer,
        "text": [body for _, body in parts if isinstance(body, str)],
    }


def write_fit_folder(
    folder: Path, name: str, command: str, parts: Sequence[Section], document: dict[str, Any]
) -> None:
    """Write ``event-fit-NAME.md``, ``.json`` and the figure of the moments, each whole or not at all."""
    from spirals.scenarios.reports.figures_deconvolution import figure_bytes
    from spirals.scenarios.reports.figures_event import moments_figure
    from spirals.scenarios.results.store import write_whole

    stem = f"event-fit-{name}"
    write_whole(folder / f"{stem}.md", markdown(f"Event fit: {name}", command, parts).encode())
    write_json(folder / f"{stem}.json", document)
    write_whole(folder / f"{stem}.svg", figure_bytes(moments_figure(document)))


def _cells(event: Event, fit: EventFit) -> list[Cell]:
    fixed = [line for line in fit.overrides if not line.startswith(f"{KAPPA}=")]
    return solve_grid(event.source, [*event.overrides, *fixed], seeds=fit.seeds[:1])


def _command(options: argparse.Namespace) -> str:
    words = ["spirals fit-event", options.event]
    words += ["--transfer", options.transfer] if options.transfer else []
    words += ["--seeds", options.seeds] if options.seeds else []
    words += ["--quick"] if options.quick else []
    return " ".join([*words, *(f"-s {line}" for line in options.set)])
