"""Procyclicality pi: the elasticity of the rate to the volatility estimate, between two extremes.

Formula: ``ln m = (1 - pi) * ln m_ttc + pi * ln m_pit``. The point-in-time rate m_pit is the inner policy's; the
through-the-cycle rate m_ttc is the inner policy's in the same market at a fixed volatility. pi = 0 never reacts to
volatility, pi = 1 is the inner policy. An inner policy that does not read volatility is left exactly as it is.

pi moves the level and the starting point of the rate too, so a comparison over pi states its normalisation:

- ``none``: the formula as it stands.
- ``equal_start``: multiplied by ``(m_ttc / m_pit) ** pi`` of the opening (initial rate of the first bracket, per
  instrument): the run opens at m_ttc whatever pi is.
- ``equal_mean``: multiplied by `scale`, chosen on data *before* the event so that the mean rate there is the same for
  every pi; :func:`equal_mean_scale` finds it.
- ``equal_coverage``: multiplied by `scale`, chosen on the same data so that the share of breaches is the same;
  :func:`~spirals.simulation.margin.coverage.equal_coverage_scale` finds it.

Fix the through-the-cycle volatility from data before the event as well.
"""

import dataclasses
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.margin.brackets import common_brackets
from spirals.simulation.margin.rate_history import rate_history
from spirals.simulation.margin.requirement import MarginRequirement, bounded
from spirals.simulation.margin.volatility_view import at_volatility
from spirals.simulation.margin.wrapper import Wrapper
from spirals.simulation.market.view import MarketState
from spirals.simulation.parameters import parameter

__all__ = ["Procyclicality", "ProcyclicalityState", "equal_mean_scale"]

Array = NDArray[np.float64]

SCALED = ("equal_mean", "equal_coverage")


@dataclasses.dataclass
class ProcyclicalityState:
    """Two independent states of the inner policy, their last requirements, and the blend."""

    point_in_time: Any
    through_the_cycle: Any
    volatility: Array                      # [per sqrt day] constant, seen by the through-the-cycle copy
    pit: MarginRequirement | None = None
    ttc: MarginRequirement | None = None
    opening: Array | None = None           # m_pit / m_ttc at the opening, shape (n_instruments,)
    charged: MarginRequirement | None = None


@dataclasses.dataclass(frozen=True)
class Procyclicality(Wrapper):
    """Blend of the through-the-cycle and the point-in-time rate with elasticity pi to volatility."""

    pi: float = parameter(0.5, low=0, high=1, help="elasticity of the rate to the volatility estimate")
    through_the_cycle_volatility: float = parameter(0.04, unit="per sqrt day", above=0, help="fixed before the event")
    normalisation: str = parameter("none", choices=("none", "equal_start", "equal_mean", "equal_coverage"))
    scale: float = parameter(1.0, unit="factor", above=0,
                             help="for equal_mean and equal_coverage, from data before the event")

    @property
    def monotone_in_volatility(self) -> bool:  # type: ignore[override]  # follows from the inner policy
        # A higher volatility at the opening lowers the factor of equal_start for the whole run.
        return self.inner.monotone_in_volatility and self.normalisation != "equal_start"

    def problems(self) -> list[str]:
        found = super().problems()
        if self.scale != 1.0 and self.normalisation not in SCALED:
            found.append(f"scale must be 1 unless normalisation is {' or '.join(SCALED)}, was {self.scale!r}")
        return found

    def start(self, market: MarketState) -> ProcyclicalityState:
        volatility = np.full(market.n_instruments, self.through_the_cycle_volatility)
        calm = self.inner.start(at_volatility(market, volatility))
        return ProcyclicalityState(self.inner.start(market), calm, volatility)

    def update(self, state: ProcyclicalityState, market: MarketState) -> tuple[ProcyclicalityState, MarginRequirement]:
        if self.pi < 1.0 or self.normalisation == "equal_start":
            calm = at_volatility(market, state.volatility)
            state.through_the_cycle, ttc = self.inner.update(state.through_the_cycle, calm)
        if self.pi > 0.0:
            state.point_in_time, pit = self.inner.update(state.point_in_time, market)
            if self.pi == 1.0 and self.normalisation != "equal_start":
                ttc = pit
        else:
            pit = ttc
        if state.charged is None or pit is not state.pit or ttc is not state.ttc:
            state.charged = self._blend(state, ttc, pit)
            state.pit, state.ttc = pit, ttc
        return state, state.charged

    def _blend(self, state: ProcyclicalityState, ttc: MarginRequirement, pit: MarginRequirement) -> MarginRequirement:
        if pit is ttc and self.scale == 1.0:
            return ttc
        ttc, pit = common_brackets(ttc, pit)
        ratio = pit.rates / ttc.rates
        if self.normalisation == "equal_start":
            if state.opening is None:
                state.opening = ratio[0].reshape(len(ratio[0]), -1)[:, 0].copy()
            ratio /= state.opening.reshape((-1,) + (1,) * (ratio.ndim - 2))
        # m_ttc * (m_pit / m_ttc) ** pi: exactly m_ttc where the two are equal. Scalar powers, because NumPy's
        # vectorised ones differ between processors.
        pi, scale = self.pi, self.scale
        calm = ttc.rates.ravel().tolist()
        blend = [scale * m * r**pi for m, r in zip(calm, ratio.ravel().tolist(), strict=True)]
        return ttc.with_rates(bounded(np.array(blend).reshape(ratio.shape)))


def equal_mean_scale(policy: Procyclicality, volatilities: Iterable[float], step_seconds: float = 3600.0) -> float:
    """Return the `scale` that gives `policy` the mean through-the-cycle rate over a history of volatility.

    Parameters
    ----------
    policy : Procyclicality
        Its own `normalisation` and `scale` are disregarded.
    volatilities : iterable of float
        [per sqrt day] one per step, from data before the event.
    step_seconds : float
        [s] length of the steps.

    Returns
    -------
    float
        Mean of m_ttc divided by the mean of the blend (initial rate, first bracket). With an inner rate proportional
        to volatility this is ``1 / mean((sigma / sigma_ttc) ** pi)``.

    Examples
    --------
    >>> from spirals.simulation.margin import VolatilityScaled
    >>> policy = Procyclicality(VolatilityScaled(), pi=1.0, through_the_cycle_volatility=0.04)
    >>> equal_mean_scale(policy, [0.04, 0.06])
    0.8
    """
    history = [float(volatility) for volatility in volatilities]
    if not history:
        raise ValueError("volatilities must not be empty")
    means = []
    for pi in (0.0, policy.pi):
        plain = dataclasses.replace(policy, pi=pi, normalisation="none", scale=1.0)
        means.append(math.fsum(rate_history(plain, history, step_seconds)[:, 0]) / len(history))
    return means[0] / means[1]
