"""check_policy finds what the engine would trip over, and users' own policies work with little ceremony."""

import copy
import dataclasses
import textwrap
from dataclasses import dataclass

import numpy as np
import pytest

from spirals.simulation.errors import InputError
from spirals.simulation.margin import (
    POLICIES,
    Floor,
    MarginPolicy,
    MarginRequirement,
    Static,
    as_dataclass,
    check_policy,
    policy_problems,
    to_toml,
)
from spirals.simulation.margin import policy as policy_module
from spirals.simulation.market.view import MarketState
from spirals.simulation.parameters import parameter


@dataclass(frozen=True)
class DepthScaled(MarginPolicy):
    """The example of the documentation: margin rises as the bids thin out."""

    rate: float = 0.05
    reference: float = 20e6

    def update(self, state, market):
        thinness = self.reference / np.maximum(market.depth_bid[:, 2], 1.0)
        initial = np.clip(self.rate * thinness, 0.01, 1.0)
        return state, MarginRequirement(initial, initial / 2)


class Undecorated(MarginPolicy):
    """Someone forgot the decorator."""

    rate: float = 0.05
    share: float = parameter(0.5, above=0, high=1)

    def update(self, state, market):
        return state, MarginRequirement.flat(market.n_instruments, self.rate, self.rate * self.share)


class Plain(MarginPolicy):
    """No parameters at all."""

    def update(self, state, market):
        return state, MarginRequirement.flat(market.n_instruments, 0.1, 0.05)


class OwnConstructor(MarginPolicy):
    """Someone likes to write constructors."""

    def __init__(self, rate):
        self.rate = rate

    def update(self, state, market):
        return state, MarginRequirement.flat(market.n_instruments, self.rate, self.rate)


@dataclass
class Unfrozen(MarginPolicy):
    """Someone forgot frozen=True."""

    rate: float = 0.05

    def update(self, state, market):
        return state, MarginRequirement.flat(market.n_instruments, self.rate, self.rate)


class Remembering(MarginPolicy):
    """Plain lists as memory: the mean of the last three volatilities."""

    def start(self, market):
        return []

    def update(self, state, market):
        state = [*state, market.volatility.copy()][-3:]
        initial = np.clip(np.mean(state, axis=0), 0.01, 1.0)
        return state, MarginRequirement(initial, initial / 2)


@pytest.mark.parametrize("policy", [
    DepthScaled(), Undecorated(), Undecorated(rate=0.2, share=0.1), Plain(), OwnConstructor(0.3), Unfrozen(),
    Remembering(), Floor(Remembering(), floor=0.05),
], ids=repr)
def test_policies_as_users_write_them_pass(policy):
    check_policy(policy)
    check_policy(policy, n_instruments=1, step_seconds=1.0)


def test_example_of_the_documentation_runs_as_printed():
    text = policy_module.__doc__
    example = textwrap.dedent(text[text.index("    from dataclasses") : text.index("- `market` is")])
    assert len(example.strip().splitlines()) <= 20
    names = {"__name__": "my_policy"}
    exec(example, names)
    check_policy(names["DepthScaled"]())


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_every_policy_of_the_catalogue_passes(name):
    fields = {field.name for field in dataclasses.fields(POLICIES[name])}
    parts = {part: Floor(Static()) for part in ("inner", "base") if part in fields}
    check_policy(POLICIES[name](**parts))


def test_forgotten_decorator_still_gives_parameters_checks_and_print():
    policy = Undecorated(rate=0.2)
    assert repr(policy) == "Undecorated(rate=0.2, share=0.5)"
    assert to_toml(policy) == '[margin]\ntype = "Undecorated"\nrate = 0.2\nshare = 0.5\n'
    assert policy == Undecorated(rate=0.2) != Undecorated()
    with pytest.raises(InputError, match="share must be in"):
        Undecorated(share=2.0)
    assert [field.name for field in dataclasses.fields(as_dataclass(Undecorated))] == ["rate", "share"]
    assert copy.deepcopy(policy) == policy


def test_policy_without_update_cannot_be_made():
    class Nothing(MarginPolicy):
        pass

    with pytest.raises(TypeError, match="update"):
        Nothing()


class Faulty(MarginPolicy):
    def update(self, state, market):
        n = market.n_instruments
        return state, self.faulty(state, market, n)


class TooHigh(Faulty):
    def faulty(self, state, market, n):
        return MarginRequirement(market.volatility * 100.0, np.full(n, 0.05))


class Reversed(Faulty):
    def faulty(self, state, market, n):
        return MarginRequirement.flat(n, 0.05, 0.10)


class OneInstrument(Faulty):
    def faulty(self, state, market, n):
        return MarginRequirement.flat(1, 0.10, 0.05)


class NanInAnEmptyBook(Faulty):
    def faulty(self, state, market, n):
        return MarginRequirement(np.clip(market.spread, 0.1, 1.0), np.full(n, 0.01))


class Random(Faulty):
    def faulty(self, state, market, n):
        return MarginRequirement.flat(n, 0.1 + 0.1 * np.random.default_rng().random(), 0.05)


class WritesTheMarket(Faulty):
    def faulty(self, state, market, n):
        market.record["mark"] *= 0.5
        return MarginRequirement.flat(n, 0.1, 0.05)


class WritesAColumn(Faulty):
    def faulty(self, state, market, n):
        market.mark[:] = 1.0
        return MarginRequirement.flat(n, 0.1, 0.05)


class Impossible(Faulty):
    def faulty(self, state, market, n):
        return (0.1, 0.05)


class Falling(Faulty):
    monotone_in_volatility = True

    def faulty(self, state, market, n):
        return MarginRequirement(0.001 / np.clip(market.volatility, 0.01, 10.0), np.full(n, 1e-5))


@dataclass
class KeepsMemoryInItself(MarginPolicy):
    highest: float = 0.0

    def update(self, state, market):
        self.highest = max(self.highest, float(market.volatility.max()))
        return state, MarginRequirement.flat(market.n_instruments, min(1.0, 0.01 + self.highest), 0.01)


@dataclass(frozen=True)
class KeepsMemoryInAList(MarginPolicy):
    seen: list = dataclasses.field(default_factory=list)

    def update(self, state, market):
        self.seen.append(float(market.volatility.max()))
        return state, MarginRequirement.flat(market.n_instruments, 0.1, 0.05)


SHARED: dict = {}


class SharesMemory(MarginPolicy):
    """Fresh at every start, but shared by all runs that are under way."""

    def start(self, market):
        SHARED["highest"] = 0.01
        return None

    def update(self, state, market):
        SHARED["highest"] = max(SHARED["highest"], min(1.0, float(market.volatility.max())))
        return state, MarginRequirement.flat(market.n_instruments, SHARED["highest"], 0.01)


class Overwrites(MarginPolicy):
    """Hands out the same array and changes it later."""

    def start(self, market):
        return np.full(market.n_instruments, 0.1)

    def update(self, state, market):
        state[:] = np.clip(market.volatility, 0.02, 1.0)
        return state, MarginRequirement(state, np.full(market.n_instruments, 0.01))


class CannotBeSaved(MarginPolicy):
    def start(self, market):
        return {0.5}

    def update(self, state, market):
        return state, MarginRequirement.flat(market.n_instruments, 0.1, 0.05)


class Uncopied:
    """A counter that refuses to be copied properly."""

    def __init__(self):
        self.steps = 0

    def __deepcopy__(self, memo):
        return self


class CannotBeCopied(MarginPolicy):
    def start(self, market):
        return Uncopied()

    def update(self, state, market):
        state.steps += 1
        return state, MarginRequirement.flat(market.n_instruments, min(1.0, 0.1 + 0.001 * state.steps), 0.05)


@pytest.mark.parametrize("policy, words", [
    (TooHigh, r"in \(0, 1\]"),
    (Reversed, "exceed"),
    (OneInstrument, "n_instruments = 2"),
    (NanInAnEmptyBook, "finite"),
    (Random, "deterministic"),
    (WritesTheMarket, "changed the market"),
    (WritesAColumn, "read-only"),
    (Impossible, "must return"),
    (Falling, "fell"),
    (KeepsMemoryInItself, "parameters changed"),
    (KeepsMemoryInAList, "parameters changed"),
    (SharesMemory, "shared between runs"),
    (Overwrites, "changed after it was returned"),
    (CannotBeSaved, "cannot be saved"),
    (CannotBeCopied, "copied state"),
])
def test_faulty_policy_is_found_out(policy, words):
    with pytest.raises(AssertionError, match=words):
        check_policy(policy())


def test_something_that_is_no_policy_is_said_so():
    assert "subclass of MarginPolicy" in policy_problems(0.05)[0]


def test_one_policy_object_serves_many_runs():
    policy = Floor(Remembering(), floor=0.05)
    markets = [MarketState.constant(1, volatility=volatility) for volatility in (0.02, 0.2)]
    states = [policy.start(market) for market in markets]
    rates = [[], []]
    for _ in range(3):
        for run, market in enumerate(markets):
            states[run], requirement = policy.update(states[run], market)
            rates[run].append(float(requirement.initial_rates[0]))
    assert rates == [[0.05] * 3, pytest.approx([0.2] * 3)]
