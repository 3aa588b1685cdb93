"""Scenario: all inputs of one run, as one frozen record."""

import dataclasses

from spirals.agents.arbitrageur import Arbitrageurs
from spirals.agents.background import BackgroundFlow
from spirals.agents.basis_trader import BasisTraders
from spirals.agents.entry import Entries
from spirals.agents.hedging import OutsideHedges
from spirals.agents.market_maker import MarketMakers
from spirals.agents.population import Population
from spirals.agents.user import UserAgents
from spirals.simulation.accounts.margin_calls import MarginCalls
from spirals.simulation.contracts import Instrument
from spirals.simulation.engine import Engine
from spirals.simulation.liquidation.mechanism import LiquidationMechanism
from spirals.simulation.liquidation.waterfall import LossWaterfall
from spirals.simulation.margin.policy import MarginPolicy
from spirals.simulation.market.depth import Depth
from spirals.simulation.market.funding import Funding
from spirals.simulation.market.outside_world import OutsideWorld
from spirals.simulation.market.price_feed import PriceFeed
from spirals.simulation.market.shocks import Shock
from spirals.simulation.market.volatility import VolatilityEstimator
from spirals.simulation.parameters import Part, parameter, problems_of

__all__ = ["Scenario"]


@dataclasses.dataclass(frozen=True)
class Scenario(Part):
    """Everything that one run needs besides its seed.

    The parts without a default (outside world, margin, depth, population) dominate results: a
    scenario must name them. `sources` gives, per dotted path, where a number comes from, or the
    word ``assumption``; a path also covers what lies below it.
    """

    name: str = parameter(help="label in tables and reports")
    outside_world: OutsideWorld = parameter(help="exogenous value, before the venue's own effect")
    margin: MarginPolicy = parameter(help="initial and maintenance margin rates")
    depth: Depth = parameter(help="resting orders of the background book")
    population: Population = parameter(help="leveraged traders and their opening positions")
    summary: str = parameter("", help="one line for lists and reports")
    steps: int = parameter(3600, unit="steps", low=1, high=10_000_000)
    step_seconds: float = parameter(1.0, unit="s", low=0.001, high=86_400, help="venue time of one step")
    opening_seconds: float = parameter(0.0, unit="s", low=0, below=86_400, help="time of the day at the opening, UTC")
    instruments: tuple[Instrument, ...] = parameter((Instrument(),), help="what is traded")
    shocks: tuple[Shock, ...] = parameter((), help="scripted perturbations")
    price_feed: PriceFeed = dataclasses.field(default_factory=PriceFeed)
    volatility: VolatilityEstimator = dataclasses.field(default_factory=VolatilityEstimator)
    funding: Funding = dataclasses.field(default_factory=Funding)
    margin_calls: MarginCalls = dataclasses.field(default_factory=MarginCalls)
    liquidation: LiquidationMechanism = dataclasses.field(default_factory=LiquidationMechanism)
    waterfall: LossWaterfall = dataclasses.field(default_factory=LossWaterfall)
    background: BackgroundFlow = dataclasses.field(default_factory=BackgroundFlow)
    makers: MarketMakers = dataclasses.field(default_factory=MarketMakers)
    arbitrageurs: Arbitrageurs = dataclasses.field(default_factory=Arbitrageurs)
    entries: Entries = dataclasses.field(default_factory=Entries)
    basis_traders: BasisTraders = dataclasses.field(default_factory=BasisTraders)
    hedges: OutsideHedges = dataclasses.field(default_factory=OutsideHedges)
    agents: tuple[UserAgents, ...] = parameter((), help="agents written by the user")
    engine: Engine = dataclasses.field(default_factory=Engine)
    targets: tuple[dict[str, object], ...] = parameter(
        (), help="figures of the venue to print beside outcomes; without effect on the run"
    )
    sources: dict[str, str] = parameter({}, help="where numbers come from, per dotted path")

    def problems(self) -> list[str]:
        found = problems_of(self)
        names = [instrument.name for instrument in self.instruments]
        if not names:
            found.append("instruments must hold at least one instrument, was empty")
        if len(set(names)) < len(names):
            found.append(f"instruments must have different names, were {', '.join(names)}")
        return found
