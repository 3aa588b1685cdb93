"""Engine: how the venue runs a step, and the switches that make a twin of a run."""

import dataclasses
import math

from spirals.simulation.parameters import Part, parameter, problems_of
from spirals.simulation.state import Cause

__all__ = ["TWINS", "Engine"]

FORCED = ("liquidation", "call_response", "leverage_target", "stop_loss", "adl_hedge")


@dataclasses.dataclass(frozen=True)
class Engine(Part):
    """Rounds, latency and switches.

    Rounds that follow each other at once meet a book that cannot refill, so their number per second and with
    it every result hangs on the length of a step. `round_seconds` gives them a pace of their own: at most one
    round in so long, whatever the step; a step is at most that long where results must not depend on it.

    A *shadow* cause pays the slippage of a walk through the book (depleted by earlier shadow orders,
    refilled with `shadow_refill_seconds`) but leaves the book and every price alone; the warehouse
    row is its counterparty. A *transfer* cause is filled at the mark by the warehouse row.
    """

    max_rounds: int = parameter(8, unit="rounds", low=1, high=1000,
                                help="bound on liquidation rounds per step, the first included")
    latency_us: int = parameter(100_000, unit="us", low=0, high=999_999,
                                help="time from the start of the step to the arrival of liquidation orders")
    period_seconds: float = parameter(0.0, unit="s", low=0, high=3600,
                                      help="the liquidation engine acts once in so long; 0: in every step")
    round_seconds: float = parameter(0.0, unit="s", low=0, high=3600,
                                     help="least time between two rounds; 0: rounds at once, in a book without refill")
    liquidation: bool = parameter(True, help="false: nobody is liquidated (twin T3)")
    shadow_causes: tuple[str, ...] = parameter((), choices=FORCED, help="causes whose orders move no price")
    transfer_causes: tuple[str, ...] = parameter((), choices=FORCED, help="causes filled at the mark")
    shadow_refill_seconds: float = parameter(30.0, unit="s", above=0,
                                             help="time constant with which the shadow book refills")
    check_identities: bool = parameter(False, help="verify positions and money after every step")

    def problems(self) -> list[str]:
        found = problems_of(self)
        both = sorted(set(self.shadow_causes) & set(self.transfer_causes))
        if both:
            found.append(f"shadow_causes and transfer_causes must not share a cause, both have {', '.join(both)}")
        return found

    def rounds_per_step(self, step_seconds: float) -> int:
        """Return the largest number of rounds in a step of that length [s]."""
        if self.round_seconds == 0.0:
            return self.max_rounds
        return min(self.max_rounds, max(1, math.floor(step_seconds / self.round_seconds + 1e-9)))

    def period_steps(self, step_seconds: float) -> int:
        """Return in which of so many steps [s] the engine acts once, never sooner than it may."""
        return max(1, math.ceil(max(self.period_seconds, self.round_seconds) / step_seconds - 1e-9))

    def routes(self) -> tuple[int, ...]:
        """Return for every :class:`Cause` 0 (book), 1 (shadow) or 2 (transfer)."""
        return tuple(
            1 if name in self.shadow_causes else 2 if name in self.transfer_causes else 0 for name in Cause.names
        )


TWINS = {
    "T1": ("forced orders pay slippage on a shadow book but move no price",
           {"shadow_causes": FORCED}),
    "T2": ("forced orders are transferred to the warehouse at the mark",
           {"transfer_causes": FORCED}),
    "T3": ("no liquidation at all", {"liquidation": False}),
}
