"""Laws of liquidation spirals through the real book, ledger and engine (derived in scenarios/experiments/laws.py)."""

import math

import numpy as np
import pytest
from markets import procyclical, run

from spirals.agents.population import Population
from spirals.scenarios.experiments.laws import cascade_sizes, fixed_point, gain, generalised_poisson, refill
from spirals.scenarios.experiments.laws_family import refilled_ratios, standing_ratios
from spirals.simulation.market.price_feed import PriceFeed
from spirals.simulation.market.volatility import VolatilityEstimator
from spirals.simulation.measures.outcomes import outcomes


@pytest.mark.parametrize("maintenance", [0.004, 0.015, 0.06])
@pytest.mark.parametrize("elasticity", [0.0, 14.0])
def test_the_gain_of_thresholds_is_their_density_over_depth_times_the_margin_factor(maintenance, elasticity):
    # 3 %: one account is 1 / 200 of the shock, and the margin is not quite linear over a fall of half a per cent.
    # At m = 6 % leaving out the margin factor would give 1.43 in the place of 2.32.
    measured = gain(maintenance, elasticity)
    assert measured.value == pytest.approx(measured.expected, rel=0.03)


@pytest.mark.parametrize("decay", [1e-3, 0.5, 2.0, 10.0])
def test_refill_during_a_ramp_takes_the_amplification_from_one_over_one_minus_n_to_one(decay):
    # Seeds 1 to 24. 3 standard errors of the drawn thresholds, and .01 for the step: what is crossed in one
    # step of 200 is sold in the next.
    measured = refill(0.6, decay)
    assert abs(measured.value - measured.expected) < 3.0 * measured.error + 0.01
    assert measured.error < 0.06


@pytest.mark.parametrize("law", ["uniform", "normal"])
def test_the_final_price_is_the_mean_field_fixed_point_up_to_one_over_root_n(law):
    # Seeds 1 to 24: a root mean square of 24 values has a relative error of about 1 / sqrt(48) = 14 %, here a bit
    # more; 40 % is over two and a half of them. At N = 100 the noise is not small beside the fall and the
    # linear law overstates it, so only the order is asked for.
    few, some, many = (fixed_point(law, accounts) for accounts in (100, 1_000, 10_000))
    assert many.value == pytest.approx(many.expected, rel=0.4)
    assert some.value == pytest.approx(some.expected, rel=0.4)
    assert few.value > 2.0 * some.value > 3.0 * many.value


@pytest.mark.parametrize("n", [0.3, 0.6, 0.8])
def test_cascades_without_refill_have_generalised_poisson_sizes(n):
    # Seeds 1 to 300. Mean: 3 standard errors of the law, variance theta / (1 - n)^3. Distribution: Kolmogorov distance
    # below 1.63 / sqrt(300), its 1 % point (conservative for whole numbers).
    seeds = 300
    sizes, theta = cascade_sizes(n, seeds=seeds)
    mean, spread = theta / (1.0 - n), math.sqrt(theta / (1.0 - n) ** 3 / seeds)
    assert abs(sizes.mean() - mean) < 3.0 * spread
    most = int(sizes.max())
    found = np.cumsum(np.bincount(sizes, minlength=most + 1)) / seeds
    assert np.abs(found - np.cumsum(generalised_poisson(n, theta, most))).max() < 1.63 / math.sqrt(seeds)
    assert 1.0 + sizes.mean() * n / theta == pytest.approx(1.0 / (1.0 - n), abs=3.0 * spread * n / theta)


def test_a_mark_and_a_volatility_that_the_venue_cannot_move_leave_nothing_to_amplify():
    # Holders only: orders of their own would meet different books and change who holds what.
    people = Population(traders=400, long_leverage=12.0, short_leverage=8.0, stop_loss=0.0, reduce=0.0, top_up=0.0,
                        leverage_targeting=0.0, take_profit=0.0, order_rate=0.0)
    outside = {"price_feed": PriceFeed(mark="index", index_feedback=0.0),
               "volatility": VolatilityEstimator(source="index", sampling_seconds=5.0, half_life_seconds=60.0,
                                                 opening_volatility=0.0314)}
    full, twin = (run(population=people, margin=procyclical(1.0), twin=name, **outside) for name in (None, "T1"))
    found = outcomes(full.record(), {"T1": twin.record()})
    assert found["liquidated_accounts"] > 30
    assert found["excess_drawdown"] == 0.0
    assert found["liquidated_accounts"] == found["twin_liquidated_accounts"]


@pytest.mark.parametrize("n", [0.4, 0.6])
def test_without_refill_proximate_fractional_and_but_for_ratio_agree(n):
    # Seeds 1 to 12, events pooled: 2,481 and 5,611 of them, whose counts spread by about .012 and .008 per ratio.
    found = standing_ratios(n)
    assert max(found.proximate, found.fractional, found.but_for) - min(
        found.proximate, found.fractional, found.but_for) < 0.03
    assert found.but_for == pytest.approx(n, abs=0.03)


def test_with_refill_most_children_are_only_brought_forward():
    found = refilled_ratios(0.6, 10.0)
    assert found.proximate > 0.5 > 0.3 > found.fractional > found.but_for
    assert found.but_for < 0.15
