"""Wrappers nest in any order; what is built prints itself, is built again from its print, and can be saved."""

import copy
import dataclasses
import tomllib
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spirals.simulation import margin
from spirals.simulation.margin import (
    POLICIES,
    AppliesTo,
    Buffer,
    Floor,
    MarginRequirement,
    Notice,
    Procyclicality,
    Ramp,
    SpeedLimit,
    Static,
    StressedWeight,
    Tiered,
    UpdateInterval,
    VolatilityScaled,
    check_policy,
    flatten_state,
    to_toml,
    unflatten_state,
)
from spirals.simulation.market.view import MarketState
from spirals.simulation.parameters import Part, parameter
from spirals.simulation.state import hash_arrays
from spirals.simulation.toml_text import part_to_toml, toml_value

PI = st.floats(0.0, 1.0)
RATE = st.floats(0.001, 1.0)
TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
SECONDS = st.sampled_from([600.0, 3600.0, 9000.0, 30000.0])

LEAVES = st.one_of(
    st.builds(lambda high, share: Static(initial=high, maintenance=high * share), RATE, RATE),
    st.just(Static(initial=(0.1, 0.2), maintenance=(0.05, 0.02))),
    st.just(Tiered()),
    st.just(Tiered(brackets=[[0, 0.02, 0.01], [77e3, 0.1, 0.05]])),
    st.builds(VolatilityScaled, st.floats(0.1, 5.0), st.floats(1.0, 48.0), RATE),
)


def wrapped(inner):
    return st.one_of(
        st.builds(Floor, inner, RATE),
        st.builds(margin.Cap, inner, RATE),
        st.builds(Buffer, inner, st.floats(0.0, 1.0), st.booleans()),
        st.builds(StressedWeight, inner, st.floats(0.0, 1.0), st.sampled_from([None, 0.07, 0.5])),
        st.builds(SpeedLimit, inner, st.floats(0.0, 0.5), st.floats(0.0, 1.0), SECONDS),
        st.builds(UpdateInterval, inner, SECONDS),
        st.builds(Notice, inner, SECONDS, st.sampled_from(["increases", "both"])),
        st.builds(Ramp, inner, SECONDS),
        st.builds(margin.Grandfather, inner),
        st.builds(AppliesTo, inner, inner, st.sampled_from(["initial", "maintenance", "both"])),
        st.builds(Procyclicality, inner, PI, st.floats(0.01, 0.5), st.sampled_from(["none", "equal_start"])),
        st.builds(Procyclicality, inner, PI, st.just(0.04), st.just("equal_mean"), st.floats(0.5, 2.0)),
    )


STACKS = st.recursive(LEAVES, wrapped, max_leaves=3)


def rebuilt(table: dict[str, Any]) -> Any:
    """Build a policy from its TOML table, as a scenario does."""
    plain = {key: value for key, value in table.items() if key != "type"}
    fields = {key: rebuilt(value) if isinstance(value, dict) else value for key, value in plain.items()}
    return POLICIES[table["type"]](**fields)


@settings(max_examples=60)
@given(STACKS)
def test_any_stack_of_wrappers_keeps_what_the_engine_relies_on(policy):
    check_policy(policy, steps=24)


@settings(max_examples=60)
@given(STACKS)
def test_any_stack_prints_itself_as_toml_and_as_python(policy):
    assert rebuilt(tomllib.loads(to_toml(policy))["margin"]) == policy
    commented = to_toml(policy, "venues.one.margin", comments=True)
    assert rebuilt(tomllib.loads(commented)["venues"]["one"]["margin"]) == policy
    assert eval(repr(policy), vars(margin)) == policy
    assert hash(policy) == hash(copy.deepcopy(policy))


def crash(policy, state, steps, market, factor=1.0):
    """Run `policy` on; return the state and the rates of every step."""
    rates = []
    for step in steps:
        market.step = step
        market.record["volatility"] = 0.03 * (1 + step % 13) * factor
        market.record["stressed_volatility"] = 0.2
        state, requirement = policy.update(state, market)
        rates.append(requirement.rates.tobytes())
    return state, rates


@settings(max_examples=40)
@given(STACKS)
def test_saved_state_continues_identically_and_hashes_the_same(policy):
    market = MarketState.constant(2, 900.0, volatility=0.03, stressed_volatility=0.2)
    state, _ = crash(policy, policy.start(market), range(30), market)
    arrays = flatten_state(state)
    assert all(isinstance(array, np.ndarray) and not array.dtype.hasobject for array in arrays.values())
    restored = unflatten_state(policy.start(market), arrays)
    assert hash_arrays(flatten_state(restored)) == hash_arrays(arrays)
    _, rates = crash(policy, restored, range(30, 60), market)
    _, expected = crash(policy, state, range(30, 60), market)
    assert rates == expected


def test_saved_state_survives_a_file_without_pickle(tmp_path):
    policy = Notice(SpeedLimit(Buffer(VolatilityScaled()), up=0.01, seconds=900.0), seconds=3600.0)
    market = MarketState.constant(1, 900.0, volatility=0.03)
    state, _ = crash(policy, policy.start(market), range(20), market)
    np.savez(tmp_path / "state.npz", **flatten_state(state))
    with np.load(tmp_path / "state.npz", allow_pickle=False) as file:
        restored = unflatten_state(policy.start(market), dict(file))
    assert crash(policy, restored, range(20, 40), market)[1] == crash(policy, state, range(20, 40), market)[1]


def test_restored_state_still_knows_that_nothing_changed():
    policy = Floor(Procyclicality(Tiered(), pi=0.5), floor=0.02)
    market = MarketState.constant(1)
    state, first = policy.update(policy.start(market), market)
    restored = unflatten_state(policy.start(market), flatten_state(state))
    restored, second = policy.update(restored, market)
    assert second.equals(first)
    assert policy.update(restored, market)[1] is second


@dataclasses.dataclass
class Memory:
    """A state with one of everything that may be in one."""

    window: np.ndarray
    last: Any = None
    count: int = 0


class Pair(NamedTuple):
    low: float
    high: float


def test_every_allowed_kind_of_state_survives_flattening():
    requirement = MarginRequirement([[0.1, 0.2]], [[0.05, 0.1]], [[0.0, 10.0]], grandfathered=True)
    state = {
        "memory": Memory(np.arange(6.0).reshape(2, 3), last=(1, [2.5, None], "text: a.b", b"\x00\xff"), count=2**70),
        "pair": Pair(0.1, float("inf")),
        3: [True, np.float64(0.1), np.int32(7), -0.0],
        "asked": (requirement, requirement, MarginRequirement.flat(2, 0.1, 0.05)),
        "table": requirement.table(),
        "empty": [(), {}, []],
    }
    template = {"memory": Memory(np.zeros(1)), "pair": Pair(0.0, 0.0)}
    arrays = flatten_state(state)
    restored = unflatten_state(template, arrays)
    assert hash_arrays(flatten_state(restored)) == hash_arrays(arrays)
    assert restored["memory"].last == state["memory"].last and restored["memory"].count == 2**70
    assert restored["pair"] == state["pair"] and type(restored["pair"]) is Pair
    assert restored[3] == state[3] and type(restored[3][1]) is np.float64 and type(restored[3][2]) is np.int32
    assert restored["asked"][0] is restored["asked"][1] and restored["asked"][0].equals(requirement)
    assert restored["asked"][0].grandfathered and restored["asked"][2].floors is None
    assert restored["table"].dtype == state["table"].dtype and restored["empty"] == [(), {}, []]


@pytest.mark.parametrize("state", [
    {1, 2}, object(), np.array([None]), {1.5: 0}, (x for x in "a"), np.random.default_rng(),
])
def test_state_that_cannot_be_saved_is_refused_with_its_place(state):
    with pytest.raises(TypeError, match=r"state\.window"):
        flatten_state(Memory(window=state))


def test_record_missing_from_the_template_is_named():
    with pytest.raises(ValueError, match="Memory"):
        unflatten_state(None, flatten_state(Memory(np.zeros(1))))


def test_state_hash_changes_with_any_value():
    memory = Memory(np.zeros(2), last=1.0)
    digests = {hash_arrays(flatten_state(state)) for state in (
        memory, dataclasses.replace(memory, last=1), dataclasses.replace(memory, last=2.0),
        dataclasses.replace(memory, last=None), dataclasses.replace(memory, window=np.ones(2)),
    )}
    assert len(digests) == 5


@dataclasses.dataclass(frozen=True)
class Layer(Part):
    name: str = parameter("fund", help="who pays")
    inner: Any = None


@dataclasses.dataclass(frozen=True)
class Waterfall(Part):
    layers: tuple = ()
    limits: dict = dataclasses.field(default_factory=dict)
    on: bool = True


def test_lists_of_parts_become_arrays_of_tables():
    waterfall = Waterfall((Layer("a"), Layer("b", inner=Floor(Static()))), limits={"x y": 1, "z": [0.1, 2]})
    text = part_to_toml(waterfall, "waterfall")
    table = tomllib.loads(text)["waterfall"]
    assert [layer["name"] for layer in table["layers"]] == ["a", "b"]
    assert rebuilt(table["layers"][1]["inner"]) == Floor(Static())
    assert table["limits"] == {"x y": 1, "z": [0.1, 2]} and table["on"] is True and "inner" not in table["layers"][0]


def test_mixed_list_and_unprintable_values_are_refused():
    with pytest.raises(TypeError, match="list of parts"):
        part_to_toml(Waterfall((Layer(), 3)), "waterfall")
    with pytest.raises(TypeError, match="name"):
        part_to_toml(Layer(name=object()), "layer")


def test_part_loaded_from_a_file_prints_where_it_came_from():
    policy = Static()
    object.__setattr__(policy, "spec", "my_policy.py:Static")
    assert tomllib.loads(to_toml(Floor(policy)))["margin"]["inner"]["type"] == "my_policy.py:Static"


@settings(max_examples=80)
@given(st.recursive(
    st.one_of(st.floats(allow_nan=False), st.booleans(), st.integers(-2**63, 2**63 - 1), TEXT),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(TEXT, inner)),
))
def test_values_come_back_from_toml_exactly(value):
    assert tomllib.loads(f"key = {toml_value(value)}") == {"key": value}


def test_catalogue_names_every_policy_and_each_has_a_summary():
    exported = {
        name for name in margin.__all__
        if isinstance(getattr(margin, name), type) and issubclass(getattr(margin, name), margin.MarginPolicy)
    }
    assert set(POLICIES) == exported - {"MarginPolicy", "Wrapper", "Transform"}
    for name, policy in POLICIES.items():
        assert policy.__name__ == name
        summary = (policy.__doc__ or "").splitlines()[0]
        assert 20 < len(summary) < 120 and not summary.startswith(name + "(")
