"""Genealogy: who set off whom, on hand-made courses with known answers and on whole runs."""

import dataclasses
import math
import re

import numpy as np
import pandas as pd
import pytest
from measures_support import make_record

from spirals.agents.model import SpiralModel
from spirals.scenarios import load_scenario
from spirals.scenarios.reports.genealogy import genealogy_body
from spirals.scenarios.results.run_tables import event_table
from spirals.simulation.engine import TWINS
from spirals.simulation.measures.genealogy import (
    EARLIER,
    EVENT,
    EXTRA,
    SAME,
    SHARES,
    Genealogy,
    ImpactKernel,
    genealogy,
)
from spirals.simulation.measures.genealogy.account_terms import FundingPaid, terms_of
from spirals.simulation.measures.genealogy.course import thinning
from spirals.simulation.measures.genealogy.crossing import FROM_FUNDING, FROM_MARGIN, ROOT
from spirals.simulation.measures.genealogy.forced_trades import first_orders
from spirals.simulation.open_loop import Taping
from spirals.simulation.phase_log import PHASE, PhaseLog
from spirals.simulation.state import LIQUIDATION, SELL, STEP, TRADE, Cause

RATE = 0.05     # maintenance of make_record
LOTS = 50       # of every hand-made account, .1 base each
FIRST, SECOND = 6, 7


def order(event, account, step, round_, mark, threshold, instrument=0, side=1):
    """Return the LIQUIDATION row of the first order of an account that is due at `threshold`."""
    row = np.zeros(1, LIQUIDATION)
    row["event"], row["account"], row["step"], row["round"] = event, account, step, round_
    row["instrument"], row["lots"], row["mark"] = instrument, -side * LOTS, mark
    row["filled_lots"], row["notional"] = -side * LOTS, LOTS * 0.1 * mark
    row["bankruptcy_price"] = threshold * (1.0 - side * RATE)
    row["equity"] = side * LOTS * 0.1 * (mark - row["bankruptcy_price"])
    row["maintenance"] = RATE * LOTS * 0.1 * mark
    return row


def sale(event, step, round_, price, cause=Cause.LIQUIDATION, instrument=0, taker=FIRST):
    """Return the step and the TRADE row of a forced sale."""
    row = np.zeros(1, TRADE)
    row["taker_event"], row["round"], row["lots"], row["side"] = event, round_, LOTS, SELL
    row["price_ticks"], row["taker_cause"], row["taker"] = round(price / 0.5), cause, taker
    row["maker"], row["instrument"] = 5, instrument
    return step, row


def phase(step, round_, mark, exogenous, instrument=0):
    row = np.zeros(1, PHASE)
    row["step"], row["round"], row["instrument"] = step, round_, instrument
    row["mark"], row["exogenous"] = mark, exogenous
    return row


def trace(phases, orders, sales, twin_marks, twin_orders=(), **changes):
    """Return the genealogy of a course: `twin_marks` holds its mark by step, before and after trading alike."""
    phases = np.concatenate(phases)
    last = {int(row["step"]): row["mark"] for row in phases[phases["instrument"] == 0]}
    record = make_record([last[step] for step in sorted(last)], liquidations=np.concatenate(
        [np.zeros(0, LIQUIDATION), *orders]), **changes)
    twin = make_record(twin_marks, liquidations=np.concatenate([np.zeros(0, LIQUIDATION), *twin_orders]),
                       step_seconds=record.step_seconds)
    trades = np.concatenate([np.zeros(0, TRADE), *(row for _, row in sales)])
    return genealogy(record, twin, phases, trades, np.array([step for step, _ in sales], np.int64),
                     np.array(twin_marks, float)[:, None])


# The outside falls to 97.5, below the first account's 98; its sale takes the mark to 95.5, below the second one's 96.
PHASES = [phase(0, -1, 100.0, 100.0), phase(1, -1, 97.5, 97.5), phase(1, 0, 95.5, 97.5), phase(1, 1, 95.5, 97.5),
          phase(2, -1, 95.5, 97.5), phase(2, 0, 95.5, 97.5)]
ORDERS = [order(0, FIRST, 1, 0, 97.5, 98.0), order(1, SECOND, 1, 1, 95.5, 96.0)]
SALES = [sale(0, 1, 0, 96.0), sale(1, 1, 1, 95.5, taker=SECOND)]
TWIN = [100.0, 97.5, 97.5]


def test_a_sale_that_crosses_the_next_threshold_is_its_parent_and_gets_the_way_it_made():
    found = trace(PHASES, ORDERS, SALES, TWIN, [ORDERS[0]])
    first, second = found.events
    assert (first["parent"], first["reason"], first["generation"]) == (-1, ROOT, 0) and first["shock"] == 1.0
    assert (second["parent"], second["generation"], second["tree"]) == (0, 1, 0)
    assert list(found.events["threshold"]) == pytest.approx([98.0, 96.0])
    way = math.log(100.0 / 95.5)
    assert second["shock"] == pytest.approx(math.log(100.0 / 97.5) / way)
    assert second["liquidations"] == pytest.approx(math.log(97.5 / 95.5) / way) == first["offspring"]
    assert found.proximate_ratio == 0.5 and found.fractional_ratio == pytest.approx(second["liquidations"] / 2.0)


def test_the_mirrored_course_of_shorts_has_the_same_family():
    def up(price):
        return 1e4 / price   # the same log distances upwards

    phases = np.concatenate(PHASES)
    for name in ("mark", "exogenous"):
        phases[name] = up(phases[name])
    orders = [order(0, FIRST, 1, 0, up(97.5), up(98.0), side=-1), order(1, SECOND, 1, 1, up(95.5), up(96.0), side=-1)]
    sales = [sale(0, 1, 0, 104.0), sale(1, 1, 1, 105.0, taker=SECOND)]
    for _, row in sales:
        row["side"] = -SELL
    found = trace([phases], orders, sales, [up(price) for price in TWIN])
    plain = trace(PHASES, ORDERS, SALES, TWIN)
    assert list(found.events["parent"]) == [-1, 0] and list(found.events["side"]) == [-1, -1]
    assert list(found.events["shock"]) == pytest.approx(list(plain.events["shock"]))


def test_who_the_outside_crossed_has_no_parent_even_if_it_is_processed_after_others():
    orders = [ORDERS[0], order(1, SECOND, 1, 1, 95.5, 97.8)]   # 97.5 of the outside is below 97.8 already
    second = trace(PHASES, orders, SALES, TWIN).events[1]
    assert (second["parent"], second["reason"], second["crossed_round"]) == (-1, ROOT, -1)
    assert second["shock"] == 1.0 and second["liquidations"] == 0.0


def later(mark, exogenous):
    """Return a course in which the second account's threshold of 96 is crossed before the trading of step 2."""
    phases = [*PHASES[:2], phase(1, 0, 96.2, 97.5), phase(2, -1, mark, exogenous), phase(2, 0, mark, exogenous)]
    return phases, [ORDERS[0], order(1, SECOND, 2, 0, mark, 96.0)], [SALES[0], sale(1, 2, 0, 95.5, taker=SECOND)]


def test_a_mark_that_catches_up_with_earlier_sales_makes_their_child_and_one_that_follows_the_outside_does_not():
    caught_up = trace(*later(95.8, 97.5), TWIN).events[1]
    assert caught_up["parent"] == 0
    outside = trace(*later(95.8, 97.0), TWIN).events[1]
    assert (outside["parent"], outside["reason"]) == (-1, ROOT)
    lagged = trace(*later(95.8, 97.5), [100.0, 97.5, 97.0]).events[1]   # the twin's mark says that it is the outside
    assert (lagged["parent"], lagged["reason"]) == (-1, ROOT)


def rising(rate):
    """Return STEP rows of the course `later` whose maintenance rate rises to `rate` in step 2."""
    steps = make_record([100.0, 96.2, 95.8]).steps
    steps["maintenance_rate"][2] = rate
    return steps


def due_after_the_rise(rate, exogenous):
    phases, orders, sales = later(96.1, exogenous)
    orders[1]["bankruptcy_price"] = 96.0 * (1.0 - RATE)
    orders[1]["maintenance"] = rate * LOTS * 0.1 * 96.1
    orders[1]["equity"] = LOTS * 0.1 * (96.1 - 96.0 * (1.0 - RATE))
    return trace(phases, orders, sales, TWIN, steps=rising(rate)).events[1]


def test_a_rise_of_the_rate_is_no_parent_and_neither_is_it_together_with_the_outside():
    alone = due_after_the_rise(0.06, 97.5)        # threshold 97.0
    assert (alone["parent"], alone["reason"]) == (-1, FROM_MARGIN) and alone["margin"] > 0.0
    together = due_after_the_rise(0.0515, 97.4)   # threshold 96.15, above it 96.2, to 96.10 by the outside
    assert (together["parent"], together["reason"]) == (-1, FROM_MARGIN)


def test_funding_moves_the_threshold_and_gets_its_share():
    phases = [phase(0, -1, 100.0, 100.0), phase(1, -1, 99.0, 99.0), phase(1, 0, 99.0, 99.0), phase(2, -1, 99.0, 99.0)]
    phases[1]["funding_due"] = phases[2]["funding_due"] = 1
    steps = make_record([100.0, 99.0, 99.0]).steps
    steps["mark"][:, 0], steps["funding_rate"] = [100.0, 99.0, 99.0], 0.01
    event = trace(phases, [order(0, FIRST, 2, 0, 99.0, 99.5)], [], [100.0, 99.0, 99.0], steps=steps).events[0]
    assert (event["parent"], event["reason"]) == (-1, FROM_FUNDING)
    price = 99.5 * (1.0 - RATE)
    paid = math.log(price / (price - 0.01 * 99.0))   # 1 % of the mark, per unit held
    assert event["funding"] == pytest.approx(paid / (paid + math.log(100.0 / 99.0)))
    assert event["shock"] + event["funding"] == pytest.approx(1.0)


def test_half_of_the_impact_is_the_thinner_books_where_half_of_the_depth_is_gone():
    marks = [100.0, 100.0, 100.0, 95.5, 95.5]
    steps = make_record(marks).steps
    steps["depth_bid"][2, 0, 2] = 500.0    # of 1,000; with steps of a minute step 3 reads the end of step 2
    phases = [phase(step, -1, 100.0, 100.0) for step in range(3)]
    phases += [phase(3, -1, 97.5, 97.5), phase(3, 0, 95.5, 97.5), phase(3, 1, 95.5, 97.5), phase(4, -1, 95.5, 97.5)]
    orders = [order(0, FIRST, 3, 0, 97.5, 98.0), order(1, SECOND, 3, 1, 95.5, 96.0)]
    found = trace(phases, orders, [sale(0, 3, 0, 96.0), sale(1, 3, 1, 95.5)], [100.0] * 3 + [97.5] * 2, steps=steps,
                  step_seconds=60.0)
    second = found.events[1]
    assert second["withdrawal"] == pytest.approx(second["liquidations"]) and second["liquidations"] > 0.1
    assert found.events["offspring"][0] == pytest.approx(2.0 * second["liquidations"])   # all that it did
    assert sum(second[name] for name in SHARES) == pytest.approx(1.0, abs=1e-12)


def test_depth_is_gone_on_the_side_that_an_order_takes_and_not_where_there_is_no_mid():
    record = make_record([100.0] * 4, step_seconds=60.0)
    record.steps["depth_bid"][2, 0, 2] = 250.0
    assert list(thinning(record, 0, -1)) == [0.0, 0.0, 0.0, 0.75] and not thinning(record, 0, 1).any()
    record.steps["spread"][2] = np.nan    # a side was empty: the minute before counts
    assert not thinning(record, 0, -1).any()
    record.steps["spread"] = np.nan
    assert not thinning(record, 0, -1).any()


def test_other_forced_sales_of_a_step_count_only_where_they_came_before():
    phases, orders, sales = later(95.8, 97.5)
    stop = sale(-1, 2, 0, 95.5, Cause.STOP_LOSS)
    assert trace(phases, orders, [*sales, stop], TWIN).events[1]["other_forced"] == 0.0
    stop = sale(-1, 1, 0, 95.5, Cause.STOP_LOSS)
    event = trace(phases, orders, [stop, *sales], TWIN).events[1]
    assert event["other_forced"] == pytest.approx(event["liquidations"], rel=0.01) and event["other_forced"] > 0.0


def test_the_twin_says_who_is_extra_who_earlier_and_who_averted():
    orders = [ORDERS[0], ORDERS[1], order(2, 8, 1, 1, 95.5, 96.0), order(3, FIRST, 2, 0, 95.5, 97.0)]
    twin = [order(0, FIRST, 1, 0, 97.5, 98.0), order(1, 8, 2, 0, 97.5, 97.6), order(2, 3, 2, 0, 97.5, 97.6)]
    found = trace(PHASES, orders, SALES, TWIN, twin)
    assert list(found.events["but_for"]) == [SAME, EXTRA, EARLIER, EXTRA]   # the first one falls there only once
    assert found.averted == 1 and found.but_for_ratio == (2 - 1) / 4
    assert list(found.first_times()["but_for"]) == [SAME, EXTRA, EARLIER] and found.averted_accounts == 1


def test_instruments_do_not_mix():
    one = make_record([100.0, 95.5, 95.5])
    steps = np.zeros((3, 2), STEP)
    steps[:, :1] = one.steps
    steps[:, 1:] = make_record([100.0] * 3).steps
    record = dataclasses.replace(
        one, steps=steps, instruments=one.instruments * 2, opening_open_interest_lots=np.array([1000, 1000]),
        liquidations=np.concatenate([*ORDERS, order(2, 8, 1, 1, 100.0, 101.0, instrument=1)]))
    twin = dataclasses.replace(record, steps=steps.copy(), liquidations=ORDERS[0])
    twin.steps["mark"][:, 0] = TWIN
    phases = np.concatenate([*PHASES, *(phase(int(row["step"][0]), int(row["round"][0]), 100.0, 100.0, 1)
                                        for row in PHASES)])
    trades = np.concatenate([row for _, row in SALES])
    found = genealogy(record, twin, phases, trades, np.array([1, 1]), twin.steps["mark"])
    alone = trace(PHASES, ORDERS, SALES, TWIN, [ORDERS[0]])
    for name in EVENT.names or ():
        assert list(found.events[name][:2]) == list(alone.events[name]), name
    third = found.events[2]    # below its threshold from the opening: the sales elsewhere have no part in it
    assert (third["parent"], third["own"], third["liquidations"]) == (-1, 1.0, 0.0)


def test_nobody_liquidated_is_an_empty_tree_without_ratios():
    found = trace(PHASES, [], [], TWIN)
    ratios = (found.proximate_ratio, found.fractional_ratio, found.but_for_ratio, found.path_ratio(1.0))
    assert all(math.isnan(ratio) for ratio in ratios)
    assert [len(table) for table in (found.events, found.generations(), found.generation_ratios(),
                                     found.tree_sizes())] == [0, 0, 0, 0]


def test_the_ratio_along_the_path_leaves_out_windows_with_few_events_or_little_notional():
    events = np.zeros(60, EVENT)
    events["step"] = np.repeat([10, 70, 130], [40, 5, 15])
    events["notional"], events["parent"] = 1.0, -1
    events["parent"][:20] = events["parent"][40:] = 0
    family = Genealogy(events, 0, ImpactKernel(0.0, 0.0, 1.0, 0.0))
    peak = family.path_peak(1.0, least=20)
    assert (peak.ratio.estimate, peak.ratio.n, peak.seconds) == (0.5, 40, 0.0)
    assert peak.ratio.low == pytest.approx(0.352, abs=1e-3)   # Wilson (1927): (.5 + z2/80 -+ z sqrt(...)) / (1 + z2/40)
    assert family.path_peak(1.0, least=1).seconds == 120.0    # 15 of 15 bound the ratio better than 5 of 5
    assert family.path_ratio(1.0, least=15) == 1.0
    events["notional"][40:] = 1e-9
    assert family.path_ratio(1.0, least=1) == 0.5
    assert math.isnan(family.path_ratio(1.0, least=41))


def test_the_report_tells_accounts_from_liquidations_and_the_ratio_with_its_count():
    rows = np.zeros(30, EVENT)
    rows["account"] = np.repeat([1, 2], 15)     # two accounts that fall again and again
    rows["event"], rows["notional"], rows["shock"], rows["parent"] = np.arange(30), 1.0, 1.0, -1
    rows["tree"], rows["but_for"] = rows["event"], SAME
    rows["but_for"][16:] = EXTRA
    steps = pd.DataFrame({"step": [0, 50], "seconds": [0.0, 50.0]})
    page = genealogy_body({"genealogy": {"averted": 3, "averted_accounts": 0}}, event_table(rows), steps)
    assert "30 liquidations of 2 accounts" in page and "of 30 liquidations in the minute from 0 min" in page
    assert re.search(r"extra\D+0\D+14\D+earlier", re.sub("<[^>]*>", " ", page))
    few = genealogy_body({"genealogy": {}}, event_table(rows[:5]), steps)
    assert "there is no such window" in few


def played(name, overrides=()):
    """Return the finished run of a scenario and all that its genealogy is made from."""
    scenario = load_scenario(name, overrides=list(overrides))
    log, tape = PhaseLog(), Taping()
    model = SpiralModel(setup=scenario, rng=1, collect_every=0, trades=True, loop=log)
    model.run()
    engine = dataclasses.replace(scenario.engine, **TWINS["T1"][1])
    twin = SpiralModel(setup=dataclasses.replace(scenario, engine=engine), rng=1, collect_every=0, loop=tape)
    twin.run()
    kept = np.array(model.core.recorder.trade_steps, np.int64).reshape(-1, 2)
    return model.core, (model.core.record(), twin.core.record(), log.phases, model.core.recorder.trades.rows,
                        np.repeat(kept[:, 0], kept[:, 1]), tape.tape["mark"])


@pytest.fixture(scope="module")
def crash():
    return played("flash-crash", ["steps=900"])


@pytest.fixture(scope="module", params=["flash-crash", "black-thursday-2020"])
def family(request, crash):
    inputs = crash[1] if request.param == "flash-crash" else played(request.param, ["steps=1500"])[1]
    return genealogy(*inputs)


def test_the_shares_of_every_liquidation_sum_to_one(family):
    assert len(family.events) > 100
    assert np.abs(sum(family.events[name] for name in SHARES) - 1.0).max() < 1e-12
    given = family.events["liquidations"].sum()
    assert given < family.events["offspring"].sum() <= given + family.events["withdrawal"].sum() + 1e-9


def test_trees_partition_the_liquidations_and_a_child_is_one_generation_on(family):
    events = family.events
    place = {int(event): k for k, event in enumerate(events["event"])}
    for row in events:
        if row["parent"] < 0:
            assert (row["generation"], row["tree"]) == (0, row["event"])
        else:
            parent = events[place[int(row["parent"])]]
            assert (row["generation"], row["tree"]) == (parent["generation"] + 1, parent["tree"])
            assert (parent["step"], parent["round"]) < (row["step"], row["round"])
    sizes, generations = family.tree_sizes(), family.generations()
    assert sizes.sum() == generations.sum() == len(events) and len(sizes) == generations[0] < len(events)
    assert family.proximate_ratio == pytest.approx(1.0 - generations[0] / len(events))


def test_other_names_for_the_accounts_change_nothing(crash):
    record, twin, phases, trades, steps, marks = crash[1]
    names = np.random.default_rng(1).permutation(len(record.kinds)).astype(np.int32)

    def renamed(table, *columns):
        table = table.copy()
        for name in columns:
            table[name] = names[table[name]]
        return table

    records = [dataclasses.replace(one, liquidations=renamed(one.liquidations, "account"),
                                   adl=renamed(one.adl, "account", "counterparty")) for one in (record, twin)]
    found = genealogy(*records, phases, renamed(trades, "taker", "maker"), steps, marks).events
    expected = renamed(genealogy(*crash[1]).events, "account")
    assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("latency", [0.0, 5.0])
def test_without_feedback_from_the_venue_nobody_has_parents_and_the_twin_says_the_same_of_all(latency):
    # Mark and volatility from an index that the venue cannot move: whatever is sold, thresholds are crossed by the
    # outside alone, also where the oracle shows it late. No stops: the twin's shadow book fills them otherwise.
    placebo = ["price_feed.mark=index", "price_feed.index_feedback=0", "volatility.source=index", "steps=900",
               "population.stop_loss=0", f"price_feed.oracle_latency_seconds={latency}"]
    found = genealogy(*played("flash-crash", placebo)[1])
    assert len(found.events) > 50
    assert found.proximate_ratio == found.fractional_ratio == 0.0 and found.generations()[0] == len(found.events)
    assert not found.events["withdrawal"].any() and not found.events["other_forced"].any()
    # Accounts that a partial liquidation restored hang on the prices of their own sales when they fall again.
    assert (found.first_times()["but_for"] == SAME).all() and found.averted_accounts == 0
    assert (found.events["but_for"] == SAME).mean() > 0.95 and found.averted < 5


def test_the_funding_that_moved_the_bankruptcy_price_is_what_the_ledger_took():
    # One payment, 310 s into the run, while accounts are being liquidated; those that fall later paid it in full.
    core, (record, _, phases, trades, steps, _) = played("flash-crash", ["opening_seconds=28490", "steps=700"])
    funding = FundingPaid(record, phases, trades, steps, 0)
    assert list(funding.steps) == [310]
    size, atom = record.instruments[0].lot_size, record.instruments[0].atom
    seen = 0
    rows = first_orders(record)
    for row in rows[np.unique(rows["account"], return_index=True)[1]]:
        terms = terms_of(row, record.price("maintenance_rate"), size, funding)
        moved = terms.bankruptcy[-1] - terms.bankruptcy[0]
        lots = row["equity"] / ((row["mark"] - row["bankruptcy_price"]) * size)
        if row["step"] > 310:
            paid = -core.positions["funding"][row["account"], 0] * atom
            assert moved * lots * size == pytest.approx(paid, rel=1e-6, abs=2.0 * atom)
            seen += paid != 0.0
        else:
            assert moved == 0.0
    assert seen > 20
