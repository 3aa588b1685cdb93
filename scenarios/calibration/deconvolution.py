"""Deconvolution: the exogenous path whose full simulation reproduces given bars.

A replay of the bars of a crash as the outside price counts the venue's own impact twice: once in the bars, once in
the simulation. Here the path is the unknown. It is found bar by bar, with the state of the whole simulation saved at
the start of each bar and restored for every trial: every trial sees the same draws, so the simulated bar is a
function of the exogenous path inside it alone. That function is not smooth (one liquidation more or less), hence a
damped fixed-point search that keeps its best trial, two shapes of the path to start from, and a scan of moves where
both fail. What it cannot reach is reported, bar by bar, never smoothed over.

What this identifies is a path *given* depth, index feedback and population, not the path: other depths give other
paths with the same bars. :mod:`spirals.scenarios.calibration.deconvolution_grid` reports the set.
"""

import dataclasses
import itertools
import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spirals.scenarios.calibration.deconvolution_bar import BarSearch, Rules, logs
from spirals.simulation.errors import InputError
from spirals.simulation.market.bars import Bars
from spirals.simulation.market.frozen_path import GivenPath
from spirals.simulation.market.historical_bars import HistoricalBars, bars_in_rows, bridge
from spirals.simulation.market.outside_world import SECONDS_PER_DAY
from spirals.simulation.market.random_crash import RandomCrash
from spirals.simulation.market.shocks import PriceJump, VolatilityShock
from spirals.simulation.randomness import stream_key

if TYPE_CHECKING:
    from spirals.scenarios.inputs.scenario import Scenario
    from spirals.simulation.market.depth import Depth
    from spirals.simulation.measures.record import RunRecord

__all__ = ["MATCHED", "PRICES", "Deconvolution", "bars_from_path", "deconvolve"]

PRICES = ("mark", "mid", "last")
MATCHED = ("high", "low", "close")


@dataclasses.dataclass(frozen=True)
class Deconvolution:
    """An exogenous path, what its simulation gives, and how far that is from the bars.

    Attributes
    ----------
    scenario : str
    seed : int
        Draws of population, order flow and bridge that the path belongs to.
    price : {"mark", "mid", "last"}
        Simulated price that was held against the bars.
    depth, index_feedback : str, float
        What the path is conditional on, before all else.
    exogenous : ndarray of shape (n_steps + 1, 1), float64
        [quote]
    target : Bars
        The bars that were to be reproduced.
    simulated : ndarray of shape (n_bars, 4), float64
        [quote] Open, high, low, close of `price` in a run on `exogenous` from the start.
    residuals : dict of str to ndarray of shape (n_bars, 3)
        [log] Bar less simulation at high, low and close, for each of mark, mid and last; the search used `price`.
    tolerance, slack : float
        [log] Of a bar that counts as met; of the exogenous move beyond the bar's own.
    trials : ndarray of shape (n_bars,), int64
        Simulations of each bar.
    verdicts : tuple of str
        Per bar: "met"; "unreachable" (no trial crossed the bar's price); "not together" (each price was crossed in some
        trial, but not all in one).
    reason : str
        Why no path fits; empty when one does.
    record : RunRecord
        The run on `exogenous`.
    """

    scenario: str
    seed: int
    price: str
    depth: str
    index_feedback: float
    exogenous: NDArray[np.float64]
    target: Bars
    simulated: NDArray[np.float64]
    residuals: dict[str, NDArray[np.float64]]
    tolerance: float
    slack: float
    trials: NDArray[np.int64]
    verdicts: tuple[str, ...]
    reason: str
    record: "RunRecord"

    @property
    def residual(self) -> NDArray[np.float64]:
        """Bar less simulation at high, low and close [log], shape (n_bars, 3)."""
        return self.residuals[self.price]

    @property
    def residual_bp(self) -> NDArray[np.float64]:
        """Largest absolute residual of each bar [bp], shape (n_bars,)."""
        return np.abs(self.residual).max(axis=1) * 1e4

    @property
    def max_residual_bp(self) -> float:
        return float(self.residual_bp.max())

    @property
    def median_residual_bp(self) -> float:
        return float(np.median(self.residual_bp))

    @property
    def missed(self) -> int:
        """Bars that no trial met within the tolerance."""
        return sum(verdict != "met" for verdict in self.verdicts)

    @property
    def converged(self) -> bool:
        """Whether the simulation of the path reproduces every bar within the tolerance."""
        return self.missed == 0

    @property
    def iterations(self) -> int:
        """Simulated bars, all trials together."""
        return int(self.trials.sum())

    @property
    def opening_seconds(self) -> float:
        """Time of day of row 0 (UTC) [s]."""
        return self.target.start_ms / 1000.0 % SECONDS_PER_DAY

    @property
    def world(self) -> GivenPath:
        """The path as an outside world: replace a scenario's by it to ask what another policy would have done."""
        return GivenPath(self.exogenous, self.opening_seconds)


def deconvolve(
    scenario: "Scenario",
    target: Bars | None = None,
    *,
    seed: int = 0,
    depth: "Depth | None" = None,
    index_feedback: float | None = None,
    price: str = "mark",
    tolerance: float = 0.002,
    slack: float = 0.02,
    iterations: int = 12,
) -> Deconvolution:
    """Find the exogenous path of a scenario whose simulation reproduces bars.

    Parameters
    ----------
    scenario : Scenario
        One instrument, no shock to the outside price (the bars contain them).
    target : Bars, optional
        From the scenario's ``HistoricalBars`` by default. They must cover its steps.
    seed : int
        Of all draws; also of the bridge that gives the search its first path inside the bars.
    depth, index_feedback : optional
        Instead of the scenario's.
    price : {"mark", "mid", "last"}
        Simulated price to hold against the bars. Bars of trades against "last" are like for like; the mark is
        what margin is computed on.
    tolerance : float
        [log] Largest residual of high, low and close of a bar that counts as met.
    slack : float
        [log] The exogenous price stays within the bar's own move from the bar before, widened by this much. A bar
        that the venue's own flow carries further than this can undo is reported as missed.
    iterations : int
        Trials per bar and starting shape; a scan of moves follows where they fail.

    Returns
    -------
    Deconvolution
        Also when no path fits: see its `verdicts` and `reason`.

    Raises
    ------
    InputError
        Several instruments, shocks to the outside price, bars that do not cover the run, bad parameters.
    """
    scenario = _with(scenario, depth, index_feedback)
    bars = _target(scenario, target)
    _check(scenario, bars, price, tolerance, slack, iterations)
    rules = Rules(price, tolerance, slack, iterations)
    opening = bars.start_ms / 1000.0 % SECONDS_PER_DAY
    path, trials, verdicts = _search(scenario, bars, seed, rules, opening)
    record = _run(scenario, GivenPath(path, opening), seed)
    shown, first = _shown(bars, scenario.step_seconds, scenario.steps)
    simulated = {name: bars_from_path(record.price(name), first) for name in PRICES}
    residuals = {name: logs(shown.price[:, 1:]) - logs(found[:, 1:]) for name, found in simulated.items()}
    reason = _reason(verdicts, residuals[price], rules)
    return Deconvolution(
        scenario.name, seed, price, type(scenario.depth).__name__, scenario.price_feed.index_feedback, path, shown,
        simulated[price], residuals, tolerance, slack, trials, tuple(verdicts), reason, record,
    )


def bars_from_path(price: NDArray[np.float64], first_rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return open, high, low, close of a path [quote], shape (n_bars, 4).

    Bar b covers the rows from ``first_rows[b]`` up to the next; NaN rows (no trade yet) do not count.
    """
    found = np.empty((len(first_rows) - 1, 4))
    for bar, (first, stop) in enumerate(itertools.pairwise(first_rows)):
        rows = price[first:stop]
        rows = rows[np.isfinite(rows)]
        found[bar] = (rows[0], rows.max(), rows.min(), rows[-1]) if len(rows) else math.nan
    return found


def _search(
    scenario: "Scenario", bars: Bars, seed: int, rules: Rules, opening: float
) -> tuple[NDArray[np.float64], NDArray[np.int64], list[str]]:
    """Solve bar after bar; return the path (n_steps + 1, 1), the trials and the verdict of each bar."""
    from spirals.agents.model import SpiralModel

    n = scenario.steps
    wanted = bridge(bars, n, scenario.step_seconds, stream_key(seed, "outside.bars"))
    start = GivenPath(wanted[:, None], opening)
    core = SpiralModel(setup=dataclasses.replace(scenario, outside_world=start), rng=seed, collect_every=0).core
    path = core.market.path.price  # rows ahead of the clock are free to change
    shown, first = _shown(bars, scenario.step_seconds, n)
    trials, verdicts = np.zeros(shown.n_bars, np.int64), []
    wanted_log, before = logs(wanted), math.log(wanted[0])
    for bar in range(shown.n_bars):
        rows = np.arange(max(first[bar], 1), first[bar + 1])
        search = BarSearch(core, path, rows, wanted_log[rows], logs(shown.price[bar]), before, rules)
        verdicts.append(search.solve())
        trials[bar] = search.trials
        before = float(wanted_log[rows[-1]])
    return path.copy(), trials, verdicts


def _shown(bars: Bars, step_seconds: float, n_steps: int) -> tuple[Bars, NDArray[np.int64]]:
    """Return the bars that the run covers and their first rows; the last one takes the closing row."""
    shown, first = bars_in_rows(bars, step_seconds)
    n_bars = int(np.searchsorted(first[:-1], n_steps))
    first = np.append(first[:n_bars], n_steps + 1)
    return Bars(shown.open_time_ms[:n_bars], shown.price[:n_bars], shown.seconds), first


def _run(scenario: "Scenario", world: GivenPath, seed: int) -> "RunRecord":
    from spirals.scenarios.runs.one_run import run_scenario

    return run_scenario(dataclasses.replace(scenario, outside_world=world), seed).record


def _reason(verdicts: list[str], residual: NDArray[np.float64], rules: Rules) -> str:
    """Return why no path fits, in one line; empty when every bar is met."""
    missed = [bar for bar, verdict in enumerate(verdicts) if verdict != "met"]
    if not missed:
        return ""
    worst = max(missed, key=lambda bar: float(np.abs(residual[bar]).max()))
    part = int(np.abs(residual[worst]).argmax())
    unreachable = sum(verdict == "unreachable" for verdict in verdicts)
    return (f"no path fits: {len(missed)} of {len(verdicts)} bars missed by more than {rules.tolerance * 1e4:g} bp, "
            f"{unreachable} of them out of reach of every trial; worst is the {MATCHED[part]} of bar {worst}, "
            f"where the {rules.price} is {-residual[worst, part] * 1e4:+.0f} bp off")


def _with(scenario: "Scenario", depth: "Depth | None", index_feedback: float | None) -> "Scenario":
    if depth is not None:
        scenario = dataclasses.replace(scenario, depth=depth)
    if index_feedback is not None:
        feed = dataclasses.replace(scenario.price_feed, index_feedback=index_feedback)
        scenario = dataclasses.replace(scenario, price_feed=feed)
    return scenario


def _target(scenario: "Scenario", target: Bars | None) -> Bars:
    if target is not None:
        return target
    world = scenario.outside_world
    if not isinstance(world, HistoricalBars):
        raise InputError([f"outside_world must be HistoricalBars, whose bars are to be reproduced, "
                          f"was {type(world).__name__}"])
    return world.bars()[0]


def _check(
    scenario: "Scenario", bars: Bars, price: str, tolerance: float, slack: float, iterations: int
) -> None:
    found = []
    if len(scenario.instruments) != 1:
        found.append(f"instruments must be one for a deconvolution, were {len(scenario.instruments)}")
    moves = PriceJump | RandomCrash | VolatilityShock
    moving = [type(shock).__name__ for shock in scenario.shocks if isinstance(shock, moves)]
    if moving:
        found.append(f"shocks to the outside price must not be given, the bars contain them; were {', '.join(moving)}")
    available = int((bars.end_ms - bars.start_ms) / 1000.0 / scenario.step_seconds + 1e-9)
    if scenario.steps > available:
        found.append(f"steps must be at most {available}, what the bars cover, was {scenario.steps}")
    if price not in PRICES:
        found.append(f"price must be one of {', '.join(PRICES)}, was {price!r}")
    if not 0.0 < tolerance < 1.0:
        found.append(f"tolerance must be in (0, 1) log, was {tolerance!r}")
    if not 0.0 <= slack < 1.0:
        found.append(f"slack must be in [0, 1) log, was {slack!r}")
    if iterations < 1:
        found.append(f"iterations must be at least 1, was {iterations!r}")
    if found:
        raise InputError(found)
