"""Stages 4 and 6: how the venue closes accounts, and who pays what they cannot.

- `mechanism.py`: size, price band and fee of liquidation orders; `close_out.py`: the orders
- `waterfall.py`: who pays; `settlement.py`: fee, deficit and fund; `auto_deleveraging.py`: the last layer
- `shadow.py`: forced orders of the twins, executed beside the book
"""

from spirals.simulation.liquidation.mechanism import LiquidationMechanism
from spirals.simulation.liquidation.waterfall import LossWaterfall

__all__ = ["LiquidationMechanism", "LossWaterfall"]
