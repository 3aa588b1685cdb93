"""The default market beside the literature and a recorded stream: spread, impact, refill, facts of returns."""

import dataclasses

from spirals.scenarios.validation.case import Case, Check, Run

__all__ = ["DefaultMarket"]

# What an hour and a half cannot show; the long form runs whole days.
NEEDS_DAYS = ("minute_excess_kurtosis", "minute_absolute_acf_1", "minute_absolute_acf_10")


@dataclasses.dataclass(frozen=True)
class DefaultMarket(Case):
    """Default market: impact, refill, spread, stylised facts."""

    name = "default-market"
    source = "the literature and the shipped order-book stream, named per moment"

    def checks(self) -> dict[str, Check]:
        return {"moments": self.moments}

    def moments(self, run: Run) -> None:
        """Every moment of the calm scenario in the band that was stated before it was fitted."""
        from spirals.scenarios.market_moments import FULL, QUICK, measure

        for found in measure(["calm"], FULL if run.full else QUICK):
            if found["passed"] is None or (found["moment"] in NEEDS_DAYS and not run.full):
                continue
            run.row(found["moment"].replace("_", " "), found["measured"], 0.5 * (found["low"] + found["high"]),
                    low=found["low"], high=found["high"], error=found["standard_error"], source=found["source"])
