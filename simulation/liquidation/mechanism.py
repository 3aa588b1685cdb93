"""Liquidation mechanism: how much of a position is closed, through which channel, at what fee."""

import dataclasses

from spirals.simulation.parameters import Part, parameter, problems_of

__all__ = ["SIZES", "LiquidationMechanism"]

SIZES = ("full", "partial", "to_target")


@dataclasses.dataclass(frozen=True)
class LiquidationMechanism(Part):
    """Close a due account through the book with IOC orders inside a price band.

    Resting orders of the account are cancelled first. The order's worst price is the band around
    the mark, but never worse than what the insurance fund can still make good: beyond that price
    auto-deleveraging is the next layer, not the book.

    Rules by the venues' documentation: Binance sends one IOC and takes over the rest; Hyperliquid
    sells 20 % first above 100,000 USDC, then waits 30 s.
    """

    size: str = parameter("full", choices=SIZES, help="share of the position per order")
    fraction: float = parameter(0.2, unit="fraction of the position", above=0, high=1, help="partial: first order")
    then_full: bool = parameter(True, help="partial: later orders close the rest; false: the same fraction again")
    partial_above: float = parameter(100_000.0, unit="quote", low=0, help="partial: smaller positions close in full")
    cooldown_seconds: float = parameter(0.0, unit="s", low=0, high=3600, help="wait between orders of one account")
    target_ratio: float = parameter(1.2, unit="x maintenance margin", above=1, high=20,
                                    help="to_target: close until equity covers this multiple")
    price_band: float = parameter(0.05, unit="fraction of the mark", above=0, below=1)
    fee_rate: float = parameter(0.0125, unit="fraction of liquidated notional", low=0, high=0.2,
                                help="taken from what remains, paid to the insurance fund")

    @property
    def size_code(self) -> int:
        return SIZES.index(self.size)

    def problems(self) -> list[str]:
        return problems_of(self)
