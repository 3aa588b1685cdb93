"""The cascade law: what every measure of feedback of this project is held against."""

import dataclasses
import functools
import math

import numpy as np
from numpy.typing import NDArray

from spirals.scenarios.feedback.splitting import adaptive_splitting, fixed_splitting, replicated
from spirals.scenarios.validation.cascade_law import borel_tail, generalised_poisson, refill_amplification
from spirals.scenarios.validation.cascade_model import CascadeParticles, cascade_sizes, ramp_falls, stream
from spirals.scenarios.validation.case import Case, Check, Line, Mechanism, Run
from spirals.simulation.parameters import parameter
from spirals.simulation.randomness import generator

__all__ = ["Cascade"]

DENSITY = 10.0           # thresholds per unit of price; only density times impact and density times shock matter
NEVER_SEEN = 40.0        # cascades are cut where their probability has fallen by exp(-40)
EXPONENT_FROM, EXPONENT_TO = 100, 10_000
NEAR_CRITICAL = 0.8
REPLICATES = 20
LEVEL_STEP = 10
LEAST_EXPECTED = 20.0    # per cell of the chi-squared test
REFILL_THRESHOLDS = 1000.0


@dataclasses.dataclass(frozen=True)
class Cascade(Case):
    """Cascade law: size distribution, amplification, estimators of the branching ratio, tails by splitting, refill."""

    name = "cascade"
    source = "Consul and Jain (1973), Borel (1942); refill law of this project"
    mechanisms = (
        Mechanism("impact", "price move per liquidation",
                  ("amplification", "distribution", "estimators", "exponent", "splitting", "refill")),
        Mechanism("shock", "exogenous fall", ("distribution",)),
        Mechanism("density", "thresholds per unit of price", ("amplification", "distribution"), flip=False),
        Mechanism("decay", "rate at which impact decays", ("refill",)),
        Mechanism("parents", "share of liquidations that count as caused by one", ("estimators",), flip=False),
    )

    n: tuple[float, ...] = parameter((0.3, 0.6, 0.8, 0.9), above=0, high=0.95, help="branching ratios")
    theta: float = parameter(1.0, above=0, high=20, help="thresholds that the shock alone crosses")
    rare_n: float = parameter(0.8, above=0, high=0.95, help="branching ratio of the rare events")
    rare_sizes: tuple[int, ...] = parameter((200, 400), low=20, high=1000, help="cascades at least this large")
    refill_n: float = parameter(0.8, above=0, high=0.95)
    decays: tuple[float, ...] = parameter((0.5, 2.0, 10.0), above=0, high=20, help="decay rate x duration of the ramp")

    def checks(self) -> dict[str, Check]:
        return {"amplification": self.amplification, "distribution": self.distribution,
                "estimators": self.estimators, "exponent": self.exponent, "splitting": self.splitting,
                "refill": self.refill}

    def _sizes(self, run: Run, n: float, purpose: str, runs: int) -> tuple[NDArray[np.int64], float]:
        """Return sizes and children of cascades, and the shock; mutated where the run says so."""
        density = DENSITY * run.factor("density")
        largest = 1000 + int(NEVER_SEEN / (n - 1.0 - math.log(n)))   # reached by mutants above n = 1 only
        shock = self.theta / DENSITY * run.factor("shock")
        sizes = cascade_sizes(stream(run.seed, f"{purpose}.{n}"), density, n / DENSITY * run.factor("impact"),
                              shock, runs, 0, largest)
        return sizes, shock

    def amplification(self, run: Run) -> None:
        """Mean move over shock."""
        measured, errors = [], []
        for n in self.n:
            sizes, shock = self._sizes(run, n, "amplification", run.pick(40_000, 1_000_000))
            moves = (shock + sizes[:, 0] * n / DENSITY * run.factor("impact")) / shock
            measured.append(float(moves.mean()))
            errors.append(float(moves.std(ddof=1)) / math.sqrt(len(moves)))
            run.row(f"amplification, n = {n:g}", measured[-1], 1.0 / (1.0 - n), error=errors[-1],
                    relative=0.03 if n <= NEAR_CRITICAL else 0.06, formula="1 / (1 - n)")
        axis = np.linspace(0.0, max(self.n), 100)
        run.panel("Amplification", "branching ratio n", "move / shock",
                  Line.of("1 / (1 - n)", axis, 1.0 / (1.0 - axis)),
                  Line.of("simulated", self.n, measured, True, errors))

    def distribution(self, run: Run) -> None:
        """P(S = 0), and the whole distribution by chi-squared."""
        from scipy import stats

        runs = run.pick(100_000, 1_000_000)
        for n in self.n:
            sizes = self._sizes(run, n, "distribution", runs)[0][:, 0]
            empty = math.exp(-self.theta)
            error = math.sqrt(empty * (1.0 - empty) / runs)
            run.row(f"P(S = 0), n = {n:g}", float((sizes == 0).mean()), empty, absolute=3.0 * error, error=error,
                    formula="exp(-theta)")
            law = runs * generalised_poisson(np.arange(sizes.max() + 1), self.theta, n)
            law[-1] += runs - law.sum()   # the rest of the tail, which no run reached
            counts, wanted = pooled(np.bincount(sizes), law)
            run.row(f"chi-squared of the sizes, n = {n:g}: p", float(stats.chisquare(counts, wanted).pvalue), 1.0,
                    low=0.01, formula="generalised Poisson")
        n = self.n[-1]
        grid = np.unique(np.round(np.geomspace(1, 50.0 * self.theta / (1.0 - n) ** 2, 30)))
        run.panel(f"Sizes of cascades, n = {n:g}", "size s", "P(S >= s)",
                  Line.of("generalised Poisson", grid, tail_of(grid, self.theta, n)),
                  Line.of("simulated", grid, [max(float((sizes >= s).mean()), math.nan) for s in grid], True),
                  log_x=True, log_y=True)

    def estimators(self, run: Run) -> None:
        """Three estimates of n: counterfactual, descendants per liquidation, counts."""
        for n in self.n:
            sizes, shock = self._sizes(run, n, "estimators", run.pick(200_000, 1_000_000))
            quiet = np.full(len(sizes), shock)   # the same seed with impact switched off: the shock alone
            moves = shock + sizes[:, 0] * n / DENSITY * run.factor("impact")
            counts = sizes[:, 0]
            children = sizes[:, 1].sum() * run.factor("parents")
            run.row(f"n = {n:g} by counterfactual", 1.0 - quiet.mean() / moves.mean(), n, absolute=0.03,
                    formula="1 - 1 / amplification")
            run.row(f"n = {n:g} by descendants", children / counts.sum(), n, absolute=0.03,
                    formula="descendants / liquidations")
            run.row(f"n = {n:g} by counts", 1.0 - math.sqrt(counts.mean() / counts.var()), n, absolute=0.05,
                    formula="1 - sqrt(mean / variance): Hardiman and Bouchaud (2014)")

    def exponent(self, run: Run) -> None:
        """Exponent of the size density at n = 1 from the tail between two sizes."""
        runs = run.pick(200_000, 2_000_000)
        impact = run.factor("impact") / DENSITY
        sizes = cascade_sizes(stream(run.seed, "exponent"), DENSITY, impact, 0.0, runs, 1, EXPONENT_TO)[:, 0]
        shares = [float((sizes >= size).mean()) for size in (EXPONENT_FROM, EXPONENT_TO)]
        span = math.log(EXPONENT_TO / EXPONENT_FROM)
        slope = math.log(shares[0] / shares[1]) / span if shares[1] > 0 else math.nan
        error = math.sqrt((1.0 / shares[1] - 1.0 / shares[0]) / runs) / span if shares[1] > 0 else math.nan
        run.row("exponent of the size density at n = 1", 1.0 + slope, 1.5, absolute=0.05, error=error,
                formula="3/2: P(S >= s) ~ sqrt(2 / (pi s))")

    def splitting(self, run: Run) -> None:
        """Tails by adaptive and by fixed levels, means of replicates."""
        impact = self.rare_n / DENSITY * run.factor("impact")
        for size in self.rare_sizes:
            exact = borel_tail(size, self.rare_n)
            band = 0.05 if exact > 1e-5 else 0.10

            for word, estimate in (("adaptive", self._adaptive), ("fixed", self._fixed)):
                found = replicated(functools.partial(estimate, run, size, impact), REPLICATES)
                run.row(f"P(S >= {size}) from one seed, {word} levels", found.mean, exact, relative=band,
                        error=found.standard_error, formula="Borel tail; mean of 20 runs")

    @staticmethod
    def _adaptive(run: Run, size: int, impact: float, replicate: int) -> float:
        key = stream(run.seed, f"adaptive.{size}.{replicate}")
        particles = CascadeParticles(run.pick(5_000, 20_000), DENSITY, impact, key, size)
        return adaptive_splitting(particles, size, generator(run.seed, f"validation.adaptive.{size}", replicate))

    @staticmethod
    def _fixed(run: Run, size: int, impact: float, replicate: int) -> float:
        key = stream(run.seed, f"fixed.{size}.{replicate}")
        levels = [*range(LEVEL_STEP, size, LEVEL_STEP), size]
        particles = CascadeParticles(20_000, DENSITY, impact, key, size)
        return fixed_splitting(particles, levels, generator(run.seed, f"validation.fixed.{size}", replicate))

    def refill(self, run: Run) -> None:
        """Mean amplification of a ramp when impact decays."""
        impact = self.refill_n / DENSITY * run.factor("impact")
        shock = REFILL_THRESHOLDS / DENSITY
        runs = run.pick(200, 2000)
        measured, errors = [], []
        for decay in self.decays:
            falls = ramp_falls(stream(run.seed, f"refill.{decay}"), DENSITY, impact, decay * run.factor("decay"),
                               shock, 1.0, runs, int(50 * REFILL_THRESHOLDS)) / shock
            measured.append(float(falls.mean()))
            errors.append(float(falls.std(ddof=1)) / math.sqrt(runs))
            run.row(f"amplification with refill, kT = {decay:g}", measured[-1],
                    float(refill_amplification(self.refill_n, decay)), relative=0.015, error=errors[-1],
                    formula="1 + (n / kT) (1 - exp(-kT / (1 - n))), many thresholds")
        axis = np.geomspace(0.1, 20.0, 100)
        run.panel(f"Refill, n = {self.refill_n:g}", "decay rate x duration kT", "move / shock",
                  Line.of("law", axis, refill_amplification(self.refill_n, axis)),
                  Line.of("simulated", self.decays, measured, True, errors), log_x=True)


def tail_of(sizes: NDArray[np.float64], theta: float, n: float) -> NDArray[np.float64]:
    """Return P(S >= s) of the generalised Poisson law."""
    below = np.cumsum(generalised_poisson(np.arange(int(sizes.max()) + 1), theta, n))
    return np.asarray(1.0 - below[sizes.astype(int) - 1])


def pooled(counts: NDArray[np.int64], law: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return counts and expected counts with neighbouring cells joined until each expects enough."""
    group = np.floor(np.cumsum(law) / LEAST_EXPECTED).astype(int)   # a cell that fills up opens the next one
    group = np.unique(np.concatenate([[0], group[:-1]]), return_inverse=True)[1]
    observed = np.bincount(group, counts).astype(np.float64)
    expected = np.bincount(group, law).astype(np.float64)
    if len(expected) > 1 and expected[-1] < LEAST_EXPECTED:
        observed[-2] += observed[-1]
        expected[-2] += expected[-1]
        observed, expected = observed[:-1], expected[:-1]
    return observed, expected
