"""Margin calls: at which level they are issued, how long an account has to answer."""

import dataclasses

from spirals.simulation.parameters import Part, parameter, problems_of

__all__ = ["MarginCalls"]


@dataclasses.dataclass(frozen=True)
class MarginCalls(Part):
    """A call is issued when equity falls below `call_level` x maintenance margin.

    The account is liquidated when its equity is below `liquidation_level` x maintenance margin and
    the call is older than `grace_seconds`. Crypto venues give no grace; clearing houses hours. The
    call is lifted as soon as equity is back above its level. During a freeze (congested chain, closed
    bank) nobody can send money and what is under way waits for its end.
    """

    call_level: float = parameter(1.0, unit="x maintenance margin", low=1, high=20)
    liquidation_level: float = parameter(1.0, unit="x maintenance margin", above=0, high=20)
    grace_seconds: float = parameter(0.0, unit="s", low=0, high=864000)
    transfer_seconds: float = parameter(600.0, unit="s", low=0, high=864000,
                                        help="time that a top-up needs to arrive")
    freeze_at_seconds: float = parameter(0.0, unit="s", low=0, help="from the opening: start of a freeze of top-ups")
    freeze_seconds: float = parameter(0.0, unit="s", low=0, help="its length: none is sent, none arrives; 0: no freeze")

    def problems(self) -> list[str]:
        found = problems_of(self)
        if not found and self.liquidation_level > self.call_level:
            found.append(
                f"liquidation_level must not exceed call_level ({self.call_level:g}), was {self.liquidation_level:g}"
            )
        return found
