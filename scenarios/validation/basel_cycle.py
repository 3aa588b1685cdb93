"""The Basel leverage cycle: where it begins, that the policy's exponent does not move that, how long it is."""

import dataclasses
import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from spirals.scenarios.validation.basel_map import (
    BankingSystem,
    critical_by_jacobian,
    critical_in_theory,
    cubic_radius,
    lyapunov,
    orbit,
    return_rate,
    swing_growth,
)
from spirals.scenarios.validation.case import Case, Check, Line, Mechanism, Run
from spirals.simulation.parameters import parameter

__all__ = ["BaselCycle"]

CYCLE = "cycle and Lyapunov exponent at the published values: a table, reproduced at these parameters only"
PUBLISHED = BankingSystem()
CALM = BankingSystem(b=0.0, alpha=5.8)
OPENING_VARIANCE = 1e-3      # off the fixed point, which is infeasible at the published values
WARM_UP = 5000
CRASH, APART_YEARS = -0.15, 3.0
KICK = 1e-8
PUSH, CALM_SHARE, SETTLED = 1e-4, 0.7, (150, 200)   # relative push of the price, leverage over critical, steps
EARLY, LATE, WINDOW = 20, 80, 14
STRETCH, STRETCHED_STEPS, SHOVE = 1.5, 50, 0.02     # of the horizon; short: the cycle is chaotic
VARIANCE, PRICE = 0, 2


@dataclasses.dataclass(frozen=True)
class BaselCycle(Case):
    """Basel leverage cycle: critical leverage, independence of the policy's exponent, period, Lyapunov signs."""

    name = "basel-cycle"
    source = "Aymanns, Caccioli, Farmer and Tan (2016); cubic derived from its map"
    mechanisms = (
        Mechanism("theta", "speed at which the bank adjusts its balance sheet", ("boundary", "growth", "cycle")),
        Mechanism("eta", "speed at which equity returns to its target", ("boundary", "growth")),
        Mechanism("bank weight", "share of the asset in the bank's portfolio", ("boundary", "growth"), flip=False),
        Mechanism("fundamentalist", "response to the gap between value and price",
                  ("boundary", "growth", "recovery", "cycle")),
        Mechanism("risk response", "exponent of the leverage policy", ("horizon", "cycle")),
        Mechanism("risk memory", "rate at which perceived risk forgets", ("cycle",)),
    )
    fixed: ClassVar[Mapping[str, str]] = dict.fromkeys(("alpha", "t_var", "delta", "variance_floor"), CYCLE)

    e_bar: tuple[float, ...] = parameter((0.15, 1.0, 2.27, 4.0), above=0, high=20, help="equity targets of the bank")
    theta: tuple[float, ...] = parameter((10.0, 5.0, 2.0, 1.0), unit="per year", above=0, high=10)
    b: tuple[float, ...] = parameter((-0.5, 0.0, 0.5), low=-1, high=1, help="exponents of the leverage policy")
    eta: float = parameter(10.0, unit="per year", above=0, high=10)
    rho: float = parameter(0.1, unit="per year", low=0, high=1)
    w_b: float = parameter(0.3, above=0, below=0.5)
    mu: float = parameter(25.0, above=0, high=1e4)
    weight: float = parameter(0.5, above=0, below=1, help="fundamentalist's weight at rest")

    def problems(self) -> list[str]:
        found = super().problems()
        for e_bar in self.e_bar:
            for theta in self.theta if not found else ():
                if math.isnan(critical_in_theory(self._system(e_bar, theta))):
                    found.append(f"e_bar {e_bar:g} with theta {theta:g} is never unstable while the bank holds less "
                                 "than the whole asset; e_bar or theta must be larger")
        return found

    def _system(self, e_bar: float, theta: float, b: float = -0.5) -> BankingSystem:
        return BankingSystem(e_bar=e_bar, theta=theta, b=b, eta=self.eta, rho=self.rho, w_b=self.w_b, mu=self.mu,
                             weight=self.weight)

    def checks(self) -> dict[str, Check]:
        return {"boundary": self.boundary, "growth": self.growth, "recovery": self.recovery,
                "horizon": self.horizon, "cycle": self.cycle}

    def boundary(self, run: Run) -> None:
        """Critical leverage from the numerical Jacobian of the whole map."""
        middle = self.e_bar[len(self.e_bar) // 2]
        measured = []
        for e_bar in self.e_bar:
            system = self._system(e_bar, self.theta[0])
            expected = critical_in_theory(system)
            measured.append(critical_by_jacobian(mutated(system, run)))
            run.row(f"critical leverage, E_bar = {e_bar:g}", measured[-1], expected, relative=0.01, error=0.0,
                    formula="spectral radius 1 of the linear map of price, share and liabilities")
            if system.tau * system.theta == 1.0 and system.tau * system.eta == 1.0:
                run.row(f"root of the cubic at that leverage, E_bar = {e_bar:g}", cubic_radius(system, measured[-1]),
                        1.0, absolute=0.005, error=0.0,
                        formula="D z^3 - [D - (1-n) tau rho + n k1] z^2 + n(k1+k2) z - n k2")
        for theta in self.theta[1:]:
            system = self._system(middle, theta)
            found_here = critical_by_jacobian(mutated(system, run))
            run.row(f"critical leverage, theta = {theta:g}, E_bar = {middle:g}", found_here, critical_in_theory(system),
                    relative=0.02, error=0.0, formula="as above; it rises with 1 / theta")
        found = [critical_by_jacobian(mutated(self._system(middle, self.theta[0], b), run)) for b in self.b]
        run.row("spread of the critical leverage over b, relative", (max(found) - min(found)) / found[0], 0.0,
                absolute=0.005, error=0.0, formula="the variance is of second order at the fixed point")
        axis = np.geomspace(0.5 * min(self.e_bar), 1.5 * max(self.e_bar), 12)
        run.panel("Where the cycle begins", "equity target of the bank", "critical leverage",
                  Line.of("theory", axis, [critical_in_theory(self._system(e, self.theta[0])) for e in axis]),
                  Line.of("map", self.e_bar, measured, True), log_x=True, log_y=True)

    def growth(self, run: Run) -> None:
        """Growth of a small kick in the simulated map, below and above the boundary."""
        system = self._system(self.e_bar[len(self.e_bar) // 2], self.theta[0])
        critical = critical_in_theory(system)
        for share in (0.95, 1.05):
            there = mutated(system, run).at_leverage(share * critical)
            start = there.state()
            start[PRICE] *= 1.0 + KICK
            price = orbit(there.row(), start, LATE + WINDOW)[:, PRICE]
            moves = np.abs(np.diff(price))
            rate = math.log(moves[LATE : LATE + WINDOW].max() / moves[EARLY : EARLY + WINDOW].max()) / (LATE - EARLY)
            expected = swing_growth(system.at_leverage(share * critical))
            run.row(f"growth of a kick per step at {share:g} of the critical leverage", rate, expected, relative=0.15,
                    error=0.0, formula="ln of the modulus of the complex pair")

    def recovery(self, run: Run) -> None:
        """Slow return to value, once swings have died out, in the simulated map.

        At constant leverage: under the Basel policy a push of 1e-4 already ends in the cycle, though the
        fixed point is stable.
        """
        system = self._system(self.e_bar[len(self.e_bar) // 2], self.theta[0], 0.0)
        leverage = CALM_SHARE * critical_in_theory(system)
        there = mutated(system, run).at_leverage(leverage)
        start = there.state()
        start[PRICE] *= 1.0 + PUSH
        first, last = SETTLED
        price = orbit(there.row(), start, last + 1)[:, PRICE]
        moves = np.abs(np.diff(price))
        run.row(f"return to value per step at {CALM_SHARE:g} of the critical leverage",
                math.log(moves[last] / moves[first]) / (last - first), return_rate(system.at_leverage(leverage)),
                relative=0.05, error=0.0, formula="ln of the largest real eigenvalue below 1")

    def horizon(self, run: Run) -> None:
        """A longer horizon of risk is the same as another level of leverage: two simulated orbits beside each other.

        Multiplying the horizon by c multiplies every variance by c^2, and a policy alpha variance^b by c^(2 b).
        """
        for b in self.b:
            here = self._system(self.e_bar[len(self.e_bar) // 2], self.theta[0], b)
            variance = OPENING_VARIANCE + here.variance_floor
            here = dataclasses.replace(here, alpha=CALM_SHARE * critical_in_theory(here) / variance**b)
            there = dataclasses.replace(here, alpha=here.alpha * STRETCH ** (-2.0 * b),
                                        t_var=here.t_var * STRETCH, variance_floor=here.variance_floor * STRETCH**2)
            start = mutated(here, run).state(OPENING_VARIANCE)
            start[PRICE] *= 1.0 + SHOVE
            stretched = start * np.where(np.arange(len(start)) == VARIANCE, STRETCH**2, 1.0)
            first, second = (orbit(mutated(system, run).row(), state, STRETCHED_STEPS)[:, PRICE]
                             for system, state in ((here, start), (there, stretched)))
            away = np.abs(second / first - 1.0)
            run.row(f"{STRETCH:g} x the horizon or the level changed alike: distance of prices, b = {b:g}",
                    float(away.max()), 0.0, absolute=1e-6, error=0.0,
                    formula="alpha (c^2 variance)^b = c^(2 b) alpha variance^b")

    def cycle(self, run: Run) -> None:
        """Period of the deterministic cycle and signs of the Lyapunov exponent, at the published values."""
        system = mutated(PUBLISHED, run)
        steps = run.pick(60_000, 600_000)
        price = orbit(system.row(), system.state(OPENING_VARIANCE), steps)[WARM_UP:, PRICE]
        gaps = crash_gaps(price, system.tau)
        run.row("gap between crashes [years]", float(gaps.mean()) if len(gaps) else math.nan, 15.8, low=14.0, high=18.0,
                error=float(gaps.std() / math.sqrt(len(gaps))) if len(gaps) else math.nan, formula=CYCLE)
        # an orbit that left the positive prices has no exponent: infinite, which fails the second row only
        chaotic = lyapunov(system.row(), system.state(OPENING_VARIANCE), WARM_UP, steps - WARM_UP, KICK) / system.tau
        run.row("Lyapunov exponent at b = -.5 [per year]", chaotic, 1.2, low=0.5, formula=CYCLE)
        calm = mutated(CALM, run)
        quiet = lyapunov(calm.row(), calm.state(OPENING_VARIANCE), WARM_UP, steps - WARM_UP, KICK) / calm.tau
        run.row("Lyapunov exponent at b = 0, leverage 5.8 [per year]", quiet, 0.0, high=0.01, formula=CYCLE)
        years = np.arange(1000) * system.tau
        run.panel("Deterministic cycle", "years", "price", Line.of("price", years, price[:1000]))


def mutated(system: BankingSystem, run: Run) -> BankingSystem:
    """Return the system of the model, its mechanisms multiplied as the run says."""
    return dataclasses.replace(
        system, theta=system.theta * run.factor("theta"), eta=system.eta * run.factor("eta"),
        w_b=system.w_b * run.factor("bank weight"), rho=system.rho * run.factor("fundamentalist"),
        b=system.b * run.factor("risk response"), delta=system.delta * run.factor("risk memory"))


def crash_gaps(price: NDArray[np.float64], tau: float) -> NDArray[np.float64]:
    """Return the years between crashes: one-year log returns below the limit, at least three years apart."""
    year = round(1.0 / tau)
    with np.errstate(invalid="ignore"):
        below = np.flatnonzero(np.log(price[year:] / price[:-year]) < CRASH)
    events: list[int] = []
    for place in below:
        if not events or (place - events[-1]) * tau > APART_YEARS:
            events.append(int(place))
    return np.diff(np.array(events)) * tau
