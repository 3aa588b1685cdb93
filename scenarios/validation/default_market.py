"""The default market beside the literature and a recorded stream: spread, impact, refill, facts of returns."""

import dataclasses

from spirals.scenarios.validation.case import Case, Check, Mechanism, Run
from spirals.simulation.parameters import parameter

__all__ = ["DefaultMarket"]

# What an hour and a half cannot show; the long form runs whole days.
NEEDS_DAYS = ("minute_excess_kurtosis", "minute_absolute_acf_1", "minute_absolute_acf_10")


@dataclasses.dataclass(frozen=True)
class DefaultMarket(Case):
    """Default market: impact, refill, spread, stylised facts."""

    name = "default-market"
    source = "the literature and the shipped order-book stream, named per moment"
    mechanisms = (Mechanism("noise", "size of the background's market orders", ("moments",), flip=False),)

    noise: float = parameter(0.02, unit="fraction of depth within 10 bp", above=0, high=1,
                             help="mean size of the background's market orders")

    def checks(self) -> dict[str, Check]:
        return {"moments": self.moments}

    def moments(self, run: Run) -> None:
        """Every moment of the calm scenario in the band that was stated before it was fitted."""
        from spirals.scenarios.market_experiments import Market, calm_paths, metaorders, refill, round_trips
        from spirals.scenarios.market_moments import FULL, MOMENTS, QUICK

        design = FULL if run.full else QUICK
        market = Market(changes=(f"background.order_share={self.noise * run.factor('noise')!r}",))
        found = {name: value for part in (calm_paths, refill, metaorders, round_trips)
                 for name, value in part(market, design).items()}
        for moment in MOMENTS:
            if moment.name not in found or (moment.name in NEEDS_DAYS and not run.full):
                continue
            value, error = found[moment.name]
            run.row(moment.name.replace("_", " "), value, 0.5 * (moment.low + moment.high), low=moment.low,
                    high=moment.high, error=error, source=moment.source)
