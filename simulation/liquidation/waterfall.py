"""Loss waterfall: who pays when a liquidated account cannot."""

import dataclasses

from spirals.simulation.parameters import Part, parameter

__all__ = ["LossWaterfall"]


@dataclasses.dataclass(frozen=True)
class LossWaterfall(Part):
    """Losses are paid from remaining margin, then the liquidation fee, the insurance fund, then auto-deleveraging.

    With `auto_deleveraging` off the fund takes the position over at the bankruptcy price and may go
    negative: the venue itself pays, reported as uncovered loss.
    """

    insurance_fund: float = parameter(0.0, unit="quote", low=0, help="opening balance")
    auto_deleveraging: bool = parameter(True, help="cut the most profitable and levered opposite accounts")
    deleverage_exempt: str = parameter(
        "ranked", choices=("ranked", "last"),
        help="accounts without margin (the background): ranked like all others, or cut only when nobody else is left",
    )

    @property
    def deleveraging_code(self) -> int:
        """0: off; 1: everybody is ranked alike; 2: accounts without margin requirement come last."""
        return int(self.auto_deleveraging) * (2 if self.deleverage_exempt == "last" else 1)
