"""Buffer: charge more in calm, and let the extra be used up before rates rise (an exhaustible buffer).

Formula, a play operator with M the inner rate: ``charged_t = clip(charged_{t-1}, M_t, (1 + size) * M_t)``, for the
initial and the maintenance rate. From a trough to a peak with ratio R >= 1 + size the charged peak-to-trough ratio is
exactly R / (1 + size): falling, the charge ends at (1 + size) times the trough; rising, at the peak itself.
Source: EMIR RTS 153/2013, Art. 28(1)(a), size 25 %.
"""

import dataclasses

import numpy as np

from spirals.simulation.margin.brackets import common_brackets
from spirals.simulation.margin.requirement import MarginRequirement
from spirals.simulation.margin.wrapper import Wrapper, WrapperState
from spirals.simulation.market.view import MarketState
from spirals.simulation.parameters import parameter

__all__ = ["Buffer"]


@dataclasses.dataclass(frozen=True)
class Buffer(Wrapper):
    """Exhaustible extra margin that absorbs the first part of a rise (EMIR's 25 % buffer)."""

    size: float = parameter(0.25, unit="fraction of the inner rate", low=0, help="buffer when full")
    start_full: bool = parameter(True, help="whether the run opens with a full buffer")

    def update(self, state: WrapperState, market: MarketState) -> tuple[WrapperState, MarginRequirement]:
        state.inner, source = self.inner.update(state.inner, market)
        if source is not state.source or state.charged is None:
            state.charged = self._charge(source, state.charged)
            state.source = source
        return state, state.charged

    def _charge(self, source: MarginRequirement, before: MarginRequirement | None) -> MarginRequirement:
        if before is None:
            before = source.with_rates(source.rates * (1.0 + self.size * self.start_full))
        before, source = common_brackets(before, source)
        full = np.minimum(source.rates * (1.0 + self.size), 1.0)
        rates = np.minimum(np.maximum(before.rates, source.rates), full)
        if rates.tobytes() == before.rates.tobytes() and before.grandfathered == source.grandfathered:
            return before
        return source.with_rates(rates)
