"""Setup: the parts of a run with a default for each, for models made without a scenario file."""

import dataclasses
import importlib
import math
import secrets
from typing import Any

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
from spirals.simulation.errors import InputError
from spirals.simulation.liquidation.mechanism import LiquidationMechanism
from spirals.simulation.liquidation.waterfall import LossWaterfall
from spirals.simulation.margin.policy import MarginPolicy
from spirals.simulation.margin.static import Static
from spirals.simulation.market.depth import DEPTHS, Depth, PowerDepth
from spirals.simulation.market.funding import Funding
from spirals.simulation.market.geometric_brownian import GeometricBrownian
from spirals.simulation.market.outside_world import OutsideWorld
from spirals.simulation.market.price_feed import PriceFeed
from spirals.simulation.market.shocks import PriceJump, Shock
from spirals.simulation.market.volatility import VolatilityEstimator

__all__ = ["SLOTS", "Setup", "resolved", "seed_of", "with_keywords"]


@dataclasses.dataclass(frozen=True)
class Setup:
    """All inputs of one run but the seed; a `spirals.scenarios.Scenario` has the same attributes.

    The default is a quiet hour: geometric Brownian outside price at 60 % a year, a static margin
    policy, a book with exponent 1.5 and 1000 traders.
    """

    instruments: tuple[Instrument, ...] = (Instrument(),)
    outside_world: OutsideWorld = dataclasses.field(default_factory=GeometricBrownian)
    shocks: tuple[Shock, ...] = ()
    price_feed: PriceFeed = dataclasses.field(default_factory=PriceFeed)
    volatility: VolatilityEstimator = dataclasses.field(default_factory=VolatilityEstimator)
    funding: Funding = dataclasses.field(default_factory=Funding)
    margin: MarginPolicy = dataclasses.field(default_factory=lambda: Static(initial=0.02, maintenance=0.01))
    margin_calls: MarginCalls = dataclasses.field(default_factory=MarginCalls)
    liquidation: LiquidationMechanism = dataclasses.field(default_factory=LiquidationMechanism)
    waterfall: LossWaterfall = dataclasses.field(default_factory=lambda: LossWaterfall(insurance_fund=3e7))
    depth: Depth | tuple[Depth, ...] = dataclasses.field(default_factory=PowerDepth)
    background: BackgroundFlow = dataclasses.field(default_factory=BackgroundFlow)
    makers: MarketMakers = dataclasses.field(default_factory=MarketMakers)
    arbitrageurs: Arbitrageurs = dataclasses.field(default_factory=Arbitrageurs)
    population: Population = dataclasses.field(default_factory=Population)
    entries: Entries = dataclasses.field(default_factory=Entries)
    basis_traders: BasisTraders = dataclasses.field(default_factory=BasisTraders)
    hedges: OutsideHedges = dataclasses.field(default_factory=OutsideHedges)
    agents: tuple[UserAgents, ...] = ()
    engine: Engine = dataclasses.field(default_factory=Engine)
    steps: int = 3600
    step_seconds: float = 1.0
    opening_seconds: float = 0.0


SLOTS = tuple(field.name for field in dataclasses.fields(Setup))
SEED_BITS = 48     # of a seed from the operating system: short to read, exact as a float of a table
POPULATION = ("traders", "leverage_multiplier", "crowding", "open_interest", "positions_file")


def with_keywords(setup: Any, given: dict[str, Any]) -> Any:
    """Return `setup` with flat keywords applied; those that are None change nothing.

    Parameters
    ----------
    setup : object
        Has the attributes of :class:`Setup`.
    given : dict
        ``steps, step_seconds, traders, leverage_multiplier, crowding, open_interest, positions_file,
        initial_margin_rate, maintenance_margin_rate, depth, makers, arbitrageurs, shock``.

    Raises
    ------
    InputError
        A value out of its range or an unknown name of a depth model.
    """
    given = {name: value for name, value in given.items() if value is not None}
    if not given:
        return setup
    values = {name: getattr(setup, name) for name in SLOTS}
    if "steps" in given:
        values["steps"] = _whole("steps", given["steps"], 1)
    if "step_seconds" in given:
        values["step_seconds"] = _seconds(given["step_seconds"])
    changes = {name: given[name] for name in POPULATION if name in given}
    values["population"] = dataclasses.replace(values["population"], **changes)
    for name in ("makers", "arbitrageurs"):
        if name in given:
            values[name] = dataclasses.replace(values[name], count=given[name])
    if "depth" in given:
        values["depth"] = _depth(given["depth"])
    if "initial_margin_rate" in given or "maintenance_margin_rate" in given:
        initial = given.get("initial_margin_rate", 2.0 * given.get("maintenance_margin_rate", 0.0))
        values["margin"] = Static(initial, given.get("maintenance_margin_rate", 0.5 * initial))
    if "shock" in given:
        values["shocks"] = (*values["shocks"], PriceJump(at=60.0, size=given["shock"]))
    return Setup(**values)


def resolved(setup: Any) -> Any:
    """Return the setup of a scenario's name, path or object; the quiet hour for None.

    Raises
    ------
    InputError
        No such scenario, or an object that lacks parts of a setup or has no time to run.
    """
    if setup is None:
        return Setup()
    if isinstance(setup, str) or hasattr(setup, "__fspath__"):
        return importlib.import_module("spirals.scenarios").load_scenario(setup)
    missing = [name for name in SLOTS if not hasattr(setup, name)]
    if missing:
        raise InputError([
            "setup must be a scenario's name, its path, or an object with the attributes of Setup, "
            f"was {setup!r} without {', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''}"
        ])
    _whole("steps", setup.steps, 1)
    _seconds(setup.step_seconds)
    return setup


def seed_of(rng: Any, seed: Any) -> int:
    """Return the seed from either keyword, or one from the operating system.

    Text of a number is a number, empty text is no number. Raises InputError for anything else than a
    whole number of at least 0, and for two numbers that differ.
    """
    numbers = [_whole(name, value) for name, value in (("rng", rng), ("seed", seed)) if value not in (None, "")]
    if not numbers:
        return secrets.randbits(SEED_BITS)
    if len(set(numbers)) > 1:
        raise InputError([f"rng and seed are two names of one number, were {rng!r} and {seed!r}"])
    return numbers[0]


def _whole(name: str, value: Any, least: int = 0) -> int:
    try:
        number = int(value)
        good = number >= least and (isinstance(value, str) or number == value) and not isinstance(value, bool)
    except (TypeError, ValueError, OverflowError):
        good = False
    if not good:
        raise InputError([f"{name} must be a whole number of at least {least}, was {value!r}"])
    return number


def _seconds(value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0.0 < seconds < math.inf:
        raise InputError([f"step_seconds must be a finite number above 0, was {value!r}"])
    return seconds


def _depth(name: Any) -> Depth:
    """Return the depth model of a name, or of the name of its class, with its defaults."""
    kinds = {**DEPTHS, **{kind.__name__: kind for kind in DEPTHS.values()}}
    if name not in kinds:
        raise InputError([f"depth must be one of {', '.join(kinds)}, was {name!r}"])
    return kinds[name]()
