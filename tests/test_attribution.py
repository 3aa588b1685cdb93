"""Attribution: shares of a difference over channels, against games whose answer is known."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spirals.simulation.measures.attribution import attribute, owen_values, sampled_shapley

GLOVES = ("left", "right one", "right two")


def glove_market(mask):
    """A pair is worth 1: one left glove, two right ones."""
    return float(bool(mask & 1) and bool(mask & 6))


def test_the_scarce_glove_gets_two_thirds_of_the_pair():
    found = attribute(GLOVES, [glove_market(mask) for mask in range(8)])
    assert found.total == 1.0
    assert found.shapley == pytest.approx({"left": 2 / 3, "right one": 1 / 6, "right two": 1 / 6})
    assert found.first_in == {"left": 0.0, "right one": 0.0, "right two": 0.0}
    assert found.last_out == {"left": 1.0, "right one": 0.0, "right two": 0.0}
    assert found.interaction["left", "right one"] == 0.5
    assert found.interaction["right one", "right two"] == -0.5


def test_two_spirals_that_need_each_other_show_it_in_the_interaction():
    # Brunnermeier and Pedersen: 1 alone, 2.5 with losses, 1.25 with margins, 5 with both (theory: k=10, m=5, x0=30)
    found = attribute(("loss", "margin"), [1.0, 2.5, 1.25, 5.0])
    assert found.first_in == {"loss": 1.5, "margin": 0.25}
    assert found.last_out == {"loss": 3.75, "margin": 2.5}
    assert found.interaction == {("loss", "margin"): 2.25}
    assert math.fsum(found.shapley.values()) == found.total == 4.0


games = st.integers(1, 5).flatmap(
    lambda n: st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=2**n, max_size=2**n))


@given(games)
@settings(max_examples=60)
def test_shares_add_up_and_relabelling_changes_nothing(values):
    n = int(math.log2(len(values)))
    names = tuple("abcde"[:n])
    found = attribute(names, values)
    scale = max(abs(value) for value in values) or 1.0
    assert math.fsum(found.shapley.values()) == pytest.approx(found.total, abs=1e-14 * 2**n * scale)
    order = list(reversed(range(n)))
    moved = [values[sum(1 << order[i] for i in range(n) if mask >> i & 1)] for mask in range(2**n)]
    again = attribute([names[place] for place in order], moved)
    assert again.shapley == found.shapley and again.last_out == found.last_out


@given(games)
@settings(max_examples=40)
def test_a_channel_that_cannot_act_has_exactly_zero(values):
    n = int(math.log2(len(values)))
    found = attribute(tuple("abcdef"[: n + 1]), [*values, *values])
    idle = "abcdef"[n]
    assert found.shapley[idle] == found.first_in[idle] == found.last_out[idle] == 0.0
    assert all(value == 0.0 for pair, value in found.interaction.items() if idle in pair)


def test_owen_values_are_shapley_values_when_groups_say_nothing():
    generator = np.random.default_rng(1)
    names, values = ("a", "b", "c", "d"), generator.normal(size=16)
    plain = attribute(names, values).shapley
    assert owen_values(names, values, [names]) == pytest.approx(plain)
    assert owen_values(names, values, [[name] for name in names]) == pytest.approx(plain)
    grouped = owen_values(names, values, [["a", "b"], ["c", "d"]])
    assert math.fsum(grouped.values()) == pytest.approx(values[15] - values[0])


def test_owen_values_give_the_gate_of_a_group_its_share():
    # Nothing acts without the gate: with the gate in a group of its own it is half of everything.
    names = ("gate", "x", "y")
    values = [float(mask & 1) * (mask >> 1 & 1) + 3.0 * (mask & 1) * (mask >> 2 & 1) for mask in range(8)]
    found = owen_values(names, values, [["gate"], ["x", "y"]])
    assert found == pytest.approx({"gate": 2.0, "x": 0.5, "y": 1.5})


def test_sampled_orders_add_up_and_cover_the_exact_values():
    generator = np.random.default_rng(3)
    names = tuple("abcdefg")
    values = generator.normal(size=2**7)
    exact = attribute(names, values)
    asked = []
    sampled, intervals = sampled_shapley(names, lambda mask: asked.append(mask) or values[mask], orders=40, seed=1)
    assert math.fsum(sampled.values()) == pytest.approx(exact.total, abs=1e-12)
    assert len(asked) == len(set(asked)) <= 2**7
    # seed 1: of seven 95 % intervals at most one misses with probability .96
    missed = [name for name in names if not intervals[name].low <= exact.shapley[name] <= intervals[name].high]
    assert len(missed) <= 1


def test_bad_games_are_refused():
    with pytest.raises(ValueError, match="one entry per subset of 2 channels"):
        attribute(("a", "b"), [0.0, 1.0])
    with pytest.raises(ValueError, match="distinct"):
        attribute(("a", "a"), [0.0] * 4)
    with pytest.raises(ValueError, match="every channel once"):
        owen_values(("a", "b"), [0.0] * 4, [["a"]])
    with pytest.raises(ValueError, match="at least 2"):
        sampled_shapley(("a",), float, 1)


def test_pairs_are_named_once_in_the_order_of_the_channels():
    found = attribute(("a", "b", "c"), [0.0] * 8)
    assert list(found.interaction) == list(itertools.combinations(("a", "b", "c"), 2))
