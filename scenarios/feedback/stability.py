"""Stability margin along the path of a run: 1 - n of the open loop, by probes at a few points before the end.

The probe is stated in the results: it sells a share of the opening open interest over some seconds, and what forced
orders come within the horizon counts. At a margin of zero a sale sets off a sale of its own size. The probe is large,
because what forks of one state do differs by one to three per cent of the open interest whatever the probe
(:mod:`spirals.scenarios.feedback.probe_precision`): the answer to half a per cent is noise.
"""

import math
from typing import TYPE_CHECKING, Any

from spirals.scenarios.feedback.probe import Probe, stability_path
from spirals.scenarios.results.documents import plain

if TYPE_CHECKING:
    from spirals.scenarios.inputs.loader import Inputs

__all__ = ["PROBES", "stability_along"]

PROBES = 20                  # points along the path
SHARE = 0.05                 # [fraction] of the opening open interest that the probe sells
SECONDS, HORIZON = 10.0, 60.0
BRANCHES = 6


def stability_along(inputs: "Inputs", seed: int = 0) -> dict[str, Any]:
    """Return the probe and its responses along the path as plain data.

    Parameters
    ----------
    inputs : Inputs
        Of the scenario.
    seed : int

    Returns
    -------
    dict
        ``size`` [quote], ``share`` of the opening open interest, ``seconds``, ``horizon_seconds``, ``branches`` and
        ``rows``, each with ``seconds`` since the opening, ``opened`` and ``closed`` [ratio] with their 95 % intervals
        ``opened_low`` and so on over branches, and ``margin``; no rows without open interest. ``impulse``: answers to a
        sale and a purchase at the first point and at that of the smallest margin, as ``spirals probe --json`` has them.
    """
    from spirals.agents.model import SpiralModel
    from spirals.scenarios.inputs.loader import build_scenario

    core = SpiralModel(setup=build_scenario(inputs), rng=seed, collect_every=0).core
    size = SHARE * core.record().opening_open_interest
    stated: dict[str, Any] = {"size": size, "share": SHARE, "seconds": SECONDS, "horizon_seconds": HORIZON,
                              "branches": BRANCHES, "rows": []}
    duration = core.n_steps * core.step_seconds
    if not size > 0.0 or duration < 2.0 * HORIZON:
        return stated
    probe = Probe(size, max(SECONDS, core.step_seconds), max(HORIZON, core.step_seconds), branches=BRANCHES)
    for one in stability_path(core, probe, duration / (PROBES + 1)):
        row = {"seconds": one.step * core.step_seconds, "margin": one.stability_margin}
        for name, found in (("opened", one.opened), ("closed", one.closed)):
            row |= {name: found.estimate, f"{name}_low": found.low, f"{name}_high": found.high}
        stated["rows"].append({key: value if math.isfinite(value) else None for key, value in row.items()})
    stated["impulse"] = _impulse(inputs, seed, stated["rows"])
    return stated


def _impulse(inputs: "Inputs", seed: int, rows: list[dict[str, Any]]) -> dict[str, Any]:
    told = [row for row in rows if row["margin"] is not None]
    if not told:
        return {}
    from spirals.scenarios.feedback.impulse import ProbeAt, impulse_document, impulses

    probe = ProbeAt(branches=BRANCHES)
    moments = sorted({told[0]["seconds"], min(told, key=lambda row: float(row["margin"]))["seconds"]})
    answers = impulses(inputs, probe, moments, [seed])
    found: dict[str, Any] = plain(impulse_document(inputs.name, (), probe, answers))
    return found
