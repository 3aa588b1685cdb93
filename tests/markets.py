"""Markets with the real agents for tests of the whole loop: a short scripted crash and its variants."""

from typing import Any

from toy import toy_setup

from spirals.agents.groups import Agents
from spirals.agents.population import Population
from spirals.simulation.contracts import Instrument
from spirals.simulation.engine import TWINS, Engine
from spirals.simulation.liquidation import LossWaterfall
from spirals.simulation.margin import Procyclicality, Static, UpdateInterval, VolatilityScaled
from spirals.simulation.market.depth import Depth, PowerDepth
from spirals.simulation.market.geometric_brownian import GeometricBrownian
from spirals.simulation.market.price_feed import PriceFeed
from spirals.simulation.market.shocks import PriceJump
from spirals.simulation.market.volatility import VolatilityEstimator
from spirals.simulation.simulation import Simulation

PERPETUAL = Instrument(tick_size=0.5, lot_size=0.001, max_price=32768.0)
THIN = PowerDepth(share_of_open_interest=0.01, exponent=1.5)


def procyclical(pi: float) -> UpdateInterval:
    """Volatility-scaled margin with elasticity `pi`, repriced every ten seconds."""
    rate = VolatilityScaled(multiplier=2.326, horizon_hours=2.0, maintenance_fraction=0.5)
    return UpdateInterval(
        Procyclicality(rate, pi=pi, through_the_cycle_volatility=0.0314, normalisation="equal_start"), seconds=10.0
    )


def crash_market(
    *, seed: int = 1, twin: str | None = None, depth: Depth = THIN, steps: int = 400, traders: int = 300,
    engine: Engine | None = None, population: Population | None = None, fall: float = -0.06, **parts: Any,
) -> Simulation:
    """Return a market whose outside price falls 6 % in two minutes over levered longs."""
    setup = toy_setup(**{
        "instruments": (PERPETUAL,), "steps": steps, "margin": Static(0.02, 0.01),
        "outside_world": GeometricBrownian(price=10_000.0, volatility=0.6),
        "shocks": (PriceJump(at=60.0, size=fall, ramp_seconds=120.0),) if fall else (),
        "volatility": VolatilityEstimator(sampling_seconds=5.0, half_life_seconds=60.0, opening_volatility=0.0314),
        "price_feed": PriceFeed(mark="median", index_feedback=0.3),
        "waterfall": LossWaterfall(insurance_fund=1e7),
        "engine": engine or Engine(check_identities=True, **(TWINS[twin][1] if twin else {})),
        **parts,
    })
    people = population or Population(traders=traders, long_leverage=12.0, short_leverage=8.0)
    return Simulation(setup, Agents(setup.instruments, depth, population=people), seed)


def run(**options: Any) -> Simulation:
    """Run a crash market to its end."""
    simulation = crash_market(**options)
    simulation.run()
    return simulation
