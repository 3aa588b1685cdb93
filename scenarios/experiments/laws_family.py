"""Branching ratios of a ramped shock in the controlled market, by three readings of the family tree.

Thresholds are Poisson with density n / s per tick, each liquidation moves the price by s ticks. *Without refill* an
outsider sells a little every second step into a ladder that stands still: impact stays, every reading of who caused
what asks for the same n. *With refill* the ladder is put anew where the outside fall and the surviving impact leave
it: most children are only brought forward, and the readings part.
"""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from spirals.scenarios.experiments.laws import poisson_thresholds
from spirals.scenarios.experiments.laws_book import LadderMarket, controlled
from spirals.scenarios.runs.genealogy import family
from spirals.simulation.measures.genealogy import Genealogy
from spirals.simulation.open_loop import Taping
from spirals.simulation.phase_log import PhaseLog

__all__ = ["FamilyRatios", "refilled_ratios", "standing_ratios"]

MAINTENANCE = 0.015
SALE = 4   # [lots] and so ticks


@dataclasses.dataclass(frozen=True)
class FamilyRatios:
    """Branching ratios pooled over runs: events of all runs together.

    Attributes
    ----------
    proximate : float
        Events with a parent over events.
    fractional : float
        Mean share of an event that earlier liquidations caused.
    but_for : float
        Events less those of twin T1, over events.
    events : int
    """

    proximate: float
    fractional: float
    but_for: float
    events: int


def standing_ratios(n: float, *, spacing: int = 10, ramp: int = 3200, seeds: int = 12) -> FamilyRatios:
    """Return the ratios of a ramp of `ramp` ticks, four at a time, into a ladder that stands still."""
    reach, steps = math.ceil(2.0 * ramp / (1.0 - n)), 2 * ramp // SALE

    def people(seed: int) -> LadderMarket:
        thresholds = poisson_thresholds(n / spacing, reach, seed)
        return LadderMarket(thresholds, spacing, MAINTENANCE, 1, reach, sale=SALE, sale_steps=steps)

    return _pooled(people, steps + 2, seeds)


def refilled_ratios(
    n: float, decay: float, *, spacing: int = 5, ramp: int = 400, steps: int = 200, seeds: int = 16
) -> FamilyRatios:
    """Return the ratios of a ramp over `steps` steps while impact decays by ``exp(-decay)`` over the ramp."""
    fall = np.concatenate([[0.0], np.linspace(ramp / steps, ramp, steps)])

    def people(seed: int) -> LadderMarket:
        thresholds = poisson_thresholds(n / spacing, ramp * 12, seed)
        return LadderMarket(thresholds, spacing, MAINTENANCE, 1, 600, fall=fall, keep=math.exp(-decay / steps))

    return _pooled(people, steps, seeds)


def _pooled(people: Callable[[int], LadderMarket], steps: int, seeds: int) -> FamilyRatios:
    found = [_family(people, steps, seed) for seed in range(1, seeds + 1)]
    events = sum(len(one.events) for one in found)

    def mean(ratio: Callable[[Genealogy], float]) -> float:
        return math.fsum(ratio(one) * len(one.events) for one in found if len(one.events)) / events

    return FamilyRatios(mean(lambda one: one.proximate_ratio), mean(lambda one: one.fractional_ratio),
                        mean(lambda one: one.but_for_ratio), events)


def _family(people: Callable[[int], LadderMarket], steps: int, seed: int) -> Genealogy:
    log, tape = PhaseLog(), Taping()
    run = controlled(people(seed), steps, seed=seed, loop=log, trades=True)
    twin = controlled(people(seed), steps, seed=seed, twin="T1", loop=tape)
    return family(run, log, twin.record(), tape.tape)


def main() -> None:
    """Print the three ratios without refill and with it."""
    for n in (0.4, 0.6):
        print(f"n = {n:g}, no refill:        {standing_ratios(n)}")
    for decay in (2.0, 10.0):
        print(f"n = 0.6, kappa T = {decay:4g}: {refilled_ratios(0.6, decay)}")


if __name__ == "__main__":
    main()
