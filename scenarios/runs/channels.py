"""Players of an attribution: the channels of the feedback and the causes of forced flow, and which a scenario has."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from spirals.simulation.engine import FORCED
from spirals.simulation.open_loop import CHANNELS

if TYPE_CHECKING:
    from spirals.scenarios.inputs.scenario import Scenario

__all__ = [
    "DEFAULT_CHANNELS", "check_causes", "check_channels", "default_causes", "default_channels", "usable_causes",
    "usable_channels",
]

DEFAULT_CHANNELS = ("mark", "margin", "depth", "index")


def usable_channels(scenario: "Scenario") -> dict[str, str]:
    """Return for every channel why this scenario lacks it; "" where it can act."""
    feed, volatility = scenario.price_feed, scenario.volatility
    movable = feed.index_feedback > 0.0
    moved = volatility.source != "index" or movable
    return {
        "mark": "" if feed.mark != "index" or movable else "the mark is an index that the venue cannot move",
        "margin": "" if moved else "the policy's volatility is that of an index that the venue cannot move",
        "depth": "" if moved else "depth reads the volatility of an index that the venue cannot move",
        "index": "" if movable else "price_feed.index_feedback is 0",
        "funding": "" if scenario.funding.kind != "none" else "funding.kind is none",
        "hedge": "" if _hedged(scenario) else "nobody holds hedges elsewhere (hedges, basis_traders)",
    }


def usable_causes(scenario: "Scenario") -> dict[str, str]:
    """Return for every cause of forced flow why this scenario lacks it; "" where it can act."""
    people, engine = scenario.population, scenario.engine
    aside = dict.fromkeys((*engine.shadow_causes, *engine.transfer_causes), "the engine keeps it away from the book")
    return {
        "liquidation": "" if engine.liquidation else "engine.liquidation is false",
        "call_response": "" if people.reduce > 0.0 else "population.reduce is 0",
        "leverage_target": "" if people.leverage_targeting > 0.0 else "population.leverage_targeting is 0",
        "stop_loss": "" if people.stop_loss > 0.0 else "population.stop_loss is 0",
        "adl_hedge": "" if _hedged(scenario) else "nobody holds hedges elsewhere (hedges, basis_traders)",
        **aside,
    }


def default_channels(scenario: "Scenario") -> tuple[str, ...]:
    """Return those of ``DEFAULT_CHANNELS`` that the scenario has."""
    lacking = usable_channels(scenario)
    return tuple(name for name in DEFAULT_CHANNELS if not lacking[name])


def default_causes(scenario: "Scenario") -> tuple[str, ...]:
    """Return the causes of forced flow that the scenario has."""
    lacking = usable_causes(scenario)
    return tuple(name for name in FORCED if not lacking[name])


def check_channels(scenario: "Scenario", channels: Sequence[str]) -> list[str]:
    """Return every problem of asking for these channels in this scenario."""
    return _check("channel", scenario.name, usable_channels(scenario), tuple(CHANNELS), channels)


def check_causes(scenario: "Scenario", causes: Sequence[str]) -> list[str]:
    """Return every problem of asking for these causes in this scenario."""
    return _check("cause", scenario.name, usable_causes(scenario), FORCED, causes)


def _check(kind: str, name: str, lacking: dict[str, str], known: Sequence[str], asked: Sequence[str]) -> list[str]:
    found = [f"unknown {kind}; allowed: {', '.join(known)}; given: {one!r}" for one in asked if one not in known]
    twice = sorted({one for one in asked if list(asked).count(one) > 1})
    found += [f"{kind} named twice; given: {one!r}" for one in twice]
    found += [f"{kind} that {name} lacks ({lacking[one]}); allowed: "
              f"{', '.join(other for other, why in lacking.items() if not why) or 'none'}; given: {one!r}"
              for one in dict.fromkeys(asked) if lacking.get(one)]
    return found


def _hedged(scenario: "Scenario") -> bool:
    return bool(scenario.basis_traders.count or scenario.hedges.shorts or scenario.hedges.maker_share)
