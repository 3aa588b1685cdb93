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
