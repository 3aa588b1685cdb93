"""Who trades: rules, compiled populations, Mesa agents and the Mesa model.

A rule is stated once, as a compiled function of one actor's view; compiled loops over a population
and the ``step()`` of a Mesa agent call the same function. Names are imported when first used, so that
the core runs without Mesa.

>>> from spirals.agents import SpiralModel, UserAgent        # doctest: +SKIP
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spirals.agents.arbitrageur import Arbitrageurs
    from spirals.agents.background import BackgroundFlow
    from spirals.agents.basis_trader import BasisTraders
    from spirals.agents.entry import Entries
    from spirals.agents.groups import Agents
    from spirals.agents.hedging import OutsideHedges
    from spirals.agents.market_maker import MarketMakers
    from spirals.agents.model import SpiralModel
    from spirals.agents.participant import (
        Arbitrageur,
        BackgroundTrader,
        BasisTrader,
        LeveragedTrader,
        Liquidator,
        MarketMaker,
        Participant,
    )
    from spirals.agents.population import Population
    from spirals.agents.setup import Setup
    from spirals.agents.user import UserAgents
    from spirals.agents.user_agent import UserAgent

__all__ = [
    "Agents", "Arbitrageur", "Arbitrageurs", "BackgroundFlow", "BackgroundTrader", "BasisTrader", "BasisTraders",
    "Entries", "LeveragedTrader", "Liquidator", "MarketMaker", "MarketMakers", "OutsideHedges", "Participant",
    "Population", "Setup", "SpiralModel", "UserAgent", "UserAgents",
]

_PLACES = {
    "Agents": "groups", "Arbitrageur": "participant", "Arbitrageurs": "arbitrageur", "BackgroundFlow": "background",
    "BackgroundTrader": "participant", "BasisTrader": "participant", "BasisTraders": "basis_trader",
    "Entries": "entry", "LeveragedTrader": "participant", "Liquidator": "participant",
    "MarketMaker": "participant", "MarketMakers": "market_maker", "OutsideHedges": "hedging",
    "Participant": "participant",
    "Population": "population", "Setup": "setup", "SpiralModel": "model", "UserAgent": "user_agent",
    "UserAgents": "user",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
