"""Attribution of a run: which channel of the feedback, or which cause of forced flow, made how much of each outcome.

The run and every combination of players share all draws. Twin T1 (no impact of forced orders) writes the tape. For
*channels* every subset is then run with the others cut, each reader of a cut edge seeing the tape
(:mod:`spirals.simulation.open_loop`); for *causes* every subset is run with the orders of the others kept away from
the book, as the twin does for all of them. Per outcome

    outcome = shock (the twin) + direct (no player acts, less the twin) + Shapley value of every player

exactly, up to rounding. With n players that are 2^n + 1 runs; beyond six, orders are sampled.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from spirals.scenarios.runs.channels import (
    DEFAULT_CHANNELS,
    check_causes,
    check_channels,
    default_causes,
    default_channels,
    usable_causes,
    usable_channels,
)
from spirals.simulation.engine import FORCED, TWINS
from spirals.simulation.errors import InputError
from spirals.simulation.measures.attribution import (
    EXACT_CHANNELS,
    Attribution,
    attribute,
    attribute_sampled,
    owen_values,
    sub_game,
)
from spirals.simulation.open_loop import CHANNELS, OpenLoop, Taping

if TYPE_CHECKING:
    from spirals.scenarios.inputs.scenario import Scenario
    from spirals.simulation.measures.record import RunRecord

__all__ = [
    "ATTRIBUTED", "DEFAULT_CHANNELS", "ORDERS", "RunAttribution", "attribute_causes", "attribute_run", "check_causes",
    "check_channels", "check_groups", "extra_runs", "share_out", "usable_causes", "usable_channels",
]

ATTRIBUTED = (
    "drawdown_mark", "run_up_mark", "forced_notional", "liquidated_notional", "liquidated_accounts", "margin_calls",
    "bad_debt_gross", "bad_debt_net",
)
ORDERS = 8   # of sampled attributions, each with its reverse
SPIRALS = ("mark", "margin")

Levels = dict[str, float]
Finish = Callable[[Any, Any], "RunRecord"]


@dataclasses.dataclass(frozen=True)
class RunAttribution:
    """What each player made of every outcome of one run.

    Attributes
    ----------
    channels : tuple of str
        The players: channels of the feedback, causes of forced flow, or both.
    shock : dict of str to float
        Level of each outcome in twin T1, where forced orders move no price.
    direct : dict of str to float
        Added by the impact of forced orders while no player acts.
    found : dict of str to Attribution
        What the players add to that, per outcome.
    runs : int
        Simulations it took, the twin and the run itself included.
    spirals : dict of str to dict
        Brunnermeier and Pedersen (2009): the loss spiral (mark) and the margin spiral alone, their interaction, and
        both, with all other edges as they are; empty unless both channels play.
    owen : dict of str to dict
        Owen values where groups were asked for.
    """

    channels: tuple[str, ...]
    shock: Levels
    direct: Levels
    found: dict[str, Attribution]
    runs: int
    spirals: dict[str, Levels] = dataclasses.field(default_factory=dict)
    owen: dict[str, Levels] = dataclasses.field(default_factory=dict)

    def levels(self) -> dict[str, Levels]:
        """Return per outcome the level of the shock, of direct impact and of each player; they add up to it."""
        return {name: {"shock": self.shock[name], "direct": self.direct[name], **self.found[name].shapley}
                for name in self.shock}

    def detail(self) -> dict[str, dict[str, Any]]:
        """Return per outcome first_in, shapley, last_out and interaction as plain data, pairs named ``a+b``.

        Where they exist also ``spirals``, ``owen`` and ``interval`` (low and high of sampled Shapley values).
        """
        found: dict[str, dict[str, Any]] = {}
        for name, one in self.found.items():
            found[name] = {
                "first_in": one.first_in, "shapley": one.shapley, "last_out": one.last_out,
                "interaction": {"+".join(pair): value for pair, value in one.interaction.items()},
            }
            if one.intervals:
                found[name]["interval"] = {player: [i.low, i.high] for player, i in one.intervals.items()}
            found[name] |= {key: table[name] for key, table in (("spirals", self.spirals), ("owen", self.owen))
                            if table}
        return found


def extra_runs(players: int) -> int:
    """Return how many simulations an attribution takes beside the run and its twin, at most."""
    return 2**players - 1 if players <= EXACT_CHANNELS else 2 * players * (ORDERS + 1)


def check_groups(players: Sequence[str], groups: Sequence[Sequence[str]]) -> list[str]:
    """Return every problem of Owen values in these groups."""
    if not groups:
        return []
    found = []
    if sorted(name for group in groups for name in group) != sorted(players):
        found.append(f"groups do not hold every player once; allowed: a partition of {', '.join(players)}; "
                     f"given: {[list(group) for group in groups]!r}")
    if len(players) > EXACT_CHANNELS:
        found.append(f"groups of sampled players; allowed: at most {EXACT_CHANNELS} players; given: {len(players)}")
    return found


def attribute_run(
    scenario: "Scenario", seed: int = 0, channels: Sequence[str] | None = None, *,
    causes: Sequence[str] = (), outcomes: Iterable[str] = ATTRIBUTED, groups: Sequence[Sequence[str]] = (),
) -> RunAttribution:
    """Run a scenario with every subset of channels and share out what the feedback made.

    Parameters
    ----------
    scenario : Scenario
    seed : int
    channels : sequence of str, optional
        Names of :data:`~spirals.simulation.open_loop.CHANNELS`; those of ``DEFAULT_CHANNELS`` that the scenario has
        by default.
    causes : sequence of str
        Causes of forced flow that play beside the channels. With more than six players in all, orders are sampled.
    outcomes : iterable of str
        Names of ``spirals list measures`` that need no twin.
    groups : sequence of sequence of str
        A partition of the players for Owen values.

    Raises
    ------
    InputError
        A player that does not exist or that the venue lacks, or groups that are no partition.
    """
    channels = default_channels(scenario) if channels is None else channels
    problems = [*check_channels(scenario, channels), *check_causes(scenario, causes),
                *check_groups((*channels, *causes), groups)]
    if "hedge" in channels and "adl_hedge" in causes:
        problems.append("channel and cause that are the same switch; allowed: one of them; given: 'hedge', 'adl_hedge'")
    if problems:
        raise InputError(problems)
    finish, tape = _finisher(seed), Taping()
    engine = dataclasses.replace(scenario.engine, **_shadowed())
    twin = finish(dataclasses.replace(scenario, engine=engine), tape)
    return share_out(scenario, (*channels, *causes), twin, tape.tape, finish, outcomes=outcomes, groups=groups)


def attribute_causes(
    scenario: "Scenario", seed: int = 0, causes: Sequence[str] | None = None, *,
    outcomes: Iterable[str] = ATTRIBUTED,
) -> RunAttribution:
    """Run a scenario with every subset of causes of forced flow and share out what their impact made.

    Parameters
    ----------
    scenario : Scenario
    seed : int
    causes : sequence of str, optional
        Names of :data:`~spirals.simulation.engine.FORCED`; those that the scenario has by default. Causes that are
        not named always move the book.
    outcomes : iterable of str

    Raises
    ------
    InputError
        A cause that does not exist or that the scenario lacks.
    """
    return attribute_run(scenario, seed, (), causes=default_causes(scenario) if causes is None else causes,
                         outcomes=outcomes)


def share_out(
    scenario: "Scenario", players: Sequence[str], twin: "RunRecord", tape: Any, finish: Finish, *,
    full: "RunRecord | None" = None, outcomes: Iterable[str] = ATTRIBUTED, groups: Sequence[Sequence[str]] = (),
) -> RunAttribution:
    """Share out a run whose twin, and perhaps itself, have been run already.

    Parameters
    ----------
    scenario : Scenario
    players : sequence of str
        Channels and causes that the scenario has.
    twin : RunRecord
        Twin T1.
    tape : ndarray, TAPE
        What it recorded.
    finish : callable of (scenario, loop) to RunRecord
        Runs to the end, with the seed of the twin.
    full : RunRecord, optional
        The run itself.
    outcomes, groups
        As of :func:`attribute_run`.
    """
    names = tuple(outcomes)
    game = _Game(scenario, tuple(players), tape, finish, names)
    last = 2 ** len(players) - 1
    if full is not None:
        game.known[last] = _measured(full, names)
    shock = _measured(twin, names)
    if len(players) <= EXACT_CHANNELS:
        values = {name: [game(mask)[name] for mask in range(last + 1)] for name in names}
        found = {name: attribute(players, values[name]) for name in names}
        owen = {name: owen_values(players, values[name], groups) for name in names} if groups else {}
    else:
        found, owen = {name: attribute_sampled(players, game.of(name), ORDERS) for name in names}, {}
    spirals = {name: _spirals(game, name) for name in names} if set(SPIRALS) <= set(players) else {}
    direct = {name: game(0)[name] - shock[name] for name in names}
    return RunAttribution(tuple(players), shock, direct, found, len(game.known) + 1, spirals, owen)


class _Game:
    """Outcomes by subset of players; every subset is run once."""

    def __init__(self, scenario: "Scenario", players: tuple[str, ...], tape: Any, finish: Finish,
                 names: tuple[str, ...]) -> None:
        self.scenario, self.players, self.tape, self.finish, self.names = scenario, players, tape, finish, names
        self.known: dict[int, Levels] = {}

    def __call__(self, mask: int) -> Levels:
        if mask not in self.known:
            off = [name for i, name in enumerate(self.players) if not mask >> i & 1]
            cut = [name for name in off if name in CHANNELS]
            aside = [name for name in off if name in FORCED] + (["adl_hedge"] if "hedge" in cut else [])
            engine = self.scenario.engine
            beside = tuple(dict.fromkeys((*engine.shadow_causes, *aside)))
            setup = dataclasses.replace(self.scenario, engine=dataclasses.replace(engine, shadow_causes=beside))
            self.known[mask] = _measured(self.finish(setup, OpenLoop(self.tape, cut)), self.names)
        return self.known[mask]

    def of(self, name: str) -> Callable[[int], float]:
        """Return the game of one outcome."""
        return lambda mask: self(mask)[name]


def _spirals(game: _Game, name: str) -> Levels:
    values = [game(mask)[name] for mask in sub_game(game.players, SPIRALS)]
    split = attribute(SPIRALS, values)
    return {"loss": split.first_in["mark"], "margin": split.first_in["margin"],
            "interaction": split.interaction[SPIRALS], "both": split.total}


def _shadowed() -> Any:
    return TWINS["T1"][1]


def _finisher(seed: int) -> Finish:
    from spirals.agents.model import SpiralModel

    def finish(setup: Any, loop: Any) -> "RunRecord":
        model = SpiralModel(setup=setup, rng=seed, collect_every=0, loop=loop)
        model.run()
        return model.core.record()

    return finish


def _measured(record: "RunRecord", names: Sequence[str]) -> Levels:
    from spirals.simulation.measures.outcomes import outcomes

    measured: Mapping[str, float] = outcomes(record)
    return {name: measured[name] for name in names}
