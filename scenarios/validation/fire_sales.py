"""Fire sales: volatility and correlation that the selling of one fund makes, for one asset and for several.

Cont and Wagalath (2013), "Running for the exit: distressed selling and endogenous correlation in financial markets",
Mathematical Finance 23; the closed forms for one round and for all rounds were derived for this project. Bands are
a choice of this project, made before the measurement: the theory sets none.
"""

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from spirals.scenarios.validation.case import Case, Check, Line, Mechanism, Run
from spirals.simulation.kernel import kernel
from spirals.simulation.parameters import parameter
from spirals.simulation.randomness import normal_quantile, stream_key, uniform

__all__ = ["FireSales", "returns_with_sales"]

ALL_ROUNDS = 10_000
COVARIANCE_BAND, CORRELATION_BAND = 0.02, 0.01
Array = NDArray[np.float64]


@kernel
def returns_with_sales(key, days, holdings, depths, mixing, intensity, rounds):
    """Return simple returns with and without sales, of shape (days, 2, n); every day starts anew at prices of 1.

    A day brings a shock ``mixing @ normal`` to the prices. The fund values its units at the new prices and sells of
    each asset the fraction ``intensity * loss / value before the day``; selling one unit of money moves the price by
    the fraction 1 / depth. Each round answers the loss of the round before. NaN where the rounds do not end.
    """
    n = len(holdings)
    returns = np.empty((days, 2, n))
    prices, shock = np.empty(n), np.empty(n)
    opening = holdings.sum()
    for day in range(days):
        for asset in range(n):
            shock[asset] = 0.0
            for factor in range(n):
                shock[asset] += mixing[asset, factor] * normal_quantile(uniform(key, day, factor, 0))
            prices[asset] = 1.0 + shock[asset]
            returns[day, 0, asset] = shock[asset]
        before = opening
        for _ in range(rounds):
            value = 0.0
            for asset in range(n):
                value += holdings[asset] * prices[asset]
            loss = before - value
            if abs(loss) < 1e-12 * opening:
                break
            if abs(loss) > 10.0 * opening:
                prices[:] = np.nan
                break
            before = value
            for asset in range(n):
                sold = intensity * loss / opening * holdings[asset]
                prices[asset] -= sold / depths[asset]
        for asset in range(n):
            returns[day, 1, asset] = prices[asset] - 1.0
    return returns


@dataclasses.dataclass(frozen=True)
class FireSales(Case):
    """Fire sales: endogenous volatility and correlation from the selling of one fund."""

    name = "fire-sales"
    source = "Cont and Wagalath (2013); fixed point derived"
    mechanisms = (
        Mechanism("intensity", "fraction sold per fraction lost", ("one_asset", "one_round", "all_rounds")),
        Mechanism("depth", "money per fraction of price", ("one_asset", "one_round", "all_rounds"), flip=False),
        Mechanism("volatility", "of the shocks", ("one_asset", "one_round", "all_rounds"), flip=False),
    )

    holdings: tuple[float, ...] = parameter((50.0, 30.0, 20.0), unit="money", low=0, high=1e12)
    depths: tuple[float, ...] = parameter((100.0, 60.0, 80.0), unit="money per fraction of price", above=0, high=1e12)
    volatilities: tuple[float, ...] = parameter((0.01, 0.01, 0.02), unit="per day", above=0, high=0.05)
    correlation: float = parameter(0.0, above=-1, below=1, help="between the shocks of every two assets")
    intensity: float = parameter(1.0, low=0, high=100, help="fraction of holdings sold per fraction of value lost")

    def problems(self) -> list[str]:
        found = super().problems()
        counts = {len(self.holdings), len(self.depths), len(self.volatilities)}
        if len(counts) != 1:
            return [*found, "holdings, depths and volatilities must have the same number of entries, were "
                            f"{len(self.holdings)}, {len(self.depths)} and {len(self.volatilities)}"]
        n = len(self.holdings)
        if sum(self.holdings) <= 0:
            return [*found, "holdings must not all be 0"]
        if n > 1 and self.correlation <= -1.0 / (n - 1):
            found.append(f"correlation of {n} assets must be above {-1 / (n - 1):g}, was {self.correlation:g}")
        gain = max(float(self.weights() @ self.response()), float(self.response()[0]))
        if not found and gain >= 0.95:
            found.append("intensity times the mean of holdings / depths by weight, and times the first of them, must "
                         f"be below .95 for the rounds to end, was {gain:g}")
        return found

    def weights(self) -> Array:
        """Return the portfolio weights w."""
        return np.array(self.holdings) / sum(self.holdings)

    def response(self) -> Array:
        """Return u, the price move of every asset per fraction of value lost."""
        return self.intensity * np.array(self.holdings) / np.array(self.depths)

    def covariance(self) -> Array:
        """Return the covariance of the shocks."""
        n = len(self.holdings)
        correlations = np.full((n, n), self.correlation) + (1.0 - self.correlation) * np.eye(n)
        return np.asarray(np.outer(self.volatilities, self.volatilities) * correlations)

    def checks(self) -> dict[str, Check]:
        return {"one_asset": self.one_asset, "one_round": self.one_round, "all_rounds": self.all_rounds,
                "unstable": self.unstable}

    def _simulated(self, run: Run, name: str, rounds: int) -> Array:
        scale = run.factor("volatility")
        return np.asarray(returns_with_sales(
            stream_key(run.seed, f"validation.fire_sales.{name}"), run.pick(200_000, 2_000_000),
            np.array(self.holdings),
            np.array(self.depths) * run.factor("depth"), np.linalg.cholesky(self.covariance()) * scale,
            self.intensity * run.factor("intensity"), rounds))

    def one_asset(self, run: Run) -> None:
        """The first asset alone, held by a fund of its own: volatility over that of the shocks."""
        alone = FireSales(self.holdings[:1], self.depths[:1], self.volatilities[:1], 0.0, self.intensity)
        inner = Run(alone, run.full, run.seed, run.mutant)
        gain = float(alone.response()[0])
        for rounds, word, expected in ((1, "one round", 1.0 + gain), (ALL_ROUNDS, "all rounds", 1.0 / (1.0 - gain))):
            returns = alone._simulated(inner, "one", rounds)[:, 1, 0]
            ratio = returns.std() / self.volatilities[0]
            run.row(f"one asset: volatility over that of shocks, {word}", ratio, expected, relative=COVARIANCE_BAND,
                    error=expected / math.sqrt(2.0 * len(returns)),
                    formula="1 + f alpha / D" if rounds == 1 else "1 / (1 - f alpha / D)")

    def one_round(self, run: Run) -> None:
        """Covariance when the fund sells once."""
        u, w, sigma = self.response(), self.weights(), self.covariance()
        tilt = np.outer(u, sigma @ w)
        self._compare(run, "one round", 1, sigma + tilt + tilt.T + (w @ sigma @ w) * np.outer(u, u),
                      "Sigma + u (Sigma w)' + (Sigma w) u' + (w' Sigma w) u u'")

    def all_rounds(self, run: Run) -> None:
        """Covariance and portfolio loss when the fund sells until nothing is left to sell."""
        u, w, sigma = self.response(), self.weights(), self.covariance()
        inverse = np.linalg.inv(np.eye(len(u)) - np.outer(u, w))
        returns = self._compare(run, "all rounds", ALL_ROUNDS, inverse @ sigma @ inverse.T,
                                "(I - u w')^-1 Sigma (I - w u')^-1")
        quiet, loud = returns[:, 0] @ w, returns[:, 1] @ w
        run.row("all rounds: portfolio loss over that of the shocks", loud.std() / quiet.std(),
                float(1.0 / (1.0 - w @ u)), relative=COVARIANCE_BAND, error=0.0, formula="1 / (1 - w'u)")

    def _compare(self, run: Run, word: str, rounds: int, expected: Array, formula: str) -> Array:
        """Add rows for volatilities and correlations; return the simulated returns."""
        returns = self._simulated(run, "several", rounds)
        found = np.atleast_2d(np.cov(returns[:, 1].T))
        count = math.sqrt(len(returns))
        deviations, wanted = np.sqrt(np.diag(found)), np.sqrt(np.diag(expected))
        for asset in range(len(wanted)):
            run.row(f"{word}: volatility of asset {asset + 1}", deviations[asset], wanted[asset],
                    relative=COVARIANCE_BAND, error=wanted[asset] / count / math.sqrt(2.0), formula=formula)
        for first in range(len(wanted)):
            for second in range(first):
                law = expected[first, second] / wanted[first] / wanted[second]
                run.row(f"{word}: correlation of assets {second + 1} and {first + 1}",
                        found[first, second] / deviations[first] / deviations[second], law, absolute=CORRELATION_BAND,
                        error=(1.0 - law**2) / count, formula=formula)
        if len(wanted) > 1:
            shares = np.linspace(0.0, 1.0, 30)
            u, w, sigma = self.response(), self.weights(), self.covariance()
            curve = []
            for share in shares:
                inverse = np.linalg.inv(np.eye(len(u)) - share * np.outer(u, w))
                total = inverse @ sigma @ inverse.T
                curve.append(total[0, 1] / math.sqrt(total[0, 0] * total[1, 1]))
            if rounds > 1:
                run.panel("Correlation of assets 1 and 2", "share of the selling intensity", "correlation",
                          Line.of("law, all rounds", shares, curve),
                          Line.of("simulated", [1.0], [found[0, 1] / deviations[0] / deviations[1]], True))
        return returns

    def unstable(self, run: Run) -> None:
        """With a gain of 1 or more the rounds do not end."""
        w, u = self.weights(), self.response()
        gain = float(w @ u)
        if gain <= 0.0:
            return
        key = stream_key(run.seed, "validation.fire_sales.unstable")
        returns = returns_with_sales(key, 100, np.array(self.holdings),
                                     np.array(self.depths), np.linalg.cholesky(self.covariance()),
                                     self.intensity * 1.05 / gain, ALL_ROUNDS)
        endless = float(np.isnan(returns[:, 1, 0]).mean())
        run.row("share of days on which the rounds do not end, w'u = 1.05", endless, 1.0, absolute=0.0,
                error=0.0, formula="stable only if w'u < 1")
