"""Requirements: brackets with deductions, continuity, faults named."""

import numpy as np
import pytest

from spirals.simulation.errors import InputError
from spirals.simulation.margin import BINANCE_BTCUSDT_2024_10_24, MarginRequirement, Static, Tiered, requirement_of
from spirals.simulation.margin.brackets import common_brackets
from spirals.simulation.market.view import MarketState
from spirals.simulation.state import REQUIREMENT


def requirement(policy, n_instruments=1):
    market = MarketState.constant(n_instruments)
    return policy.update(policy.start(market), market)[1]


def test_binance_deductions_are_those_computed_by_hand():
    table = requirement(Tiered()).table()[0]
    # 50k*(.5-.4)% = 50; + 600k*.15% = 950; + 3M*.35% = 11,450; + 12M*1% = 131,450; + 70M*.5% = 481,450; + 100M*2.5% ...
    by_hand = [
        0, 50, 950, 11_450, 131_450, 481_450, 2_981_450, 14_481_450, 26_481_450, 41_481_450, 121_481_450, 421_481_450,
    ]
    assert table["maintenance_deduction"] == pytest.approx(by_hand, rel=1e-12)


def test_maintenance_of_one_million_of_bitcoin_is_5550():
    brackets = requirement(Tiered()).table()[0]
    # 50k * .4 % + 550k * .5 % + 400k * .65 % = 200 + 2750 + 2600
    assert requirement_of(1e6, brackets)[1] == pytest.approx(5550, abs=1e-6)


def test_requirement_is_continuous_and_rising_at_every_border():
    brackets = requirement(Tiered()).table()[0]
    for floor in brackets["floor"][1:]:
        below, above = requirement_of(floor * (1 - 1e-12), brackets), requirement_of(floor, brackets)
        assert below == pytest.approx(above, rel=1e-9)
    notionals = np.geomspace(1, 3e9, 400)
    margins = np.array([requirement_of(notional, brackets) for notional in notionals])
    assert (np.diff(margins, axis=0) > 0).all()
    assert (margins[:, 1] <= margins[:, 0]).all()


def test_preset_is_within_the_leverage_that_the_venue_publishes():
    leverages = [round(1 / initial) for _, initial, _ in BINANCE_BTCUSDT_2024_10_24]
    assert leverages == [125, 100, 75, 50, 25, 20, 10, 5, 4, 3, 2, 1]


def test_flat_requirement_fills_a_table_in_place_and_leaves_spare_brackets_out_of_reach():
    out = np.zeros((2, 3), REQUIREMENT)
    table = MarginRequirement.flat(2, 0.1, 0.05).table(out)
    assert table is out
    assert requirement_of(1e12, table[1]) == pytest.approx((1e11, 5e10))
    assert np.isinf(table["floor"][:, 1:]).all()
    with pytest.raises(ValueError, match="shape"):
        MarginRequirement.flat(3, 0.1, 0.05).table(out)


def test_rates_per_instrument():
    charged = requirement(Static(initial=[0.1, 0.2], maintenance=0.05), 2)
    assert charged.initial_rates.tolist() == [0.1, 0.2]
    assert charged.maintenance_rates.tolist() == [0.05, 0.05]
    with pytest.raises(InputError, match="one rate or 3"):
        requirement(Static(initial=[0.1, 0.2]), 3)


@pytest.mark.parametrize("initial, maintenance, floors, words", [
    ([0.1], [0.2], None, "exceed"),
    ([0.0], [0.0], None, "finite and in"),
    ([1.1], [0.5], None, "finite and in"),
    ([np.nan], [0.05], None, "finite and in"),
    ([0.1, 0.1], [0.05], None, "shape"),
    ([], [], None, "shape"),
    (0.1, 0.05, None, "shape"),
    ([[0.1, 0.2]], [[0.05, 0.1]], None, "floors"),
    ([0.1], [0.05], [[0.0]], "floors"),
    ([[0.1, 0.2]], [[0.05, 0.1]], [[0.0, 0.0]], "increase"),
    ([[0.1, 0.2]], [[0.05, 0.1]], [[1.0, 2.0]], "increase"),
    ([[0.1, 0.2]], [[0.05, 0.1]], [[0.0, np.inf]], "increase"),
])
def test_faults_of_a_requirement_are_named(initial, maintenance, floors, words):
    found = MarginRequirement(initial, maintenance, floors).problems()
    assert found and words in found[0]


def test_every_fault_of_a_requirement_is_listed_at_once():
    assert len(MarginRequirement([0.1, 2.0], [0.2, 0.0]).problems(2)) == 3


@pytest.mark.parametrize("keywords", [
    {"brackets": []},
    {"brackets": [[0, 0.1]]},
    {"brackets": [[0, 0.1, "x"]]},
    {"brackets": [[10, 0.1, 0.05]]},
    {"brackets": [[0, 0.1, 0.05], [0, 0.2, 0.1]]},
    {"brackets": [[0, 0.1, 0.2]]},
    {"brackets": [[0, 0.1, float("nan")]]},
])
def test_bad_brackets_are_refused_at_construction(keywords):
    with pytest.raises(InputError, match="brackets"):
        Tiered(**keywords)


def test_static_refuses_maintenance_above_initial():
    with pytest.raises(InputError, match="maintenance must not exceed initial"):
        Static(initial=0.05, maintenance=0.06)


def test_common_brackets_ask_for_the_same_amounts():
    first = MarginRequirement([[0.02, 0.05]] * 2, [[0.01, 0.02]] * 2, [[0.0, 100.0], [0.0, 700.0]])
    second = MarginRequirement([[0.03, 0.04, 0.5]] * 2, [[0.01, 0.03, 0.4]] * 2, [[0.0, 50.0, 100.0]] * 2)
    flat = MarginRequirement.flat(2, 0.1, 0.05)
    for one, other in ((first, second), (first, flat), (flat, second), (first, first)):
        fine = common_brackets(one, other)
        assert np.array_equal(fine[0].floors, fine[1].floors)
        assert fine[0].problems(2) == [] == fine[1].problems(2)
        for before, after in zip((one, other), fine, strict=True):
            for instrument in range(2):
                for notional in (1.0, 50.0, 70.0, 100.0, 300.0, 1000.0):
                    assert requirement_of(notional, after.table()[instrument]) == pytest.approx(
                        requirement_of(notional, before.table()[instrument])
                    )
