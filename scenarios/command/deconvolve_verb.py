"""What ``spirals deconvolve`` does: the grid, its files, its answer."""

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spirals.scenarios.calibration.deconvolution_grid import (
    DEPTHS,
    INDEX_FEEDBACKS,
    Cell,
    amplification_set,
    as_record,
    solve_grid,
)
from spirals.scenarios.calibration.deconvolution_text import paragraph, table
from spirals.scenarios.inputs.faults import Faults
from spirals.scenarios.results.documents import print_json, write_json

__all__ = ["deconvolve"]

log = logging.getLogger("spirals")


def deconvolve(options: argparse.Namespace) -> int:
    """Find the exogenous paths of a scenario's bars over depth x index feedback and print the set of amplification."""
    from spirals.scenarios.inputs.design import replication_seed
    from spirals.scenarios.inputs.loader import load_scenario, resolve_scenario
    from spirals.scenarios.inputs.overrides import check_overrides
    from spirals.scenarios.results.first_use import announced
    from spirals.scenarios.runs.parts import Question, answer_folder

    faults = Faults()
    faults.attempt(check_overrides, options.set)
    seed = faults.whole("--seed", options.seed, least=0) or 0
    replications = faults.whole("--replications", options.replications, least=1)
    workers = faults.whole("--workers", options.workers, least=1) or 1
    kappas = faults.attempt(_numbers, "--kappas", options.kappas, 0.0, 1.0) or ()
    tolerance = faults.attempt(_numbers, "--tolerance-bp", options.tolerance_bp, 0.01, 1000.0)
    depths = [word.strip() for word in options.depths.split(",")] if options.depths else list(DEPTHS)
    for depth in depths:
        for kappa in kappas:
            faults.attempt(load_scenario, options.scenario, [*options.set, *_cell_overrides(depth, kappa)])
    faults.lines = list(dict.fromkeys(faults.lines))
    faults.raise_if_any()
    seeds = [replication_seed(seed, r) for r in range(replications)] if replications else [seed]
    asked = {"price": options.price, "tolerance_bp": tolerance[0], "depths": depths, "kappas": list(kappas),
             "seeds": seeds}
    owned = Question("deconvolve", resolve_scenario(options.scenario, options.set), asked)
    with answer_folder(options.out, owned), announced():
        cells = solve_grid(
            options.scenario, options.set, depths=depths, index_feedbacks=kappas, seeds=seeds, workers=workers,
            price=options.price, tolerance=tolerance[0] * 1e-4,
        )
        document = {
            "scenario": cells[0].found.scenario, "overrides": list(options.set), "price": options.price,
            "tolerance_bp": tolerance[0], "slack": cells[0].found.slack, "seeds": seeds,
            "cells": [as_record(cell) for cell in cells], "set": amplification_set(cells), "text": paragraph(cells),
        }
        if options.out:
            write_folder(Path(options.out), options.scenario, options.set, cells, document)
    if options.json:
        print_json(document)
        return 0
    print(table(cells))
    for cell in cells:
        if cell.found.reason:
            print(f"\n{cell.label}, seed {cell.found.seed}: {cell.found.reason}")
    print(f"\n{document['text']}")
    if options.out:
        print(f"\npaths, scenarios and figures in {options.out}")
    return 0


def write_folder(
    folder: Path, scenario: str, overrides: Sequence[str], cells: Sequence[Cell], document: dict[str, Any]
) -> None:
    """Write per cell the path, a scenario on it and a figure per seed; ``deconvolution.json`` for all.

    With several seeds the path file has one column per seed: a run takes the column of its own seed.
    """
    from spirals.scenarios.reports.figures_deconvolution import deconvolution_figure, figure_bytes
    from spirals.scenarios.results.store import write_whole
    from spirals.simulation.market.frozen_path import path_text

    several = len(document["seeds"]) > 1
    for label in dict.fromkeys(cell.label for cell in cells):
        here = [cell.found for cell in cells if cell.label == label]
        columns = {f"seed_{found.seed}" if several else "price": found.exogenous[:, 0] for found in here}
        text = path_text(columns, here[0].record.step_seconds, here[0].opening_seconds)
        write_whole(folder / f"{label}.csv", text.encode())
        changes = [*overrides, *_cell_overrides(here[0].depth, here[0].index_feedback)]
        write_whole(folder / f"{label}.toml", _scenario_text(scenario, changes, folder, label, here[0].price).encode())
        for found in here:
            name = f"{label}-{found.seed}" if several else label
            write_whole(folder / f"{name}.svg", figure_bytes(deconvolution_figure(found)))
    write_json(folder / "deconvolution.json", document)


def _scenario_text(scenario: str, overrides: Sequence[str], folder: Path, label: str, price: str) -> str:
    """Return the scenario of a cell on its frozen path, all inputs stated, the path named relative to its folder."""
    from spirals.scenarios.command.show import inputs_text
    from spirals.scenarios.inputs.loader import resolve_scenario

    path = f"{label}.csv"
    frozen = [f"outside_world={{type = \"FrozenPath\", file = {json.dumps(str((folder / path).resolve()))}}}"]
    inputs = resolve_scenario(scenario, [*overrides, *frozen])
    tree = inputs.tree
    tree["summary"] = f"{tree['name']} on the exogenous path deconvolved from its bars ({label}, {price})"
    tree["name"] = f"{tree['name']}-{label}"
    tree["outside_world"]["file"] = path
    sources = {key: text for key, text in (tree.get("sources") or {}).items() if not key.startswith("outside_world")}
    tree["sources"] = {**sources, "outside_world.file": f"spirals deconvolve {scenario}: solved, not observed"}
    return inputs_text(inputs)


def _cell_overrides(depth: str, kappa: float) -> list[str]:
    return [f"depth.type={depth}", f"price_feed.index_feedback={kappa!r}"]


def _numbers(name: str, text: str | None, low: float, high: float) -> list[float]:
    """Return the comma-separated numbers of an option; raises InputError when one is out of range."""
    from spirals.simulation.errors import InputError

    if text is None:
        return list(INDEX_FEEDBACKS)
    found = []
    for word in text.split(","):
        try:
            value = float(word)
        except ValueError:
            value = low - 1.0
        if not low <= value <= high:
            raise InputError([f"bad number in {name}; allowed: in [{low:g}, {high:g}]; given: {word!r}"])
        found.append(value)
    return found
