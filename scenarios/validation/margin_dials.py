"""Margin dials: the package's own estimator, policies and wrappers against closed forms and a reference table."""

import dataclasses
import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from spirals.scenarios.validation.case import Case, Check, Line, Mechanism, Run
from spirals.scenarios.validation.margin_paths import (
    DAY,
    Histories,
    RescaledVolatility,
    charged_rates,
    ewma_after_step,
    garch_histories,
    rates_on_path,
)
from spirals.simulation.margin import Buffer, Floor, MarginPolicy, SpeedLimit, StressedWeight, VolatilityScaled
from spirals.simulation.market.volatility import VolatilityEstimator
from spirals.simulation.measures.procyclicality import breaches, kupiec, largest_rise, peak_to_trough
from spirals.simulation.parameters import parameter

__all__ = ["MarginDials"]

TABLE = "GARCH(.09, .90), 2520 days after 2520 of burn-in, EWMA .97: a table, reproduced at these parameters only"
TOOLS = {"none": 4.62, "buffer": 3.73, "stressed": 2.66, "floor": 2.37}
QUANTILE = 2.326
BREACH_RATE = 0.0123
PATH_STEPS = 120


@dataclasses.dataclass(frozen=True)
class MarginDials(Case):
    """Margin dials: step response, buffer, speed limit, peak-to-trough of the tools, coverage tests."""

    name = "margin-dials"
    source = "RiskMetrics (1996); EMIR RTS 153/2013 Art. 28; Murphy et al. (2014); Kupiec (1995)"
    mechanisms = (
        Mechanism("half-life", "of the volatility estimate", ("step_response",), flip=False),
        Mechanism("elasticity", "of the rate to the volatility that the policy reads", ("step_response", "table")),
        Mechanism("buffer", "size of the buffer", ("buffer",), flip=False),
        Mechanism("speed", "largest rise per day", ("speed_limit",), flip=False),
        Mechanism("stressed weight", "weight of the stressed rate", ("stressed", "table"), flip=False),
        Mechanism("floor", "level of the floor", ("table",), flip=False),
        Mechanism("multiplier", "standard deviations charged", ("table",), flip=False),
        Mechanism("breaches", "number of breaches that the test is told", ("coverage",), flip=False),
    )
    fixed: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("garch_reaction", "garch_persistence", "days", "paths"), TABLE)

    decay: float = parameter(0.97, above=0, below=1, help="weight of the old variance per day")
    step: float = parameter(2.0, above=0, high=20, help="volatility after the step over before")
    after_days: tuple[int, ...] = parameter((5, 10, 20), unit="days", low=1, high=1000)
    rise: float = parameter(3.0, above=1, high=20, help="peak over trough of the inner rate")
    buffer: float = parameter(0.25, low=0, high=2, help="size of the buffer")
    stressed_weight: float = parameter(0.25, low=0, high=1)
    stressed_ratio: float = parameter(4.0, above=0, high=20, help="stressed rate over the rate at the trough")
    speed: float = parameter(0.03, unit="per day", above=0, high=1)
    speed_days: tuple[int, ...] = parameter((1, 5, 10), unit="days", low=1, high=PATH_STEPS // 4)
    observations: tuple[int, ...] = parameter((250, 500, 1000, 250), low=20, high=100000)
    probabilities: tuple[float, ...] = parameter((0.01, 0.01, 0.01, 0.05), above=0, below=1)

    def problems(self) -> list[str]:
        found = super().problems()
        if len(self.observations) != len(self.probabilities):
            found.append(f"observations and probabilities must have the same number of entries, "
                         f"were {len(self.observations)} and {len(self.probabilities)}")
        if self.rise < 1.0 + self.buffer:
            found.append(f"rise must be at least 1 + buffer = {1 + self.buffer:g} for the law to hold, "
                         f"was {self.rise:g}")
        return found

    def checks(self) -> dict[str, Check]:
        return {"step_response": self.step_response, "buffer": self.buffer_law, "stressed": self.stressed,
                "speed_limit": self.speed_limit,
                "table": self.table, "coverage": self.coverage}

    def step_response(self, run: Run) -> None:
        """Root of the mean EWMA variance after a step of volatility, through the estimator and the policy."""
        half_life = math.log(0.5) / math.log(self.decay) * run.factor("half-life")
        estimator = VolatilityEstimator(source="index", sampling_seconds=DAY, half_life_seconds=half_life * DAY,
                                        opening_volatility=0.01, window_seconds=DAY)
        policy = RescaledVolatility(VolatilityScaled(multiplier=QUANTILE), 0.01, run.factor("elasticity"))
        days = max(self.after_days)
        rates = ewma_after_step(estimator, policy, self.step, days, run.pick(20_000, 200_000), run.seed)
        squares = (rates / (QUANTILE * 0.01)) ** 2
        ratio = np.sqrt(squares.mean(axis=0))
        errors = squares.std(axis=0, ddof=1) / math.sqrt(len(squares)) / (2.0 * ratio)

        def law(t: NDArray[np.float64] | int) -> NDArray[np.float64]:
            return np.asarray(np.sqrt(self.step**2 - (self.step**2 - 1.0) * self.decay**t))

        for day in self.after_days:
            run.row(f"margin ratio {day} days after a step x{self.step:g}", ratio[day], float(law(day)),
                    relative=0.01, error=errors[day], formula="sqrt(k^2 - (k^2 - 1) lambda^t)")
        axis = np.arange(days + 1, dtype=np.float64)
        run.panel("Response to a step of volatility", "days after the step", "margin ratio",
                  Line.of("law", axis, law(axis)), Line.of("policy", axis, ratio, points=True))

    def buffer_law(self, run: Run) -> None:
        """Peak-to-trough of the charged rate over a fall to the trough and a rise to the peak."""
        fall = np.linspace(0.0, 1.0, PATH_STEPS // 2)
        inner = 0.01 * np.concatenate([self.rise ** (0.5 * (1.0 - fall)), self.rise**fall])
        policy = Buffer(VolatilityScaled(multiplier=1.0), size=self.buffer * run.factor("buffer"))
        charged = rates_on_path(policy, inner)
        run.row("buffer: charged peak-to-trough", peak_to_trough(charged), self.rise / (1.0 + self.buffer),
                relative=1e-9, error=0.0, formula="R / (1 + size)")
        days = np.arange(len(inner))
        run.panel("Exhaustible buffer", "day", "rate",
                  Line.of("inner", days, inner), Line.of("charged", days, charged))

    def stressed(self, run: Run) -> None:
        """Rise of the charged rate when part of it is the rate of a stressed period."""
        weight = self.stressed_weight * run.factor("stressed weight")
        policy = StressedWeight(VolatilityScaled(multiplier=1.0), weight=weight,
                                stressed_volatility=0.01 * self.stressed_ratio)
        charged = rates_on_path(policy, 0.01 * np.array([1.0, self.rise]))
        own = 1.0 - self.stressed_weight
        share = own / (own + self.stressed_weight * self.stressed_ratio)
        run.row("stressed weight: rise of the charged rate", peak_to_trough(charged) - 1.0, (self.rise - 1.0) * share,
                relative=1e-9, error=0.0, formula="rise of M x (1 - w) M / ((1 - w) M + w S)")

    def speed_limit(self, run: Run) -> None:
        """Largest rise over n days of a rate that wants to jump far."""
        inner = np.full(PATH_STEPS, 0.01)
        inner[10:] = 0.01 * (1.0 + self.speed) ** PATH_STEPS
        policy = SpeedLimit(VolatilityScaled(multiplier=1.0), up=self.speed * run.factor("speed"))
        charged = rates_on_path(policy, inner)
        for days in self.speed_days:
            rise = float(np.exp(largest_rise(np.log(charged), days))) - 1.0
            run.row(f"speed limit: largest rise in {days} days", rise, (1.0 + self.speed) ** days - 1.0,
                    relative=1e-9, error=0.0, formula="(1 + g)^n - 1")

    def table(self, run: Run) -> None:
        """Peak-to-trough of the tools and the breach rate on GARCH histories."""
        histories = garch_histories(run.pick(300, 2000), run.seed)
        inner = RescaledVolatility(VolatilityScaled(multiplier=QUANTILE * run.factor("multiplier")), 0.01,
                                   run.factor("elasticity"))
        tools = self._tools(run, inner, histories)
        measured = {name: charged_rates(policy, histories) for name, policy in tools.items()}
        for name, expected in TOOLS.items():
            ratios = np.array([peak_to_trough(rates) for rates in measured[name].T])
            run.row(f"peak-to-trough, tool: {name}", float(np.median(ratios)), expected, relative=0.10,
                    error=median_error(ratios), formula=TABLE)
        losses = breaches(-histories.returns, measured["none"]).mean(axis=0)
        run.row("breach rate without tools", losses.mean(), BREACH_RATE, absolute=0.001,
                error=losses.std(ddof=1) / math.sqrt(len(losses)), formula=TABLE)
        days = np.arange(0, len(histories.returns), 5)
        run.panel("Tools on the first history", "day", "rate",
                  *(Line.of(name, days, rates[days, 0]) for name, rates in measured.items()))

    @staticmethod
    def _tools(run: Run, inner: MarginPolicy, histories: Histories) -> dict[str, MarginPolicy]:
        """Return the policies of the table; the floor is an array that moves with the history."""
        histories.floor_factor = QUANTILE * run.factor("floor")
        return {
            "none": inner,
            "buffer": Buffer(inner, size=0.25),
            "stressed": StressedWeight(inner, weight=0.25 * run.factor("stressed weight")),
            "floor": Floor(inner, floor=histories.floor),  # type: ignore[arg-type]  # one floor per history
        }

    def coverage(self, run: Run) -> None:
        """Acceptance ranges of Kupiec's test at 5 %, against the likelihood ratio computed another way."""
        from scipy import stats

        for total, probability in zip(self.observations, self.probabilities, strict=True):
            told = [round(x * run.factor("breaches")) for x in range(total + 1)]
            accepted = [x for x, y in enumerate(told) if y <= total and kupiec(total, y, probability).p_value > 0.05]
            counts = np.arange(total + 1)
            ratio = 2.0 * (stats.binom.logpmf(counts, total, counts / total)
                           - stats.binom.logpmf(counts, total, probability))
            wanted = counts[ratio < stats.chi2.ppf(0.95, 1)]
            for word, ours, law in (("least", min(accepted), wanted.min()), ("most", max(accepted), wanted.max())):
                run.row(f"Kupiec: {word} breaches accepted of {total} at p = {probability:g}", ours, law,
                        absolute=0.0, error=0.0, formula="LR < chi2(1) quantile of 95 %, by scipy's binomial")


def median_error(values: NDArray[np.float64]) -> float:
    """Return the standard error of the median by the binomial order statistics one deviation about it."""
    ordered = np.sort(values)
    half = 0.5 * math.sqrt(len(ordered))
    middle = 0.5 * len(ordered)
    return float(ordered[int(middle + half)] - ordered[int(middle - half)]) / 2.0
