"""Flow, cascades, losses and the flat table of outcomes on hand-made runs."""

import dataclasses
import math

import numpy as np
import pytest
from measures_support import liquidation_rows, make_record

from spirals.simulation.measures.cascades import cascades, largest_cascade
from spirals.simulation.measures.catalogue import MEASURES, TWIN_MEASURES, unit_of
from spirals.simulation.measures.efficiency import margin_to_open_interest
from spirals.simulation.measures.forced_flow import (
    busiest_share,
    count_liquidations,
    flow_times,
    forced_flow,
    liquidated_to_open_interest,
)
from spirals.simulation.measures.losses import auto_deleveraging, losses, pnl_by_class
from spirals.simulation.measures.outcomes import outcomes
from spirals.simulation.state import ADL, Cause


def crash():
    """A fall of 20 % in six steps; two longs and one short are liquidated, one of them in two orders."""
    record = make_record([100.0, 100.0, 90.0, 80.0, 85.0, 90.0])
    record.steps["sold_notional"][2, 0, Cause.LIQUIDATION] = 900.0
    record.steps["sold_notional"][3, 0, Cause.LIQUIDATION] = 1600.0
    record.steps["bought_notional"][5, 0, Cause.LIQUIDATION] = 500.0
    record.steps["sold_notional"][3, 0, Cause.STOP_LOSS] = 1000.0
    record.steps["sold_notional"][3, 0, Cause.VOLUNTARY] = 7777.0
    record.steps["open_interest"][-1] = 500
    rows = liquidation_rows([(0, 2, 0, 6, -100, 900.0), (0, 3, 0, 6, -50, 400.0), (1, 3, 1, 8, -150, 1200.0),
                             (2, 5, 0, 7, 56, 500.0)])
    rows["fee"] = [10.0, 0.0, 5.0, 5.0]
    record.totals["bad_debt"][3] = 120.0
    record.totals["fund"][3:] = [20.0, 25.0, 30.0]
    return dataclasses.replace(record, liquidations=rows)


def test_forced_flow_counts_forced_causes_on_both_sides_and_nothing_else():
    assert forced_flow(crash()).tolist() == [0.0, 0.0, 900.0, 2600.0, 0.0, 500.0]


def test_forced_flow_times_are_since_the_opening():
    flow = np.array([0.0, 0.0, 10.0, 40.0, 40.0, 10.0])
    assert flow_times(flow, 2.0) == [4.0, 6.0, 8.0]
    assert flow_times(flow, 2.0, (1.0,)) == [10.0]
    assert all(math.isnan(time) for time in flow_times(np.zeros(4), 1.0))


def test_busiest_seconds_do_not_depend_on_the_length_of_a_step():
    flow = np.array([0.0] + [1.0] * 80 + [6.0] * 10 + [1.0] * 10)
    assert busiest_share(flow, 1.0) == 60 / 150
    quarter = np.concatenate([[0.0], np.repeat(flow[1:] / 4, 4)])
    assert busiest_share(quarter, 0.25) == pytest.approx(60 / 150)
    five = np.concatenate([[0.0], flow[1:].reshape(-1, 5).sum(axis=1)])
    assert busiest_share(five, 5.0) == pytest.approx(60 / 150)


def test_accounts_events_orders_and_notional_are_counted_separately():
    count = count_liquidations(crash())
    assert (count.accounts, count.events, count.orders, count.notional) == (3, 3, 4, 3000.0)
    assert count.long_share == 2500 / 3000


def test_liquidations_against_open_interest_are_shares_of_quantity():
    # 100 + 50 + 150 + 56 lots of 1,000 open; open interest fell by 500 lots.
    assert liquidated_to_open_interest(crash()) == pytest.approx((0.356, 356 / 500))
    quiet = make_record([100.0, 100.0])
    to_opening, to_change = liquidated_to_open_interest(quiet)
    assert to_opening == 0.0 and math.isnan(to_change)


def test_cascades_split_where_no_event_starts_for_the_gap():
    record = crash()
    one = cascades(record, gap_seconds=3.0)
    assert [(c.events, c.accounts, c.orders, c.notional, c.duration_seconds, c.rounds) for c in one] == [
        (3, 3, 4, 3000.0, 4.0, 4)
    ]
    two = cascades(record, gap_seconds=2.0)
    assert [(c.events, c.orders, c.notional, c.duration_seconds) for c in two] == [
        (2, 3, 2500.0, 2.0), (1, 1, 500.0, 1.0),
    ]
    assert largest_cascade(two) is two[0]


def test_late_orders_of_an_event_stay_with_its_cascade():
    rows = liquidation_rows([(4, 1, 0, 1, -1, 1.0), (5, 100, 0, 2, -1, 1.0), (4, 101, 0, 1, -1, 8.0)])
    found = cascades(dataclasses.replace(crash(), liquidations=rows))
    assert [(c.events, c.notional) for c in found] == [(1, 9.0), (1, 1.0)]


def test_no_liquidation_is_no_cascade():
    assert cascades(make_record([1.0, 1.0])) == []
    assert largest_cascade([]).events == 0


def test_bad_debt_gross_and_net_and_the_fund():
    loss = losses(crash())
    assert (loss.bad_debt_gross, loss.bad_debt_net) == (120.0, 100.0)
    assert (loss.fund_change, loss.fund_draw) == (-20.0, 30.0)


def test_auto_deleveraging_haircut_is_the_gap_between_bankruptcy_price_and_mark():
    rows = np.zeros(2, ADL)
    rows["event"], rows["step"], rows["counterparty"] = 1, 4, [7, 8]
    rows["lots"] = [-30, -20]  # a bankrupt long is closed; the shorts who are cut buy back at 95, not at 80
    rows["price"], rows["mark"] = 95.0, 80.0
    found = auto_deleveraging(dataclasses.replace(crash(), adl=rows))
    assert (found.events, found.accounts, found.lots, found.onset_seconds) == (1, 2, 50, 2.0)
    assert found.notional == pytest.approx(50 * 0.1 * 95)
    assert found.excess_haircut == pytest.approx(50 * 0.1 * 15)


def test_profit_by_class_splits_traders_by_opening_side_and_sums_to_zero():
    change = np.array([1.0, -2.0, 0.0, 0.0, 4.0, 7.0, -60.0, 40.0, 10.0])
    deposits = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 25.0, 0.0, 0.0])
    record = make_record([1.0, 1.0])
    record = dataclasses.replace(record, closing_equity=record.opening_equity + change + deposits, deposits=deposits)
    pnl = pnl_by_class(record)
    assert (pnl["trader_long"], pnl["trader_short"], pnl["trader_flat"], pnl["maker"]) == (-60.0, 40.0, 10.0, 7.0)
    assert math.fsum(pnl.values()) == pytest.approx(0.0, abs=1e-12)


def test_margin_of_both_sides_over_open_interest_is_twice_the_rate():
    record = make_record([100.0, 100.0])  # 1,000 lots of 0.1 at 100: 10,000 quote; 10 % from each side
    assert margin_to_open_interest(record) == pytest.approx(0.20)


def test_outcomes_are_exactly_the_catalogue():
    record = crash()
    assert list(outcomes(record)) == [name for name in MEASURES if name not in TWIN_MEASURES]
    assert list(outcomes(record, {"T1": record})) == list(MEASURES)
    assert all(unit_of(name) for name in MEASURES)


def test_outcomes_are_nan_only_where_the_catalogue_says_so():
    for record in (crash(), make_record([100.0, 100.0, 100.0])):
        undefined = [name for name, value in outcomes(record, {"T1": record}).items() if math.isnan(value)]
        assert [name for name in undefined if "NaN" not in MEASURES[name]] == []


def test_a_twin_that_is_the_run_itself_has_no_excess():
    record = crash()
    result = outcomes(record, {"T1": record, "T2": record})
    assert [name for name, value in result.items() if name.startswith("excess_") and value != 0.0] == []
    assert result["amplification"] == 1.0
    assert result["T2_drawdown_mark"] == result["drawdown_mark"]


def test_excess_is_run_less_twin():
    result = outcomes(crash(), {"T1": make_record([100.0, 100.0, 95.0, 90.0, 92.0, 95.0])})
    assert result["excess_drawdown"] == math.log(100 / 80) - math.log(100 / 90)
    assert (result["excess_forced_notional"], result["excess_bad_debt"]) == (4000.0, 120.0)
    assert result["twin_drawdown_mark"] == math.log(100 / 90)


def test_two_instruments_add_up_in_notional_while_prices_are_those_of_the_first():
    one = crash()
    steps = np.concatenate([one.steps, one.steps], axis=1)
    steps["mark"][:, 1] = 10.0
    both = dataclasses.replace(
        one, steps=steps, instruments=one.instruments * 2, opening_open_interest_lots=np.array([1000, 1000])
    )
    result = outcomes(both)
    assert result["forced_notional"] == 8000.0
    assert result["drawdown_mark"] == math.log(100 / 80)


def test_a_record_with_arrays_of_different_length_is_refused():
    record = make_record([1.0, 1.0])
    with pytest.raises(ValueError, match="totals must have 2 rows"):
        dataclasses.replace(record, totals=record.totals[:1])
