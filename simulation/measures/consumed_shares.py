"""Consumed distance: the way from the opening to an account's threshold, shared out over what consumed it."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.measures.forced_trades import ForcedTrades
from spirals.simulation.measures.impact_kernel import ImpactKernel
from spirals.simulation.measures.record import RunRecord, Series
from spirals.simulation.phase_log import BEFORE_TRADING

__all__ = ["share_distance"]


def share_distance(event: Any, at: int, path: NDArray[Any], flow: ForcedTrades, record: RunRecord, twin_mark: Series,
            bankruptcy: float, rates: Series, kernel: ImpactKernel, events: NDArray[Any]) -> None:
    """Share out the consumed distance: shock + impact + margin rate = 1, or own = 1 where these consumed none."""
    step, side = int(path["step"][at]), int(event["side"])
    mark = record.price("mark", int(event["instrument"]))
    consumed_shock = side * math.log(twin_mark[0] / twin_mark[step])
    consumed_impact = side * math.log(mark[0] / path["mark"][at]) - consumed_shock
    consumed_margin = side * math.log((1.0 - side * rates[0]) / (1.0 - side * rates[step]))
    total = consumed_shock + consumed_impact + consumed_margin
    if total <= 0.0:   # already below at the opening mark, or moved by its own trades only
        event["own"] = 1.0
        return
    event["shock"], event["margin"] = consumed_shock / total, consumed_margin / total
    sold = flow.step < step
    if path["round"][at] != BEFORE_TRADING:
        sold |= (flow.step == step) & (flow.round <= path["round"][at])
    others = flow.other_step <= step
    left = -side * flow.notional[sold] * kernel((step - flow.step[sold]) * record.step_seconds)
    other = -side * flow.other_notional[others] * kernel((step - flow.other_step[others]) * record.step_seconds)
    weight = float(left.sum() + other.sum())
    impact = consumed_impact / total
    if weight <= 0.0:   # nobody to give it to: noise of the twin comparison
        event["shock"] += impact
        return
    event["liquidations"] = impact * float(left.sum()) / weight
    event["other_forced"] = impact * float(other.sum()) / weight
    places = np.searchsorted(events["event"], flow.event[sold])
    np.add.at(events["offspring"], places, impact * left / weight)
