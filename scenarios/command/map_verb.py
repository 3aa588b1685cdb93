"""What ``spirals map`` does: a stability map as tables and a figure."""

import argparse
import dataclasses
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spirals.scenarios.feedback.map_quantities import BOUNDARIES, MapProbe, measured_but_for, measured_by_probe
from spirals.scenarios.feedback.stability_map import LINES, MapQuestion, StabilityMap, side_of, stability_map
from spirals.scenarios.inputs.faults import Faults
from spirals.scenarios.inputs.lever_range import LeverRange, parse_range
from spirals.scenarios.results.documents import print_json, write_json
from spirals.scenarios.results.workers import available_cores

if TYPE_CHECKING:
    from spirals.scenarios.inputs.loader import Inputs

__all__ = ["map_document", "map_text", "map_verb"]

PROBE_OPTIONS = {"share": "probe", "horizon_seconds": "horizon", "at_seconds": "at"}


def map_verb(options: argparse.Namespace) -> int:
    """Evaluate, write and print."""
    from spirals.scenarios.inputs.design import replication_seed
    from spirals.scenarios.inputs.loader import resolve_scenario
    from spirals.scenarios.inputs.overrides import check_overrides
    from spirals.scenarios.results.progress import progress_bar
    from spirals.scenarios.runs.parts import Question, kept_parts

    faults = Faults()
    faults.attempt(check_overrides, options.set)
    base = faults.attempt(resolve_scenario, options.scenario, options.set, allow_code=True)
    x = faults.attempt(parse_range, "--x", options.x, options.scenario, options.set)
    y = faults.attempt(parse_range, "--y", options.y, options.scenario, options.set)
    if x is not None and y is not None and x.path == y.path:
        faults.lines.append(f"same lever in --x and --y; allowed: two levers; given: {x.path!r} twice")
    question = MapQuestion(options.quantity, faults.whole("--cells", options.cells, least=1) or 1,
                           faults.whole("--refinements", options.refinements, least=0, most=8) or 0)
    replications = faults.whole("--replications", options.replications, least=1) or 1
    seed = faults.whole("--seed", options.seed, least=0) or 0
    workers = faults.whole("--workers", options.workers, least=1, most=256) or available_cores()
    faults.lines += question.problems()
    probe = _probe(options, faults, _seconds(base))
    faults.lines = list(dict.fromkeys(faults.lines))
    faults.raise_if_any()
    seeds = [replication_seed(seed, k) for k in range(replications)]
    build = _builder(options.scenario, options.set, x, y)
    asked = {"seed": seed, "probe": None if probe is None else dataclasses.asdict(probe)}
    owned = Question("map", base, {"x": options.x, "y": options.y, "quantity": question.quantity, **asked})
    runs = (question.cells + 1)**2 * replications
    with (progress_bar(runs, 0, "run", not options.quiet) as told,
          kept_parts(options.out, owned, workers=workers, told=told) as parts):
        measured = (measured_but_for(build, seeds, parts) if probe is None
                    else measured_by_probe(build, question.quantity, probe, seeds, parts))
        found = stability_map(x, y, measured, question)
        document = map_document(options.scenario, options.set, found)
        document |= {"replications": replications, **asked}
        _write(Path(options.out), document, found)
    if options.json:
        print_json(document)
    else:
        print(map_text(document))
        print(f"\ntables and figure in {options.out}")
    return 0


def _seconds(inputs: "Inputs | None") -> float:
    """Return how long a scenario lasts; 0 for one that does not resolve."""
    from spirals.scenarios.inputs.loader import build_scenario

    scenario = None if inputs is None else build_scenario(inputs)
    return 0.0 if scenario is None else scenario.steps * scenario.step_seconds


def _probe(options: argparse.Namespace, faults: Faults, end: float) -> MapProbe | None:
    """Return the probe of a probed quantity, half way through the scenario unless stated; None for but_for."""
    given = {name: option for name, option in PROBE_OPTIONS.items() if getattr(options, option) is not None}
    if options.quantity == "but_for":
        faults.lines += [f"--{option} without a probe; allowed: with gain, closed or growth; given: but_for"
                         for option in given.values()]
        return None
    numbers: dict[str, Any] = {name: faults.real(f"--{option}", getattr(options, option))
                               for name, option in given.items()}
    if faults.lines:
        return None
    moment = numbers.pop("at_seconds", 0.5 * end)
    probe = dataclasses.replace(MapProbe(moment, side=-1 if options.side == "sell" else 1), **numbers)
    faults.lines += [f"bad number in --{PROBE_OPTIONS[name]}; allowed: above 0; given: {getattr(probe, name):g}"
                     for name in ("share", "horizon_seconds") if not getattr(probe, name) > 0.0]
    if not 0.0 < probe.at_seconds < end:
        faults.lines.append(f"bad number in --at; allowed: above 0, below {end:g} s (the end of the scenario); given: "
                            f"{probe.at_seconds:g}")
    return probe


def _builder(source: str, overrides: list[str], x: LeverRange, y: LeverRange) -> Any:
    from spirals.scenarios.inputs.loader import resolve_scenario

    return lambda across, up: resolve_scenario(source, [*overrides, x.override(across), y.override(up)],
                                               allow_code=True)


def map_document(scenario: str, overrides: list[str], found: StabilityMap) -> dict[str, Any]:
    """Return everything as plain data; `side` of a point: 1 unstable, -1 stable, 0 not determined."""
    points, level = [], BOUNDARIES[found.question.quantity]
    for place in sorted(found.points):
        across, up = found.values(place)
        one = found.points[place]
        points.append({"x": across, "y": up, "value": one.estimate, "low": one.low, "high": one.high,
                       "side": side_of(one, level)})
    return {
        "scenario": scenario, "overrides": list(overrides), "x": found.x.path, "y": found.y.path,
        "x_unit": found.x.unit, "y_unit": found.y.unit, **dataclasses.asdict(found.question), "boundary_at": level,
        "points": points, "boundary": [{"line": line, **dict(zip(("x0", "y0", "x1", "y1"), ends, strict=True))}
                                       for line in LINES for ends in found.boundary_values(line)],
    }


def map_text(document: dict[str, Any]) -> str:
    """Return the answer in a few lines."""
    values = [point["value"] for point in document["points"]]
    level, sides = document["boundary_at"], [point["side"] for point in document["points"]]
    lines = [f"{document['quantity']} of {document['scenario']} over {document['x']} and {document['y']}: "
             f"{len(values)} points, from {min(values):.3g} to {max(values):.3g}; unstable (at or above {level:g}): "
             f"{sides.count(1)}, stable: {sides.count(-1)}"]
    if 0 in sides:
        lines.append(f"the intervals of {sides.count(0)} points hold the boundary (hollow in the figure): their side "
                     "is not determined; more --replications decide")
    if {-1, 1} - set(sides):
        known = {1: "unstable", -1: "stable"}
        lines += [f"no point of the ranges is known to be {known[side]}" for side in (-1, 1) if side not in sides]
    segments = [row for row in document["boundary"] if row["line"] == "estimate"]
    if not segments:
        side = "unstable" if values[0] >= level else "stable"
        lines.append(f"no boundary within the ranges: by the estimates {side} everywhere")
    else:
        across = [end for row in segments for end in (row["x0"], row["x1"])]
        up = [end for row in segments for end in (row["y0"], row["y1"])]
        lines.append(f"boundary: {len(segments)} segments, {document['x']} from {min(across):.4g} to "
                     f"{max(across):.4g}, {document['y']} from {min(up):.4g} to {max(up):.4g}")
    return "\n".join(lines)


def _write(folder: Path, document: dict[str, Any], found: StabilityMap) -> None:
    from spirals.scenarios.reports.figures import rendered
    from spirals.scenarios.reports.figures_deconvolution import figure_bytes
    from spirals.scenarios.reports.figures_map import map_figure
    from spirals.scenarios.results.store import write_whole

    for name, rows, columns in (("map", document["points"], ("x", "y", "value", "low", "high", "side")),
                                ("boundary", document["boundary"], ("line", "x0", "y0", "x1", "y1"))):
        lines = [",".join(columns), *(",".join(str(row[column]) for column in columns) for row in rows)]
        write_whole(folder / f"{name}.csv", ("\n".join(lines) + "\n").encode())
    figure, picture = map_figure(found, document), io.BytesIO()
    write_whole(folder / "map.svg", figure_bytes(figure))
    rendered(figure, picture)
    write_whole(folder / "map.png", picture.getvalue())
    write_json(folder / "map.json", document)
