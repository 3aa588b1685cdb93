"""The exact laws behind validation rows, where they can be written down by hand."""

import math

import numpy as np
import pytest

from spirals.scenarios.validation import select_cases
from spirals.scenarios.validation.maker_law import maker_law
from spirals.scenarios.validation.race_law import RaceLaw, reach_probability, time_alone
from spirals.scenarios.validation.value_funds_law import noise_cash, opening_prices
from spirals.simulation.errors import InputError


def test_two_queues_of_one_order_that_nobody_joins_race_as_two_exponentials():
    law = RaceLaw(0.0, 0.3, 0.5)
    assert law.rise_probability(1, 1) == pytest.approx(0.5, rel=1e-12)
    assert law.mean_time(1, 1) == pytest.approx(1.0 / 1.6, rel=1e-12)
    # (1, 2): an event of the ask queue (rate 1.3 of 2.1) leads to (1, 1), one of the bid queue ends the race
    assert law.rise_probability(1, 2) == pytest.approx(1.3 / 2.1 * 0.5, rel=1e-12)
    assert law.mean_time(1, 2) == pytest.approx(1.0 / 2.1 + 1.3 / 2.1 / 1.6, rel=1e-12)
    assert time_alone(0.0, 0.3, 0.5, 2) == pytest.approx(1.0 / 0.8 + 1.0 / 1.3, rel=1e-12)


def test_a_race_ends_before_a_queue_alone_would_and_the_shorter_queue_empties_first():
    law = RaceLaw(1.85, 0.94, 0.71)
    assert law.mean_time(1, 1) < time_alone(1.85, 0.94, 0.71, 1) < time_alone(1.85, 0.94, 0.71, 2)
    assert law.rise_probability(1, 5) < law.rise_probability(1, 2) < 0.5
    assert law.rise_probability(1, 5) + law.rise_probability(5, 1) == pytest.approx(1.0, abs=1e-12)
    assert reach_probability(1.85, 0.94, 0.71, 5) < 1e-12 < reach_probability(2.0, 1.0, 1e-6, 5)


def test_queues_that_hardly_ever_empty_are_bad_input():
    with pytest.raises(InputError, match="queues grow faster than they are emptied"):
        select_cases(["order-book"], ["limit_rate=20"])


def test_a_maker_with_symmetric_quotes_has_independent_steps():
    gamma, volatility, k, rate, steps = 0.3, 1.5, 1.2, 60.0, 80
    law = maker_law(gamma, volatility, k, rate, steps, 0.0)
    left = 1.0 - np.arange(steps) / steps
    half = 0.5 * gamma * volatility**2 * left + math.log(1.0 + gamma / k) / gamma
    fills = np.minimum(rate / steps * np.exp(-k * half), 1.0)
    growth = np.cumsum(2.0 * fills * (1.0 - fills))     # variance of the inventory after each step
    assert law.inventory.mean == pytest.approx(0.0, abs=1e-12)
    assert law.inventory.sd == pytest.approx(math.sqrt(growth[-1]), rel=1e-10)
    assert law.profit.mean == pytest.approx(float(np.sum(2.0 * fills * half)), rel=1e-10)
    earned = float(np.sum(2.0 * fills * (1.0 - fills) * half**2))
    assert law.profit.sd == pytest.approx(math.sqrt(earned + volatility**2 / steps * growth.sum()), rel=1e-10)


def test_inventory_is_kept_smaller_the_more_the_maker_skews_his_quotes():
    sds = [maker_law(0.1, 2.0, 1.5, 140.0, 200, skew).inventory.sd for skew in (0.0, 0.5, 1.0)]
    assert sds[0] > sds[1] > sds[2]


def test_the_standard_errors_are_those_of_samples_of_the_law():
    law = maker_law(0.1, 2.0, 1.5, 140.0, 200, 0.0).inventory
    gaussian = law.sd / math.sqrt(2.0 * 1000)
    assert law.mean_error(1000) == pytest.approx(law.sd / math.sqrt(1000))
    assert law.sd_error(1000) == pytest.approx(gaussian, rel=0.1)


def test_opening_prices_clear_the_market_and_end_where_a_cap_binds():
    cash = noise_cash(np.array([[0.5, -0.5, -0.5]] * 3), 0.035)
    prices = opening_prices(cash, 5.0, 0.15, 10.0)
    assert prices[0, 0] == pytest.approx(cash[0, 0] / 1000.0)     # dear: funds hold nothing
    cheap = prices[0, 1]
    funds = sum(5.0 * h * (1.0 - cheap) * 2.0 for h in range(1, 11)) / cheap
    assert cash[0, 1] / cheap + funds == pytest.approx(1000.0, rel=1e-12)
    assert cash[0, 1] / 1000.0 < cheap < 1.0                        # funds hold the price up
    assert np.isnan(opening_prices(cash, 5.0, 0.15, 0.1)[:, 1:]).all()
