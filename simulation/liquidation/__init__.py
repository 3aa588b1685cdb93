"""Stages 4 and 6: how the venue closes accounts, and who pays what they cannot."""

from spirals.simulation.liquidation.mechanism import LiquidationMechanism
from spirals.simulation.liquidation.waterfall import LossWaterfall

__all__ = ["LiquidationMechanism", "LossWaterfall"]
