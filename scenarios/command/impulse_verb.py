"""What ``spirals probe`` does: loop gain and impulse responses at moments of a scenario."""

import argparse
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spirals.scenarios.feedback.impulse import Impulse, ProbeAt, impulse_document, impulses
from spirals.scenarios.feedback.probe import RESPONSES
from spirals.scenarios.inputs.faults import Faults
from spirals.scenarios.results.documents import print_json, write_json
from spirals.scenarios.results.workers import available_cores

__all__ = ["impulse_text", "probe_verb"]

LARGEST = 1.0   # [fraction of the opening open interest] of a probe


def probe_verb(options: argparse.Namespace) -> int:
    """Probe and print."""
    from spirals.scenarios.inputs.design import replication_seed
    from spirals.scenarios.inputs.loader import build_scenario, resolve_scenario
    from spirals.scenarios.inputs.overrides import check_overrides
    from spirals.scenarios.results.progress import progress_bar
    from spirals.scenarios.runs.parts import Question, kept_parts

    faults = Faults()
    faults.attempt(check_overrides, options.set)
    inputs = faults.attempt(resolve_scenario, options.scenario, options.set, allow_code=True)
    share, seconds, horizon = (faults.real(f"--{name}", getattr(options, name)) for name in ("size", "over", "horizon"))
    branches = faults.whole("--branches", options.branches, least=2) or 2
    replications = faults.whole("--replications", options.replications, least=1) or 1
    seed = faults.whole("--seed", options.seed, least=0) or 0
    moments = [faults.real("--at", text) for text in (options.at or "").split(",") if text]
    workers = faults.whole("--workers", options.workers, least=1, most=256) or available_cores()
    if not faults.lines:
        scenario = build_scenario(inputs)
        end = scenario.steps * scenario.step_seconds
        moments = sorted(set(moments)) or [0.5 * end]
        faults.lines += _problems(share, seconds, horizon, moments, end)
    faults.raise_if_any()
    probe = ProbeAt(share, seconds, horizon, branches, still=not options.path)
    sides = ("sell", "buy") if options.side == "both" else (options.side,)
    seeds = [replication_seed(seed, k) for k in range(replications)]
    asked = {**dataclasses.asdict(probe), "at_seconds": moments, "sides": list(sides), "seed": seed}
    with (progress_bar(replications, 0, "seed", not options.quiet) as told,
          kept_parts(options.out, Question("probe", inputs, asked), workers=workers, told=told) as parts):
        found = impulses(inputs, probe, moments, seeds, sides, parts)
        document = impulse_document(options.scenario, options.set, probe, found)
        document |= {"replications": replications, "seed": seed}
        if options.out:
            _write(Path(options.out), document, found)
    if options.json:
        print_json(document)
        return 0
    print(impulse_text(document))
    if options.out:
        print(f"\ntable and figure in {options.out}")
    return 0


def _problems(share: float, seconds: float, horizon: float, moments: Sequence[float], end: float) -> list[str]:
    found = [f"bad number in {name}; allowed: above 0; given: {value:g}"
             for name, value in (("--over", seconds), ("--horizon", horizon)) if not value > 0.0]
    if not 0.0 < share <= LARGEST:
        found.append(f"bad number in --size; allowed: above 0, at most {LARGEST:g} (share of the opening open "
                     f"interest); given: {share:g}")
    if not found and seconds > horizon:
        found.append(f"bad number in --over; allowed: at most --horizon ({horizon:g} s); given: {seconds:g}")
    return found + [f"bad number in --at; allowed: at least 0, below {end:g} s (the end of the scenario); given: {at:g}"
                    for at in moments if not 0.0 <= at < end]


def impulse_text(document: dict[str, Any]) -> str:
    """Return a table: a row per moment and side."""
    path = "stands still" if document["still"] else "goes its way"
    seeds = document.get("replications", 1)
    intervals = f"over {seeds} seeds" if seeds > 1 else "over the forks of one state"
    lines = [
        f"probe: {100.0 * document['share']:g} % of the opening open interest within {document['seconds']:g} s; "
        f"answers after {document['horizon_seconds']:g} s, {document['branches']} pairs of forks per state; the "
        f"outside price {path}; intervals (95 %) {intervals}",
        f"{'at':>8s} {'side':>5s} {'gain, open loop':>24s} {'gain, closed loop':>24s} {'mark':>9s} {'furthest':>9s} "
        f"{'rate':>8s} {'depth':>8s} {'forced':>9s}",
        f"{'[s]':>8s} {'':>5s} {'':>24s} {'':>24s} {'[bp]':>9s} {'[bp]':>9s} {'[bp]':>8s} {'x':>8s} "
        f"{'/ probe':>9s}",
    ]
    for row in document["responses"]:
        gains = [f"{row[name]:.3g} [{row[name + '_low']:.3g}, {row[name + '_high']:.3g}]"
                 for name in ("opened", "closed")]
        far = max(row["mark"], key=abs)
        lines.append(
            f"{row['at_seconds']:8g} {row['side']:>5s} {gains[0]:>24s} {gains[1]:>24s} {1e4 * row['mark'][-1]:9.1f} "
            f"{1e4 * far:9.1f} {1e4 * row['initial_rate'][-1]:8.2f} {math.exp(row['depth'][-1]):8.2f} "
            f"{row['forced'][-1] / row['size']:z9.3f}")
    return "\n".join(lines).replace("nan", "n/a")


def _write(folder: Path, document: dict[str, Any], found: Sequence[Impulse]) -> None:
    from spirals.scenarios.reports.figures_deconvolution import figure_bytes
    from spirals.scenarios.reports.figures_impulse import impulse_figure
    from spirals.scenarios.results.store import write_whole

    columns = ["seconds", *RESPONSES, *(f"{name}_error" for name in RESPONSES)]
    lines = [",".join(["at_seconds", "side", *columns])]
    for row in document["responses"]:
        for values in zip(*(row[name] for name in columns), strict=True):
            lines.append(",".join([repr(row["at_seconds"]), row["side"], *map(repr, values)]))
    write_whole(folder / "response.csv", ("\n".join(lines) + "\n").encode())
    write_whole(folder / "response.svg", figure_bytes(impulse_figure(found)))
    write_json(folder / "probe.json", document)
