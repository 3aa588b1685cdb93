"""Margin and loss spirals: the multipliers of Brunnermeier and Pedersen, leverage targets, liquidation thresholds."""

import dataclasses
import math

import numpy as np

from spirals.scenarios.validation.case import Case, Check, Line, Mechanism, Run
from spirals.scenarios.validation.clearing_market import (
    Spiral,
    book_move,
    clearing_price,
    leverage_target_move,
    threshold_move,
)
from spirals.simulation.parameters import parameter
from spirals.simulation.randomness import generator

__all__ = ["Multipliers"]

WEALTH_STEP = 0.02       # finite difference, as a share of what moves a calm market by one unit of price
BOOK_STEP = 0.1
NOISE = 0.01             # of value and supply, relative to one unit of price and to the holding
SMALL = 1e-5             # shock to the log price
THRESHOLDS = 200_000     # accounts per unit of log price


@dataclasses.dataclass(frozen=True)
class Multipliers(Case):
    """Margin and loss spirals: price moves per unit of lost wealth, by clearing price and through the order book."""

    name = "spiral-multipliers"
    source = "Brunnermeier and Pedersen (2009); gain of thresholds derived for this project"
    mechanisms = (
        Mechanism("margin slope", "response of margin to the price", ("clearing", "book", "divergence")),
        Mechanism("exposure", "units on which the speculators lose", ("clearing", "book")),
        Mechanism("customers", "units that customers take per unit of price", ("clearing", "book"), flip=False),
        Mechanism("elasticity", "of margin to the price, leverage target and thresholds", ("leverage", "thresholds")),
        Mechanism("depth", "notional per unit of log price", ("leverage", "thresholds"), flip=False),
    )

    k: float = parameter(10.0, unit="units per unit of price", above=0, high=1e4, help="2 / (gamma sigma^2)")
    margin: float = parameter(5.0, unit="money per unit", above=0, high=90)
    exposure: float = parameter(30.0, unit="units", low=0, high=1e6, help="x_0")
    margin_slope: float = parameter(-0.5, unit="money per unit per unit of price", high=0, low=-50)
    holding: float = parameter(20.0, unit="units", above=0, high=1e6, help="x_1")
    leverage: float = parameter(5.0, above=1, high=100)
    assets_to_depth: float = parameter(0.1, above=0, high=10, help="assets per notional of depth, A / D")
    elasticity: float = parameter(2.0, low=0, high=50, help="-d ln m / d ln p")
    threshold_gain: float = parameter(0.5, above=0, below=1, help="lambda / D: notional of thresholds to depth")
    maintenance: float = parameter(0.06, above=0, below=0.5, help="maintenance rate")
    threshold_elasticity: float = parameter(10.0, low=0, high=50)

    def problems(self) -> list[str]:
        found = super().problems()
        if found:
            return found
        bracket = self.bracket(True, True)
        if bracket <= 0.02 * self.k * self.margin:
            found.append("k * margin + margin_slope * holding - exposure must be above 2 % of k * margin for a price "
                         f"to exist, was {bracket:g}")
        if not self.leverage_gain() < 0.95:
            found.append("assets_to_depth * (leverage - 1 + elasticity) must be below .95, was "
                         f"{self.leverage_gain():g}")
        if not self.thresholds_gain() < 0.95:
            found.append("threshold_gain * (1 + threshold_elasticity * maintenance / (1 - maintenance)) must be below "
                         f".95, was {self.thresholds_gain():g}")
        return found

    def bracket(self, loss: bool, spiral: bool) -> float:
        """Return what divides 1 in dp/d(wealth), with the loss and the margin spiral on or off."""
        return self.k * self.margin + spiral * self.margin_slope * self.holding - loss * self.exposure

    def leverage_gain(self) -> float:
        """Return A (L - 1 + e) / D."""
        return self.assets_to_depth * (self.leverage - 1.0 + self.elasticity)

    def thresholds_gain(self) -> float:
        """Return (lambda / D) (1 + e m / (1 - m))."""
        m = self.maintenance
        return self.threshold_gain * (1.0 + self.threshold_elasticity * m / (1.0 - m))

    def checks(self) -> dict[str, Check]:
        return {"clearing": self.clearing, "book": self.book, "divergence": self.divergence,
                "leverage": self.leverage_target, "thresholds": self.thresholds}

    def _spiral(self, run: Run, loss: bool, spiral: bool) -> Spiral:
        return Spiral(self.k * run.factor("customers"), self.margin,
                      spiral * self.margin_slope * run.factor("margin slope"), self.holding,
                      loss * self.exposure * run.factor("exposure"))

    def _amplifications(self) -> dict[str, tuple[bool, bool, float]]:
        base = self.k * self.margin
        cases = {"base": (False, False), "margin only": (False, True), "loss only": (True, False), "both": (True, True)}
        return {name: (*on, base / self.bracket(*on)) for name, on in cases.items()}

    def clearing(self, run: Run) -> None:
        """Finite difference dp/d(wealth) in the clearing market, with common random numbers."""
        draws = run.pick(200, 5000)
        noise = generator(run.seed, "validation.multipliers").standard_normal((draws, 2)) * NOISE
        step = WEALTH_STEP * self.k * self.margin * min(1.0, self.bracket(True, True) / (self.k * self.margin))
        measured, wanted = {}, {}
        for name, (loss, margin, expected) in self._amplifications().items():
            spiral = self._spiral(run, loss, margin)
            slopes = np.array([
                (clearing_price(spiral, step, value, supply * self.holding)
                 - clearing_price(spiral, -step, value, supply * self.holding)) / (2.0 * step)
                for value, supply in noise])
            slopes *= self.k * self.margin
            measured[name], wanted[name] = float(slopes.mean()), expected
            run.row(f"amplification, {name}, clearing price", measured[name], expected, relative=0.02,
                    error=float(slopes.std(ddof=1)) / math.sqrt(draws), formula="k m / (k m + m' x_1 - x_0)")
        product = wanted["margin only"] * wanted["loss only"]
        if self.margin_slope < 0 and self.exposure > 0:
            run.row("both less margin x loss, clearing price", measured["both"] - measured["margin only"]
                    * measured["loss only"], wanted["both"] - product, low=0.5 * (wanted["both"] - product),
                    formula="above 0: not multiplicative")
        share = np.linspace(0.0, 0.9, 100) * self.k * self.margin
        run.panel("Amplification against feedback", "(x_0 - m' x_1) / k m", "dp / dp without spirals",
                  Line.of("law", share / (self.k * self.margin), 1.0 / (1.0 - share / (self.k * self.margin))),
                  Line.of("clearing price", [1.0 - 1.0 / value for value in wanted.values()], list(measured.values()),
                          True))

    def book(self, run: Run) -> None:
        """The same in a linear stretch of the order book, by rounds of forced sales."""
        for name, (loss, margin, expected) in self._amplifications().items():
            shock = -BOOK_STEP * self.k * self.margin / expected**2
            move = book_move(self._spiral(run, loss, margin), shock)
            run.row(f"amplification, {name}, order book", move / shock * self.k * self.margin, expected, relative=0.10,
                    error=0.0, formula="k m / (k m + m' x_1 - x_0)")

    def divergence(self, run: Run) -> None:
        """With the bracket at or below 0 no price near the old one clears the market, by either way."""
        slope = -(self.k * self.margin - self.exposure) / self.holding - 0.05 * self.k * self.margin / self.holding
        spiral = dataclasses.replace(self._spiral(run, True, True), margin_slope=slope * run.factor("margin slope"))
        shock = -1e-4 * self.k * self.margin
        run.row("no clearing price near when the bracket is below 0", float(math.isnan(clearing_price(spiral, shock))),
                1.0, absolute=0.0, error=0.0, formula="k m + m' x_1 - x_0 <= 0")
        move = book_move(spiral, 10.0 * shock)
        far = math.isnan(move) or abs(move) > 50.0 * 1e-3
        run.row("order book falls beyond 50 base moves when the bracket is below 0", float(far), 1.0, absolute=0.0,
                error=0.0, formula="k m + m' x_1 - x_0 <= 0")

    def leverage_target(self, run: Run) -> None:
        """A fund that keeps a leverage target, small shock."""
        move = leverage_target_move(self.assets_to_depth, self.leverage, self.elasticity * run.factor("elasticity"),
                                    run.factor("depth"), -SMALL)
        run.row("leverage target: move / shock", move / -SMALL, 1.0 / (1.0 - self.leverage_gain()), relative=0.02,
                error=0.0, formula="1 / (1 - A (L - 1 + e) / D)")

    def thresholds(self, run: Run) -> None:
        """Maintenance margin that rises as the price falls moves the thresholds towards the price."""
        rate, elasticity = self.maintenance, self.threshold_elasticity * run.factor("elasticity")
        spacing = 1.0 / THRESHOLDS
        shock = 200.0 * spacing * (1.0 - self.thresholds_gain())
        bankruptcy = math.log(1.0 - rate) - spacing * (np.arange(int(1e4)) + 0.5)
        notional = self.threshold_gain * spacing
        move = threshold_move(bankruptcy, notional, rate, elasticity, run.factor("depth"), shock)
        run.row("liquidation thresholds: move / shock", move / shock, 1.0 / (1.0 - self.thresholds_gain()),
                relative=0.02, error=0.0, formula="g = (lambda / D) (1 + e m / (1 - m)); 1 / (1 - g)")
