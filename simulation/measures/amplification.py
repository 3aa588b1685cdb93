"""Amplification: what the policy and its liquidations added to the shock, as the difference to a twin.

Twins share every draw with the full run and differ in one switch. T1: forced orders pay slippage on
a shadow book but move no price. T2: liquidated positions pass to the warehouse at the mark. T3: no
liquidation at all. The difference comes first; a ratio is formed of means over replications, never
as a mean of ratios.
"""

import dataclasses
import math

import numpy as np

from spirals.simulation.measures.drawdown import max_drawdown, max_run_up
from spirals.simulation.measures.forced_flow import forced_flow
from spirals.simulation.measures.intervals import Interval, bootstrap_interval, fieller_interval
from spirals.simulation.measures.losses import losses
from spirals.simulation.measures.record import RunRecord, Series

__all__ = ["MIN_TWIN_DRAWDOWN", "Excess", "amplification_ratio", "excess", "ratio_of_means"]

MIN_TWIN_DRAWDOWN = 0.01  # [log points] below it a ratio says nothing


@dataclasses.dataclass(frozen=True)
class Excess:
    """Full run less its twin; positive when the loop made it worse.

    Attributes
    ----------
    drawdown, run_up : float
        Largest fall and rise of the log mark [log points].
    forced_notional : float
        [quote]
    bad_debt : float
        Gross [quote].
    """

    drawdown: float
    run_up: float
    forced_notional: float
    bad_debt: float


def excess(record: RunRecord, twin: RunRecord) -> Excess:
    """Return the excess of a run over its twin; exactly zero when both are the same."""
    full_mark, twin_mark = record.price("mark"), twin.price("mark")
    return Excess(
        drawdown=max_drawdown(full_mark) - max_drawdown(twin_mark),
        run_up=max_run_up(full_mark) - max_run_up(twin_mark),
        forced_notional=math.fsum(forced_flow(record)) - math.fsum(forced_flow(twin)),
        bad_debt=_unpaid(record) - _unpaid(twin),
    )


def _unpaid(record: RunRecord) -> float:
    """Return gross bad debt and the negative equity that is still open at the end [quote]."""
    loss = losses(record)
    return loss.bad_debt_gross + loss.negative_equity_end


def amplification_ratio(drawdown: float, twin_drawdown: float) -> float:
    """Return drawdown over the twin's drawdown [ratio]; NaN ("n/a") when the twin's is below 1 %."""
    return drawdown / twin_drawdown if twin_drawdown >= MIN_TWIN_DRAWDOWN else math.nan


def ratio_of_means(
    drawdowns: Series, twin_drawdowns: Series, level: float = 0.95, method: str = "fieller", seed: int = 0
) -> Interval:
    """Return mean drawdown over the twins' mean drawdown with its interval.

    Parameters
    ----------
    drawdowns, twin_drawdowns : array_like of shape (n_replications,), float
        [log points], paired by replication; pairs with a NaN are left out.
    level : float
        In (0, 1).
    method : str
        "fieller" or "bootstrap"; the latter uses `seed`.

    Returns
    -------
    Interval
        All NaN ("n/a") when the twins' mean drawdown is below 1 %.
    """
    full, twin = np.asarray(drawdowns, dtype=np.float64), np.asarray(twin_drawdowns, dtype=np.float64)
    kept = ~(np.isnan(full) | np.isnan(twin))
    full, twin = full[kept], twin[kept]
    if not len(twin) or math.fsum(twin) / len(twin) < MIN_TWIN_DRAWDOWN:
        return Interval(math.nan, math.nan, math.nan, math.nan, len(twin))
    if method == "fieller":
        return fieller_interval(full, twin, level)
    if method == "bootstrap":
        return bootstrap_interval((full, twin), _ratio, seed, level)
    raise ValueError(f"method must be fieller or bootstrap, was {method!r}")


def _ratio(full: Series, twin: Series) -> float:
    mean = math.fsum(twin)
    return math.fsum(full) / mean if mean != 0.0 else math.nan
