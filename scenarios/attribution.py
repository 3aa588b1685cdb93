"""Attribution of a run: which channel of the feedback made how much of each outcome.

The run and every combination of channels share all draws. Twin T1 (no impact of forced orders) writes the tape;
every subset of channels is then run with the others cut, each reader of a cut edge seeing the tape
(:mod:`spirals.simulation.open_loop`). Per outcome

    outcome = shock (the twin) + direct (all channels cut, less the twin) + Shapley value of every channel

exactly, up to rounding. With n channels that are 2^n + 1 runs; beyond six, orders are sampled.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from spirals.simulation.errors import InputError
from spirals.simulation.measures.attribution import Attribution, attribute
from spirals.simulation.open_loop import CHANNELS

if TYPE_CHECKING:
    from spirals.scenarios.scenario import Scenario

__all__ = ["ATTRIBUTED", "DEFAULT_CHANNELS", "RunAttribution", "attribute_run", "check_channels", "usable_channels"]

DEFAULT_CHANNELS = ("mark", "margin", "depth", "index")
ATTRIBUTED = (
    "drawdown_mark", "run_up_mark", "forced_notional", "liquidated_notional", "liquidated_accounts", "margin_calls",
    "bad_debt_gross", "bad_debt_net",
)


@dataclasses.dataclass(frozen=True)
class RunAttribution:
    """What each channel made of every outcome of one run.

    Attributes
    ----------
    channels : tuple of str
    shock : dict of str to float
        Level of each outcome in twin T1, where forced orders move no price.
    direct : dict of str to float
        Added by the impact of forced orders with every channel cut.
    found : dict of str to Attribution
        What the channels add to that, per outcome.
    runs : int
        Simulations it took.
    """

    channels: tuple[str, ...]
    shock: dict[str, float]
    direct: dict[str, float]
    found: dict[str, Attribution]
    runs: int

    def levels(self) -> dict[str, dict[str, float]]:
        """Return per outcome the level of the shock, of direct impact and of each channel; they add up to it."""
        return {name: {"shock": self.shock[name], "direct": self.direct[name], **self.found[name].shapley}
                for name in self.shock}


def usable_channels(scenario: "Scenario") -> dict[str, str]:
    """Return for every channel why this scenario lacks it; "" where it can act."""
    feed, volatility = scenario.price_feed, scenario.volatility
    movable = feed.index_feedback > 0.0
    hedged = scenario.basis_traders.count or scenario.hedges.shorts or scenario.hedges.maker_share
    moved = volatility.source != "index" or movable
    return {
        "mark": "" if feed.mark != "index" or movable else "the mark is an index that the venue cannot move",
        "margin": "" if moved else "the policy's volatility is that of an index that the venue cannot move",
        "depth": "" if moved else "depth reads the volatility of an index that the venue cannot move",
        "index": "" if movable else "price_feed.index_feedback is 0",
        "funding": "" if scenario.funding.kind != "none" else "funding.kind is none",
        "hedge": "" if hedged else "nobody holds hedges elsewhere (hedges, basis_traders)",
    }


def check_channels(scenario: "Scenario", channels: Sequence[str]) -> list[str]:
    """Return every problem of asking for these channels in this scenario."""
    lacking = usable_channels(scenario)
    found = [f"unknown channel; allowed: {', '.join(CHANNELS)}; given: {name!r}"
             for name in channels if name not in CHANNELS]
    twice = sorted({name for name in channels if list(channels).count(name) > 1})
    found += [f"channel named twice; given: {name!r}" for name in twice]
    found += [f"channel that {scenario.name} lacks ({lacking[name]}); allowed: "
              f"{', '.join(one for one, why in lacking.items() if not why) or 'none'}; given: {name!r}"
              for name in dict.fromkeys(channels) if lacking.get(name)]
    return found


def attribute_run(
    scenario: "Scenario", seed: int = 0, channels: Sequence[str] | None = None, *,
    outcomes: Iterable[str] = ATTRIBUTED,
) -> RunAttribution:
    """Run a scenario with every subset of channels and share out what the feedback made.

    Parameters
    ----------
    scenario : Scenario
    seed : int
    channels : sequence of str, optional
        Names of :data:`~spirals.simulation.open_loop.CHANNELS`, at most six; those of ``DEFAULT_CHANNELS`` that the
        scenario has by default.
    outcomes : iterable of str
        Names of ``spirals list measures`` that need no twin.

    Raises
    ------
    InputError
        A channel that does not exist, that the venue lacks, or more than six.
    """
    from spirals.simulation.measures.attribution import EXACT_CHANNELS

    if channels is None:
        lacking = usable_channels(scenario)
        channels = tuple(name for name in DEFAULT_CHANNELS if not lacking[name])
    problems = check_channels(scenario, channels)
    if len(channels) > EXACT_CHANNELS:
        problems.append(f"too many channels; allowed: at most {EXACT_CHANNELS}; given: {len(channels)}")
    if problems:
        raise InputError(problems)
    names = tuple(outcomes)
    shock, tape = _taped_twin(scenario, seed, names)
    values = [_open_run(scenario, seed, tape, channels, mask, names) for mask in range(2 ** len(channels))]
    found = {name: attribute(channels, [value[name] for value in values]) for name in names}
    direct = {name: values[0][name] - shock[name] for name in names}
    return RunAttribution(tuple(channels), shock, direct, found, len(values) + 1)


def _taped_twin(scenario: "Scenario", seed: int, names: Sequence[str]) -> tuple[dict[str, float], Any]:
    from spirals.simulation.engine import TWINS
    from spirals.simulation.open_loop import Taping

    loop = Taping()
    switches: Any = TWINS["T1"][1]
    engine = dataclasses.replace(scenario.engine, **switches)
    return _measured(dataclasses.replace(scenario, engine=engine), seed, loop, names), loop.tape


def _open_run(
    scenario: "Scenario", seed: int, tape: Any, channels: Sequence[str], mask: int, names: Sequence[str]
) -> dict[str, float]:
    """Run with the channels of `mask` on and the others of `channels` cut."""
    from spirals.simulation.open_loop import OpenLoop

    cut = [name for i, name in enumerate(channels) if not mask >> i & 1]
    if "hedge" in cut:
        beside = tuple(dict.fromkeys((*scenario.engine.shadow_causes, "adl_hedge")))
        scenario = dataclasses.replace(scenario, engine=dataclasses.replace(scenario.engine, shadow_causes=beside))
    return _measured(scenario, seed, OpenLoop(tape, cut), names)


def _measured(scenario: "Scenario", seed: int, loop: Any, names: Sequence[str]) -> dict[str, float]:
    from spirals.agents.model import SpiralModel
    from spirals.simulation.measures.outcomes import outcomes

    model = SpiralModel(setup=scenario, rng=seed, collect_every=0, loop=loop)
    model.run()
    measured: Mapping[str, float] = outcomes(model.core.record())
    return {name: measured[name] for name in names}
