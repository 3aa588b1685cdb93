"""Leverage causes fat tails: tail index, kurtosis, clustering and defaults of the market of leveraged value funds."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from spirals.scenarios.validation.case import Case, Check, Line, Mechanism, Run
from spirals.scenarios.validation.value_funds import (
    AGGRESSION,
    FLOW,
    NOISE,
    REVERSION,
    Funds,
    hill,
    run_market,
    simulate,
)
from spirals.scenarios.validation.value_funds_law import noise_cash, opening_prices
from spirals.simulation.parameters import parameter
from spirals.simulation.randomness import normal_quantile, stream_key, uniform

__all__ = ["LeverageTails"]

TABLE = "table, reproduced at these parameters only"
CAPS = (1.0, 2.0, 3.0, 5.0, 10.0, 20.0)
HILL = {1.0: (8.27, 7.5, 9.0), 5.0: (3.50, 3.2, 3.9), 10.0: (2.45, 2.2, 2.8)}
REFERENCE_HILL = (8.27, 6.54, 5.60, 3.50, 2.45, 2.45)
CRASH = math.log(0.85)
LINKED_STEPS, LINKED_SEEDS = 1_500_000, 4
OPENING_PATHS, OPENING_STEPS = 100, 50
CLOSENESS = 1e-6        # the market clears to 1e-9 of its supply; room for what fifty steps make of that
REASON = "no formula gives the tails of this market; " + TABLE


@dataclasses.dataclass(frozen=True)
class LeverageTails(Case):
    """Leverage causes fat tails: Hill index, kurtosis, clustering, defaults, sign of a volatility-linked cap."""

    name = "leverage-tails"
    source = "Thurner, Farmer and Geanakoplos (2012), Quantitative Finance 12"
    mechanisms = (
        Mechanism("aggression", "funds' demand per mispricing", ("opening", "tails")),
        Mechanism("leverage", "largest leverage", ("tails",), flip=False),
        Mechanism("investors", "response of investors to performance", ("opening", "tails")),
        Mechanism("noise", "standard deviation of the noise traders", ("opening", "noise", "tails"), flip=False),
    )
    fixed: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("leverage", "noise", "aggression", "flow", "benchmark", "memory", "wealth", "absence", "reversion", "tau",
         "reference_volatility"), REASON)

    opening_aggression: float = parameter(AGGRESSION, unit="per unit of mispricing", low=0, high=20,
                                          help="beta of the first fund, in the check of the opening")
    opening_flow: float = parameter(FLOW, low=0, high=2, help="investors' response, in the check of the opening")
    opening_noise: float = parameter(NOISE, above=0, high=0.2, help="sd of the noise, in the check of the opening")
    opening_leverage: float = parameter(10.0, low=1, high=100, help="largest leverage, in the check of the opening")

    def checks(self) -> dict[str, Check]:
        return {"opening": self.opening, "noise": self.noise, "tails": self.tails, "linked": self.linked}

    def opening(self, run: Run) -> None:
        """First prices against a closed form that holds until a cap binds or a fund is ruined."""
        keys = [stream_key(run.seed, "validation.leverage_tails.opening", path) for path in range(OPENING_PATHS)]
        draws = np.array([[normal_quantile(uniform(key, step, 0, 0)) for key in keys] for step in range(OPENING_STEPS)])
        law = opening_prices(noise_cash(draws, self.opening_noise), self.opening_aggression, self.opening_flow,
                             self.opening_leverage)
        found = np.array([run_market(
            key, OPENING_STEPS, self.opening_leverage * run.factor("leverage"), False,
            self.opening_aggression * run.factor("aggression"), self.opening_flow * run.factor("investors"), 1.0,
            self.opening_noise * run.factor("noise"))[0] for key in keys]).T
        there = np.isfinite(law)
        with np.errstate(invalid="ignore"):
            away = np.abs(found[there] / law[there] - 1.0)
        run.row("opening prices: furthest relative distance from the closed form", float(away.max()), 0.0,
                absolute=CLOSENESS, error=0.0,
                formula="root of xi + (V - p) sum beta (u p + c) = N p until a cap binds")
        run.row("opening prices: steps compared, share of all", float(there.mean()), 1.0, low=0.1, error=0.0,
                formula="known beforehand from the closed form: no cap binds, no fund is ruined")

    @staticmethod
    def _runs(run: Run, cap: float, steps: int, seeds: int, linked: bool = False, name: str = "noise") -> list[Funds]:
        """Return simulations with the same noise for every cap."""
        return [simulate(stream_key(run.seed, f"validation.leverage_tails.{name}", seed), steps,
                         cap * run.factor("leverage"), linked, run.factor("aggression"), run.factor("investors"),
                         noise=run.factor("noise")) for seed in range(seeds)]

    def noise(self, run: Run) -> None:
        """Without funds returns are normal."""
        runs = self._runs(run, 0.0, run.pick(500_000, 2_000_000), 3)
        kurtosis, error = over(runs, kurtosis_of)
        run.row("noise only: kurtosis", kurtosis, 3.0, absolute=0.05, error=error, formula="normal")
        tail, error = over(runs, tail_of)
        run.row("noise only: Hill index of losses", tail, 9.1, low=8.0, error=error, formula=TABLE)
        deviation, error = over(runs, lambda funds: float(funds.returns.std()))
        run.row("noise only: sd of returns", deviation, NOISE * math.sqrt(2.0 / (1.0 + REVERSION)), relative=0.01,
                error=error, formula="sigma_n sqrt(2 / (1 + rho))")

    def tails(self, run: Run) -> None:
        """With funds: fat tails, clustering, and a smaller standard deviation all the same."""
        steps = run.pick(500_000, 2_000_000)
        runs = {cap: self._runs(run, cap, steps, 3) for cap in CAPS}
        found = {cap: over(runs[cap], tail_of) for cap in CAPS}
        for cap, (expected, low, high) in HILL.items():
            run.row(f"Hill index of losses, leverage {cap:g}", found[cap][0], expected, low=low, high=high,
                    error=found[cap][1], formula=f"top 1 % of negative returns while cheap; {TABLE}")
        falling = [found[cap][0] for cap in CAPS[:-1]]
        run.row("least fall of the Hill index from cap to cap, 1 .. 10", float(-np.diff(falling).max()), 0.9, low=0.0,
                formula="tails grow fatter with leverage")
        run.row("Hill index, leverage 10 less 20", abs(found[10.0][0] - found[20.0][0]), 0.0, high=0.15, low=0.0,
                formula=f"the cap no longer binds; {TABLE}")
        # the standard deviation needs 4e6 steps: at 1.5e6 its standard error is half the distance to the band's end
        ten = self._runs(run, 10.0, run.pick(1_000_000, 2_000_000), 4, name="ten")
        for name, measure, expected, low, high in (
            ("kurtosis", kurtosis_of, 16.0, 10.0, math.inf),
            ("sd of returns", lambda funds: float(funds.returns.std()), 0.0288, 0.0285, 0.0295),
            ("ACF of |r|, lag 1", lambda funds: memory(funds, 1), 0.215, 0.18, 0.25),
            ("ACF of |r|, lag 10", lambda funds: memory(funds, 10), 0.16, 0.12, 0.20),
            ("defaults per fund and step", lambda funds: funds.defaults, 6e-4, 4e-4, 8e-4),
        ):
            value, error = over(ten, measure)
            run.row(f"{name}, leverage 10", value, expected, low=low, high=high, error=error, formula=TABLE)
        caps = np.array(CAPS)
        run.panel("Tail index of losses", "largest leverage", "Hill index",
                  Line.of("reference", caps, REFERENCE_HILL),
                  Line.of("simulated", caps, [found[cap][0] for cap in CAPS], True, [found[cap][1] for cap in CAPS]))
        shown = np.arange(4000)
        run.panel("Returns, leverage 10", "step", "log return", Line.of("return", shown, ten[0].returns[:4000]))

    def linked(self, run: Run) -> None:
        """The cap tied to volatility helps at moderate leverage and hurts at high leverage (long form only)."""
        if not run.full:
            return
        for cap, bands in ((5.0, {"crashes": (-0.27, -0.40, -0.15)}),
                           (10.0, {"crashes": (0.085, 0.03, 0.15), "defaults": (0.16, 0.08, 0.25)})):
            plain = self._runs(run, cap, LINKED_STEPS, LINKED_SEEDS, name="linked")
            linked = self._runs(run, cap, LINKED_STEPS, LINKED_SEEDS, linked=True, name="linked")
            for name, (expected, low, high) in bands.items():
                measure = crashes if name == "crashes" else defaults
                changes = np.array([measure(new) / measure(old) - 1.0 for new, old in zip(linked, plain, strict=True)])
                run.row(f"volatility-linked cap {cap:g}: change of {name}", float(changes.mean()), expected, low=low,
                        high=high, error=float(changes.std(ddof=1)) / math.sqrt(len(changes)), formula=TABLE)


def over(runs: list[Funds], measure: Callable[[Funds], float]) -> tuple[float, float]:
    """Return the mean of a measure over simulations and its standard error."""
    values = np.array([measure(funds) for funds in runs])
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))


def losses(funds: Funds) -> NDArray[np.float64]:
    """Return the sizes of the negative returns after which the asset was cheap."""
    return np.asarray(-funds.returns[funds.cheap & (funds.returns < 0.0)])


def tail_of(funds: Funds) -> float:
    """Return the Hill index of the losses."""
    return hill(losses(funds))


def kurtosis_of(funds: Funds) -> float:
    """Return the kurtosis of all returns, 3 for normal ones."""
    centred = funds.returns - funds.returns.mean()
    return float((centred**4).mean() / (centred**2).mean() ** 2)


def memory(funds: Funds, lag: int) -> float:
    """Return the autocorrelation of absolute returns."""
    size = np.abs(funds.returns) - np.abs(funds.returns).mean()
    return float((size[lag:] * size[:-lag]).mean() / (size**2).mean())


def crashes(funds: Funds) -> float:
    """Return the share of returns below -15 %."""
    return float((funds.returns < CRASH).mean())


def defaults(funds: Funds) -> float:
    """Return defaults per fund and step."""
    return funds.defaults
