"""Impulse responses: what price, margin, depth and forced flow answer to a sale and to a purchase of stated size.

One state per seed is probed (:mod:`spirals.scenarios.feedback.probe`), on both sides; the answer is the mean over
seeds, so that it is not that of one population. With a single seed it is the mean over the forks of that state.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spirals.scenarios.feedback.probe import BUY, RESPONSES, SELL, Probe, Response, probe_state
from spirals.simulation.measures.intervals import Interval, fieller_interval, mean_interval

if TYPE_CHECKING:
    from spirals.scenarios.inputs.scenario import Scenario

__all__ = ["SIDES", "Impulse", "ProbeAt", "impulse_document", "impulses"]

SIDES = {"sell": SELL, "buy": BUY}


@dataclasses.dataclass(frozen=True)
class ProbeAt:
    """A probe whose size is a share of the opening open interest.

    Attributes
    ----------
    share : float
        [fraction of the opening open interest, at the mark of the moment]
    seconds, horizon_seconds : float
        [s] As of :class:`~spirals.scenarios.feedback.probe.Probe`.
    branches : int
        Pairs of forks per state.
    still : bool
        Whether the outside price stands still from the moment on.
    """

    share: float = 0.05
    seconds: float = 5.0
    horizon_seconds: float = 120.0
    branches: int = 2
    still: bool = True

    def of(self, core: Any, side: int) -> Probe:
        """Return the probe of one state."""
        lots = core.opening_open_interest[0] * core.contracts["lot_value"][0] * core.contracts["atom"][0]
        return Probe(self.share * float(lots * core.market.record["mark"][0]),
                     max(self.seconds, core.step_seconds), max(self.horizon_seconds, core.step_seconds), side,
                     self.branches, self.still)


@dataclasses.dataclass(frozen=True)
class Impulse:
    """The answer to a probe on one side.

    Attributes
    ----------
    side : str
        Name of :data:`SIDES`.
    at_seconds : float
        [s] Moment of the probe.
    size : float
        [quote] Mean over seeds.
    seconds : ndarray of shape (n,)
        [s] Since the start of the probe.
    mean, error : dict of str to ndarray of shape (n,)
        Mean and standard error by name of :data:`~spirals.scenarios.feedback.probe.RESPONSES`; over seeds, or over the
        forks of a single seed.
    opened, closed : Interval
        Loop gain by the open and the closed loop; over seeds the latter is a ratio of means, with Fieller's interval.
    """

    side: str
    at_seconds: float
    size: float
    seconds: NDArray[np.float64]
    mean: dict[str, NDArray[np.float64]]
    error: dict[str, NDArray[np.float64]]
    opened: Interval
    closed: Interval


def impulses(
    scenario: "Scenario", probe: ProbeAt, at_seconds: Sequence[float], seeds: Sequence[int],
    sides: Sequence[str] = ("sell", "buy"), told: Callable[[int], Any] = lambda done: None,
) -> list[Impulse]:
    """Return the answers of a scenario at some moments, moment by moment and side by side.

    Parameters
    ----------
    scenario : Scenario
    probe : ProbeAt
    at_seconds : sequence of float
        [s] Increasing, each before the end of the scenario.
    seeds : sequence of int
        At least one.
    sides : sequence of str
        Names of :data:`SIDES`.
    told : callable
        Called with 1 after each seed.

    Raises
    ------
    InputError
        Parameters of the probe out of range.
    """
    from spirals.agents.model import SpiralModel

    answers: dict[tuple[float, str], list[tuple[float, Response]]] = {
        (at, side): [] for at in at_seconds for side in sides}
    for seed in seeds:
        core = SpiralModel(setup=scenario, rng=seed, collect_every=0).core
        for at in at_seconds:
            core.run(max(0, round(at / core.step_seconds) - core.step_index))
            for side in sides:
                one = probe.of(core, SIDES[side])
                answers[at, side].append((one.size, probe_state(core, one)))
        told(1)
    return [_pooled(side, at, found) for (at, side), found in answers.items()]


def _pooled(side: str, at_seconds: float, found: list[tuple[float, Response]]) -> Impulse:
    responses = [response for _, response in found]
    if len(responses) == 1:
        (one,) = responses
        return Impulse(side, at_seconds, found[0][0], one.seconds, one.paths, one.errors, one.opened, one.closed)
    sizes, forced = np.array([size for size, _ in found]), np.array([one.paths["forced"][-1] for one in responses])
    stacked = {name: np.stack([one.paths[name] for one in responses]) for name in RESPONSES}
    return Impulse(
        side, at_seconds, float(sizes.mean()), responses[0].seconds,
        {name: paths.mean(axis=0) for name, paths in stacked.items()},
        {name: paths.std(axis=0, ddof=1) / np.sqrt(len(paths)) for name, paths in stacked.items()},
        mean_interval(np.array([one.opened.estimate for one in responses])),
        fieller_interval(forced, sizes + forced))


def impulse_document(
    scenario: str, overrides: Sequence[str], probe: ProbeAt, found: Sequence[Impulse]
) -> dict[str, Any]:
    """Return everything as plain data."""
    rows = []
    for one in found:
        gains: dict[str, float] = {}
        for name, interval in (("opened", one.opened), ("closed", one.closed)):
            gains |= {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}
        rows.append({
            "side": one.side, "at_seconds": one.at_seconds, "size": one.size, **gains,
            "stability_margin": 1.0 - one.opened.estimate, "seconds": one.seconds.tolist(),
            **{name: one.mean[name].tolist() for name in RESPONSES},
            **{f"{name}_error": one.error[name].tolist() for name in RESPONSES},
        })
    return {"scenario": scenario, "overrides": list(overrides), **dataclasses.asdict(probe), "units": RESPONSES,
            "responses": rows}
