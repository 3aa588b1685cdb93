"""The small reference tables that are committed: the main study's first figure and its effects.

``python -m spirals.scenarios.reference results/procyclicality results/reference`` writes
``<study>.png`` and ``<study>-effects.csv``; the README quotes them and a test compares the two.
"""

import csv
import json
import sys
from pathlib import Path

from spirals.scenarios.effects import cell_effects, completed, in_design_order, overall_effect, study_layout
from spirals.scenarios.figures import rendered
from spirals.scenarios.figures_study import headline_figure
from spirals.scenarios.tables import read_runs
from spirals.simulation.measures.catalogue import unit_of

__all__ = ["REPORTED", "write_reference"]

REPORTED = ("excess_drawdown", "forced_notional", "bad_debt_gross", "margin_locked")
COLUMNS = ("outcome", "unit", "difference", "low", "high", "cells_higher", "cells_lower", "cells")


def write_reference(results: Path, folder: Path) -> list[Path]:
    """Write figure and effects of the study in `results` to `folder`; return the files."""
    manifest = json.loads((results / "manifest.json").read_text(encoding="utf-8"))
    runs = read_runs(results)
    runs = in_design_order(completed(runs), manifest["design"])
    layout = study_layout(runs, list(manifest["design"]), manifest.get("lever"))
    folder.mkdir(parents=True, exist_ok=True)
    name = manifest["name"]
    figure, table = folder / f"{name}.png", folder / f"{name}-effects.csv"
    rendered(headline_figure(runs, layout, manifest["outcomes"]), figure, dots_per_inch=110)
    with table.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for outcome in REPORTED:
            effects = cell_effects(runs, layout, outcome)
            overall = overall_effect(runs, layout, outcome)
            signs = [effect.difference.sign for effect in effects]
            interval = overall.difference
            writer.writerow([outcome, unit_of(outcome), *(f"{value:.6g}" for value in (
                interval.estimate, interval.low, interval.high)), signs.count(1), signs.count(-1), len(signs)])
    return [figure, table]


if __name__ == "__main__":
    for written in write_reference(Path(sys.argv[1]), Path(sys.argv[2])):
        print(written)
