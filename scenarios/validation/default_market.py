"""The default market beside the literature and a recorded stream: spread, impact, refill, facts of returns."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from spirals.scenarios.validation.case import Case, Check, Mechanism, Run
from spirals.simulation.parameters import parameter

if TYPE_CHECKING:
    from spirals.scenarios.calibration.market_experiments import Design, Estimate, Market

__all__ = ["DefaultMarket"]

# What an hour and a half cannot show; the long form runs whole days.
NEEDS_DAYS = ("minute_excess_kurtosis", "minute_absolute_acf_1", "minute_absolute_acf_10")


@dataclasses.dataclass(frozen=True)
class DefaultMarket(Case):
    """Default market: impact, refill, spread, stylised facts."""

    name = "default-market"
    source = "the literature and the shipped order-book stream, named per moment"
    mechanisms = (
        Mechanism("noise", "size of the background's market orders", ("quiet", "refill", "impact", "round_trips"),
                  flip=False),
        Mechanism("shape", "exponent of depth in distance", ("quiet", "refill", "impact", "round_trips"), flip=False),
    )

    noise: float = parameter(0.02, unit="fraction of depth within 10 bp", above=0, high=1,
                             help="mean size of the background's market orders")
    exponent: float = parameter(1.3, low=0.5, high=3, help="of cumulative depth in distance")

    def checks(self) -> dict[str, Check]:
        return {"quiet": self.quiet, "refill": self.refill, "impact": self.impact, "round_trips": self.round_trips}

    def quiet(self, run: Run) -> None:
        """Spread, depth and returns of quiet paths."""
        from spirals.scenarios.calibration.market_experiments import calm_paths

        self._rows(run, calm_paths)

    def refill(self, run: Run) -> None:
        """How fast the book fills again."""
        from spirals.scenarios.calibration.market_experiments import refill

        self._rows(run, refill)

    def impact(self, run: Run) -> None:
        """Impact of metaorders."""
        from spirals.scenarios.calibration.market_experiments import metaorders

        self._rows(run, metaorders)

    def round_trips(self, run: Run) -> None:
        """What buying and selling back earns."""
        from spirals.scenarios.calibration.market_experiments import round_trips

        self._rows(run, round_trips)

    def _rows(self, run: Run, experiment: "Callable[[Market, Design], dict[str, Estimate]]") -> None:
        """Add a row for every moment of an experiment, in the band that was stated before it was fitted."""
        from spirals.scenarios.calibration.market_experiments import Market
        from spirals.scenarios.calibration.market_moments import FULL, MOMENTS, QUICK

        market = Market(changes=(f"background.order_share={self.noise * run.factor('noise')!r}",
                                 f"depth.exponent={self.exponent * run.factor('shape')!r}"))
        found = experiment(market, FULL if run.full else QUICK)
        for moment in MOMENTS:
            if moment.name not in found or (moment.name in NEEDS_DAYS and not run.full):
                continue
            value, error = found[moment.name]
            run.row(moment.name.replace("_", " "), value, 0.5 * (moment.low + moment.high), low=moment.low,
                    high=moment.high, error=error, source=moment.source)
