"""What ``spirals map`` does: a stability map as tables and a figure."""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spirals.scenarios.command_support import Faults, plain, print_json
from spirals.scenarios.lever_range import LeverRange, parse_range
from spirals.scenarios.stability_map import BOUNDARIES, MapQuestion, StabilityMap, scenario_quantity, stability_map

if TYPE_CHECKING:
    from spirals.scenarios.probe import Probe

__all__ = ["map_document", "map_text", "map_verb"]


def map_verb(options: argparse.Namespace) -> int:
    """Evaluate, write and print."""
    from spirals.scenarios.design import replication_seed
    from spirals.scenarios.first_use import announced
    from spirals.scenarios.loader import load_scenario
    from spirals.scenarios.overrides import check_overrides
    from spirals.scenarios.progress import progress_bar

    faults = Faults()
    faults.attempt(check_overrides, options.set)
    base = faults.attempt(load_scenario, options.scenario, options.set)
    x = faults.attempt(parse_range, "--x", options.x, options.scenario, options.set)
    y = faults.attempt(parse_range, "--y", options.y, options.scenario, options.set)
    question = MapQuestion(options.quantity, faults.whole("--cells", options.cells, least=1) or 1,
                           faults.whole("--refinements", options.refinements, least=0, most=8) or 0)
    replications = faults.whole("--replications", options.replications, least=1) or 1
    seed = faults.whole("--seed", options.seed, least=0) or 0
    share, horizon, at = (faults.real(f"--{name}", getattr(options, name)) for name in ("probe", "horizon", "at"))
    faults.lines += question.problems()
    if not faults.lines:
        end = base.steps * base.step_seconds
        at = 0.5 * end if options.at is None else at
        faults.lines += _problems(share, horizon, at, end)
    faults.lines = list(dict.fromkeys(faults.lines))
    faults.raise_if_any()
    build = _builder(options.scenario, options.set, x, y)
    seeds = [replication_seed(seed, k) for k in range(replications)]
    probe_at = _probe_maker(share, horizon, options.side)
    with announced(), progress_bar((question.cells + 1)**2, 0, "point", not options.quiet) as told:
        found = stability_map(x, y, scenario_quantity(build, question, probe_at, at, seeds, told), question)
    document = map_document(options.scenario, options.set, found)
    document |= {"at_seconds": at, "side": options.side, "probe_share": share, "horizon_seconds": horizon,
                 "replications": replications, "seed": seed}
    _write(Path(options.out), document, found)
    if options.json:
        print_json(document)
    else:
        print(map_text(document))
        print(f"\ntables and figure in {options.out}")
    return 0


def _problems(share: float, horizon: float, at: float, end: float) -> list[str]:
    found = [f"bad number in {name}; allowed: above 0; given: {value:g}"
             for name, value in (("--probe", share), ("--horizon", horizon)) if not value > 0.0]
    if not 0.0 < at < end:
        found.append(f"bad number in --at; allowed: above 0, below {end:g} s (the end of the scenario); given: {at:g}")
    return found


def _builder(source: str, overrides: list[str], x: LeverRange, y: LeverRange) -> Any:
    from spirals.scenarios.loader import load_scenario

    return lambda across, up: load_scenario(source, [*overrides, x.override(across), y.override(up)])


def _probe_maker(share: float, horizon: float, side: str) -> Any:
    from spirals.scenarios.probe import BUY, SELL, Probe

    def made(core: Any) -> "Probe":
        lots = core.opening_open_interest[0] * core.contracts["lot_value"][0] * core.contracts["atom"][0]
        size = share * float(lots * core.market.record["mark"][0])
        return Probe(size, seconds=min(5.0, horizon), horizon_seconds=horizon, side=SELL if side == "sell" else BUY,
                     branches=2, still=True)

    return made


def map_document(scenario: str, overrides: list[str], found: StabilityMap) -> dict[str, Any]:
    """Return everything as plain data."""
    points = []
    for place in sorted(found.points):
        across, up = found.values(place)
        one = found.points[place]
        points.append({"x": across, "y": up, "value": one.estimate, "low": one.low, "high": one.high})
    return {
        "scenario": scenario, "overrides": list(overrides), "x": found.x.path, "y": found.y.path,
        **dataclasses.asdict(found.question), "boundary_at": BOUNDARIES[found.question.quantity], "points": points,
        "boundary": [dict(zip(("x0", "y0", "x1", "y1"), ends, strict=True)) for ends in found.boundary_values()],
    }


def map_text(document: dict[str, Any]) -> str:
    """Return the answer in a few lines."""
    values = [point["value"] for point in document["points"]]
    unstable = sum(value >= document["boundary_at"] for value in values)
    lines = [f"{document['quantity']} of {document['scenario']} over {document['x']} and {document['y']}: "
             f"{len(values)} points, from {min(values):.3g} to {max(values):.3g}; {unstable} at or above "
             f"{document['boundary_at']:g}"]
    level = document["boundary_at"]
    open_ = sum(not (point["low"] > level or point["high"] < level) for point in document["points"])
    if open_:
        lines.append(f"the intervals of {open_} points hold the boundary (hollow in the figure): their side is noise; "
                     "more --replications decide")
    if not document["boundary"]:
        side = "unstable" if unstable else "stable"
        lines.append(f"no boundary within the ranges: {side} everywhere")
    else:
        across = [end for row in document["boundary"] for end in (row["x0"], row["x1"])]
        up = [end for row in document["boundary"] for end in (row["y0"], row["y1"])]
        lines.append(f"boundary: {len(document['boundary'])} segments, {document['x']} from {min(across):.4g} to "
                     f"{max(across):.4g}, {document['y']} from {min(up):.4g} to {max(up):.4g}")
    return "\n".join(lines)


def _write(folder: Path, document: dict[str, Any], found: StabilityMap) -> None:
    from spirals.scenarios.figures_deconvolution import figure_bytes
    from spirals.scenarios.figures_feedback import map_figure
    from spirals.scenarios.store import write_whole

    for name, rows, columns in (("map", document["points"], ("x", "y", "value", "low", "high")),
                                ("boundary", document["boundary"], ("x0", "y0", "x1", "y1"))):
        lines = [",".join(columns), *(",".join(repr(float(row[column])) for column in columns) for row in rows)]
        write_whole(folder / f"{name}.csv", ("\n".join(lines) + "\n").encode())
    write_whole(folder / "map.svg", figure_bytes(map_figure(found)))
    text = json.dumps(plain(document), indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(folder / "map.json", f"{text}\n".encode())
