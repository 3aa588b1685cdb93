"""The table of market moments: its estimators on made-up data, and a quick form of the whole."""

import json
import math

import numpy as np
import pytest

from spirals.scenarios import load_scenario, run
from spirals.scenarios.calibration import market_moments as moments
from spirals.scenarios.calibration.market_experiments import (
    REFILL_LAGS,
    Design,
    Market,
    half_life,
    mean_and_error,
    metaorders,
    return_facts,
    round_trips,
)

SMALL = Design(seeds=2, hours=0.3, episodes=3, sizes=(1.0, 8.0))


@pytest.fixture(scope="module")
def rows():
    return {row["moment"]: row for row in moments.measure(["calm"], moments.QUICK)}


def test_half_life_is_where_half_of_the_gap_has_closed():
    lags = np.array(REFILL_LAGS, float)
    assert half_life(1 - 0.5 * np.exp(-lags / (5 / math.log(2)))) == pytest.approx(5.0)
    assert half_life(1 - 0.4 * np.maximum(1 - lags / 4, 0)) == pytest.approx(2.0)
    assert math.isnan(half_life(np.ones(len(lags)))) and math.isnan(half_life(np.full(len(lags), 0.5)))


def test_return_facts_tell_bounce_and_clustering():
    generator = np.random.default_rng(0)
    noise = generator.standard_normal(20_000)
    assert return_facts(noise)["excess_kurtosis"] == pytest.approx(0.0, abs=0.15)
    assert return_facts(np.diff(noise))["return_acf_1"] == pytest.approx(-0.5, abs=0.03)
    bursts = noise * np.tile(np.repeat([0.2, 2.0], 50), 200)
    assert return_facts(bursts)["absolute_acf_10"] > 0.1 and return_facts(bursts)["excess_kurtosis"] > 1.0


def test_error_of_a_mean_leaves_out_what_was_not_measured():
    assert mean_and_error([1.0, 3.0, math.nan]) == pytest.approx((2.0, 1.0))
    assert math.isnan(mean_and_error([])[0]) and math.isnan(mean_and_error([1.0])[1])


def test_every_moment_has_a_band_with_a_source():
    assert len({moment.name for moment in moments.MOMENTS}) == len(moments.MOMENTS)
    assert all(moment.low < moment.high and moment.source for moment in moments.MOMENTS)


def test_the_table_measures_every_moment_but_the_daily_ones(rows):
    assert set(rows) == {moment.name for moment in moments.MOMENTS}
    missing = {name for name, row in rows.items() if row["passed"] is None}
    assert missing == {"longs_liquidated_per_day", "shorts_liquidated_per_day"}
    for row in rows.values():
        assert row["passed"] is None or row["passed"] == (row["low"] <= row["measured"] <= row["high"])


def test_the_default_market_is_inside_the_bands_that_a_quick_run_can_tell(rows):
    """The regression test of the default market: the quick table (seeds 0 and 1), bands as published, no tolerance.

    Left out are kurtosis and clustering of minute returns, for which an hour and a half is too short (the law of the
    outside price is tested in test_clustered_volatility.py), and liquidations, which need days.
    """
    needs_days = {"minute_excess_kurtosis", "minute_absolute_acf_1", "minute_absolute_acf_10"}
    assert {name for name, row in rows.items() if row["passed"] is False} <= needs_days


def test_what_a_metaorder_leaves_grows_with_the_speed_at_which_the_outside_believes():
    """Same seeds and orders; with 30 s instead of 300 s several times as much enters the index."""
    slow = metaorders(Market(), SMALL)["metaorder_left_after_10x"]
    fast = metaorders(Market(changes=("price_feed.feedback_seconds=30",)), SMALL)["metaorder_left_after_10x"]
    assert slow[0] + 0.2 < fast[0]


def test_nothing_spirals_in_the_calm_scenario():
    """Seed 1, whose hour holds a jump: some accounts are cut in part, and that does not move the price by 10 bp."""
    found = run(load_scenario("calm"), seed=1, twins=["T1"]).outcomes
    assert found["liquidated_accounts"] <= 10 and found["bad_debt_gross"] == 0.0
    assert found["forced_notional"] < 0.01 * 6e8 and found["excess_drawdown"] < 1e-3


def test_round_trips_are_the_scripted_orders_alone():
    """Without the paired run the noise of the outside price would be 10 bp or more."""
    _, error = round_trips(Market(), SMALL)["round_trip_earns"]
    assert error < 3.0


def test_shipped_data_stand_beside():
    beside = moments.stream_moments()
    assert beside["depth_exponent"][0] == pytest.approx(1.32, abs=0.01)
    assert beside["minute_excess_kurtosis"][0] > 1.0 and abs(beside["minute_return_acf_1"][0]) < 0.1
    assert set(beside) <= {moment.name for moment in moments.MOMENTS}


def test_the_command_prints_a_table_or_one_json_document(capsys, monkeypatch):
    monkeypatch.setattr(moments, "QUICK", SMALL)
    monkeypatch.setattr(moments, "stream_moments", dict)
    assert moments.main(["--depth", "calm", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert len(answer["moments"]) == len(moments.MOMENTS) and answer["moments"][0]["depth"] == "calm"
    assert moments.main(["--depth", "calm"]) == 0
    assert "moments inside their band" in capsys.readouterr().out
