"""The laws of spirals through the real book: the venue's own matching, ledger, margin and engine, and nulls."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from spirals.scenarios.experiments import laws
from spirals.scenarios.validation.case import Case, Check, Line, Mechanism, Run
from spirals.simulation.parameters import parameter

__all__ = ["RealBook"]

SMALL = {"population.traders": 200, "steps": 500}


@dataclasses.dataclass(frozen=True)
class RealBook(Case):
    """Gain of thresholds, refill, mean field and cascade sizes through the real book; nulls."""

    name = "real-book"
    source = "derived for this project"
    mechanisms = (
        Mechanism("thresholds", "their density", ("gain", "refill", "cascade"), flip=False),
        Mechanism("elasticity", "of the margin in the price", ("gain",)),
        Mechanism("decay", "of impact", ("refill",), flip=False),
    )

    maintenance: tuple[float, ...] = parameter((0.004, 0.015, 0.06), unit="fraction of notional", above=0, below=0.2)
    elasticity: float = parameter(14.0, low=0, high=50, help="-d ln m / d ln p")
    static_gain: float = parameter(0.3, above=0, below=0.5, help="lambda / D: the gain at a constant margin")
    refill_n: float = parameter(0.6, above=0, below=0.9, help="branching ratio of the refill law")
    decays: tuple[float, ...] = parameter((0.5, 2.0, 10.0), above=0, high=100, help="kappa T: decay over the ramp")
    cascade_n: float = parameter(0.6, above=0, below=0.85, help="branching ratio of cascades")
    accounts: tuple[int, ...] = parameter((1_000, 10_000), low=100, high=10_000, help="of the mean-field fixed point")

    def problems(self) -> list[str]:
        found = super().problems()
        if not found and max(self._gain(m, self.elasticity) for m in self.maintenance) >= 0.8:
            found.append("the gain static_gain (1 + elasticity m / (1 - m)) must stay below .8 for every maintenance")
        return found

    def checks(self) -> dict[str, Check]:
        return {"gain": self.gain, "refill": self.refill, "mean_field": self.mean_field, "cascade": self.cascade,
                "nulls": self.nulls}

    def _gain(self, maintenance: float, elasticity: float) -> float:
        return self.static_gain * (1.0 + elasticity * maintenance / (1.0 - maintenance))

    def gain(self, run: Run) -> None:
        """Amplification of a small sale; one price step of one lot is the unit, hence the band of 3 %."""
        for elasticity in (0.0, self.elasticity):
            for maintenance in self.maintenance:
                got = laws.gain(maintenance, elasticity * run.factor("elasticity"),
                                static_gain=self.static_gain * run.factor("thresholds"))
                run.row(f"amplification, m = {maintenance:g}, e = {elasticity:g}", got.value,
                        1.0 / (1.0 - self._gain(maintenance, elasticity)), relative=0.03, error=0.0,
                        formula="1 / (1 - (lambda / D) [1 + e m / (1 - m)])")

    def refill(self, run: Run) -> None:
        """Amplification of a ramp with decaying impact; the band is three standard errors and a tick per step."""
        points = []
        for decay in self.decays:
            n = self.refill_n
            got = laws.refill(n * run.factor("thresholds"), decay * run.factor("decay"), seeds=run.pick(64, 200))
            expected = 1.0 + n / decay * (1.0 - math.exp(-decay / (1.0 - n)))
            run.row(f"refill, kappa T = {decay:g}", got.value, expected, absolute=3.0 * got.error + 0.01,
                    error=got.error, formula="1 + (n / kT) (1 - exp(-kT / (1 - n)))")
            points.append((decay, got.value, got.error))
        x = np.geomspace(min(self.decays) / 2.0, max(self.decays) * 2.0, 60)
        law = 1.0 + self.refill_n / x * (1.0 - np.exp(-x / (1.0 - self.refill_n)))
        at, value, error = (np.array(column) for column in zip(*points, strict=True))
        run.panel("Refill through the real book", "decay over the ramp, kappa T", "amplification",
                  Line.of("law", x, law), Line.of("measured", at, value, points=True, errors=error), log_x=True)

    def mean_field(self, run: Run) -> None:
        """Distance from the fixed point; linear noise theory, a band of four standard errors."""
        for accounts in self.accounts:
            got = laws.fixed_point("normal", accounts, seeds=run.pick(24, 96))
            run.row(f"distance from p*, N = {accounts}", got.value, got.expected, absolute=4.0 * got.error,
                    error=got.error, formula="s(1 - s) / N under F, over 1 - g, square root")

    def cascade(self, run: Run) -> None:
        """Size of cascades after one shock: mean and the share without any."""
        n = self.cascade_n
        sizes, theta = laws.cascade_sizes(n * run.factor("thresholds"), seeds=run.pick(200, 1000))
        theta /= run.factor("thresholds")
        count = len(sizes)
        error = float(np.std(sizes, ddof=1)) / math.sqrt(count)
        run.row(f"mean size, n = {n:g}", float(sizes.mean()), theta / (1.0 - n), absolute=3.0 * error, error=error,
                formula="theta / (1 - n)")
        none = math.exp(-theta)
        error = math.sqrt(none * (1.0 - none) / count)
        run.row(f"no liquidation, n = {n:g}", float((sizes == 0).mean()), none, absolute=3.0 * error, error=error,
                formula="exp(-theta)")

    def nulls(self, run: Run) -> None:
        """What forced flow cannot move, it does not move: exactly nothing where mark and volatility are outside."""
        from spirals.scenarios.inputs.loader import load_scenario
        from spirals.scenarios.runs.one_run import run_scenario

        outside: Mapping[str, Any] = {"price_feed.mark": "index", "volatility.source": "index",
                                      "price_feed.index_feedback": 0.0, **SMALL}
        for pi in (0.0, 1.0):
            scenario = load_scenario("flash-crash", {**outside, "margin.Procyclicality.pi": pi})
            found = run_scenario(scenario, run.seed, twins=["T1"]).outcomes
            run.row(f"excess drawdown, mark and volatility outside, pi = {pi:g}", found["excess_drawdown"], 0.0,
                    absolute=0.0, error=0.0, formula="0")
        free = load_scenario("flash-crash", {**SMALL, "population.long_leverage": 1.0,
                                             "population.short_leverage": 1.0, "population.leverage_sigma": 0.01})
        run.row("liquidated accounts without leverage", run_scenario(free, run.seed).outcomes["liquidated_accounts"],
                0.0, absolute=0.0, error=0.0, formula="0")
