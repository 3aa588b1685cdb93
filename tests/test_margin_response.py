"""Traders respond to margin: leverage chosen against what is offered, activity and open interest that tighter costs."""

import numpy as np
import pytest
from agents_support import simulate

from spirals.agents.margin_response import margin_response
from spirals.agents.market_maker import MarketMakers
from spirals.agents.population import Population
from spirals.simulation.margin.static import Static
from spirals.simulation.measures.outcomes import outcomes

PARTS = dict(makers=MarketMakers(count=1))


def book(initial, **parameters):
    parameters = {"traders": 2000, "neutral_share": 0.0, "crowding": 0.0, **parameters}
    core = simulate(population=Population(**parameters), margin=Static(initial, initial / 2), **PARTS)
    return core.population.traders, core


def test_an_adapted_book_at_equal_margin_is_the_given_book():
    for law in ("lognormal", "round"):
        adapted, a = book(0.02, opening_book="adapted", reference_margin=0.02, leverage_law=law, crowding=0.5)
        given, b = book(0.02, opening_book="given", leverage_law=law, crowding=0.5)
        assert np.array_equal(adapted, given) and a.hash() == b.hash()


@pytest.mark.parametrize(("elasticity", "factor"), [(0.0, 1.0), (0.5, 2**-0.5), (1.0, 0.5)])
def test_leverage_follows_the_leverage_offered_with_its_elasticity(elasticity, factor):
    # Lenient margin, so that the limit binds nobody: the ratio is exact for every trader.
    loose, _ = book(0.001, opening_book="adapted", reference_margin=0.001, leverage_elasticity=elasticity)
    tight, _ = book(0.002, opening_book="adapted", reference_margin=0.001, leverage_elasticity=elasticity)
    assert np.median(tight["target_leverage"] / loose["target_leverage"]) == pytest.approx(factor, rel=1e-3)


def test_the_use_of_the_limit_does_not_change_with_the_limit_at_elasticity_one():
    # Medians of 8 at a limit of 10 and of 4 at a limit of 5: half of the traders would hit it if cut off.
    loose, _ = book(0.1, opening_book="adapted", reference_margin=0.1, long_leverage=8.0, short_leverage=8.0)
    tight, _ = book(0.2, opening_book="adapted", reference_margin=0.1, long_leverage=8.0, short_leverage=8.0)
    assert np.allclose(loose["target_leverage"] * 0.1, tight["target_leverage"] * 0.2, rtol=1e-9)


def test_nobody_piles_up_at_the_limit_of_an_adapted_book():
    traders, _ = book(0.2, opening_book="adapted", reference_margin=0.1, long_leverage=8.0, short_leverage=8.0)
    use = traders["target_leverage"] * 0.2 / 0.98
    assert use.max() <= 1.0 and (use > 0.98).mean() < 0.05
    assert len(np.unique(use)) > 1900


def test_tighter_margin_makes_the_adapted_book_safer_where_the_given_one_only_gets_closer_to_its_calls():
    def distance(kind, initial):
        """Median distance to the call of directional traders, in fractions of notional."""
        traders, _ = book(initial, opening_book=kind, reference_margin=0.02, leverage_sigma=0.3)
        return np.median(1.0 / traders["target_leverage"]) - initial / 2

    assert distance("adapted", 0.06) > distance("adapted", 0.02)
    assert distance("given", 0.06) < distance("given", 0.02)


def test_the_opening_is_funded_whatever_the_response():
    _, core = book(0.05, opening_book="adapted", entry_elasticity=1.0)
    rows = slice(core.population.first_trader, core.population.first_user)
    assert np.all(core.accounts["equity"][rows] > core.accounts["initial_margin"][rows])


def test_open_interest_at_the_opening_responds_to_margin():
    _, equal = book(0.02, entry_elasticity=0.5)
    _, tight = book(0.08, entry_elasticity=0.5)
    _, free = book(0.08)
    lots = [core.opening_open_interest[0] for core in (equal, tight, free)]
    assert lots[0] == lots[2] and lots[1] == pytest.approx(lots[0] / 2, rel=1e-6)


def test_tighter_margin_is_not_free_it_costs_turnover_and_fees():
    def run(initial, elasticity):
        people = Population(traders=400, order_rate=0.05, entry_elasticity=elasticity, reference_margin=0.02)
        core = simulate(steps=60, population=people, margin=Static(initial, initial / 2), **PARTS)
        return outcomes(core.record()), core.hash()

    (at_reference, one), (inelastic, two) = run(0.02, 2.0), run(0.02, 0.0)
    assert one == two and at_reference["traded_notional"] == inelastic["traded_notional"]
    tight, _ = run(0.04, 2.0)
    free, _ = run(0.04, 0.0)
    assert tight["traded_notional"] < 0.7 * free["traded_notional"]
    assert 0.0 < tight["fees_paid"] < 0.7 * free["fees_paid"]


def test_the_response_is_one_at_the_reference_and_a_power_elsewhere():
    assert margin_response(0.02, 0.02, 3.0) == 1.0 and margin_response(0.02, 0.5, 0.0) == 1.0
    assert margin_response(0.02, 0.04, 2.0) == pytest.approx(0.25)
