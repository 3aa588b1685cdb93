"""Funding: rate by hand, timing by the clock, and money that only changes hands."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spirals.simulation.contracts import Instrument
from spirals.simulation.market.constant import ConstantPrice
from spirals.simulation.market.feed_state import FEED_STATE
from spirals.simulation.market.funding import Funding, pay_funding
from spirals.simulation.market.market import Market
from spirals.simulation.market.price_feed import PriceFeed
from spirals.simulation.market.volatility import VolatilityEstimator
from spirals.simulation.state import ACCOUNT, CONTRACT, FEES_ROW, MARKET, POSITION, Mode


def test_rate_is_interest_inside_the_clamp_and_premium_outside() -> None:
    funding = Funding(interest_rate=0.0001, clamp=0.0005, cap=0.003)
    assert funding.rate(0.0) == pytest.approx(0.0001)
    assert funding.rate(0.0004) == pytest.approx(0.0001)       # |I - P| = .0003 < clamp: P cancels
    assert funding.rate(0.0010) == pytest.approx(0.0005)       # P - clamp
    assert funding.rate(-0.0010) == pytest.approx(-0.0005)     # P + clamp
    assert funding.rate(0.0100) == 0.003 and funding.rate(-0.01) == -0.003
    assert Funding(kind="none").rate(0.01) == 0.0


def market(opening_seconds: float, funding: Funding, n_steps: int = 100) -> Market:
    return Market([Instrument()], ConstantPrice(100.0), (), PriceFeed(index_feedback=0.0), VolatilityEstimator(),
                  funding, n_steps, 1.0, 0, opening_seconds)


def test_interval_ends_at_whole_multiples_of_the_day_and_premium_is_its_mean() -> None:
    run = market(8 * 3600 - 10.0, Funding(interval_seconds=8 * 3600))
    due = []
    for step in range(1, 31):
        run.record["mid"] = 101.0 if step <= 5 else 102.0  # known to the venue in this step
        run.advance(step)
        if run.funding_due:
            due.append(step)
    assert due == [10]
    # Five steps at 1 %, five at 2 %: mean premium 1.5 %; cut to the cap of .3 %.
    assert run.record["funding_rate"][0] == 0.003
    wide = market(8 * 3600 - 10.0, Funding(interval_seconds=8 * 3600, cap=1.0))
    for step in range(1, 11):
        wide.record["mid"] = 101.0 if step <= 5 else 102.0
        wide.advance(step)
    assert wide.record["premium"][0] == pytest.approx(0.015)
    assert wide.record["funding_rate"][0] == pytest.approx(0.015 - 0.0005)
    wide.record["mid"] = 100.0
    wide.advance(11)
    assert wide.record["premium"][0] == 0.0 and not wide.funding_due  # a new interval starts empty


def test_no_funding_is_ever_due_when_there_is_none() -> None:
    run = market(28_790.0, Funding(kind="none"))
    run.record["mid"] = 105.0
    assert not any(run.advance(step) and run.funding_due for step in range(1, 100))
    assert run.record["premium"][0] == run.record["funding_rate"][0] == 0.0


def ledger(n: int, lots: list[int], mark: float, rate: float) -> tuple[np.ndarray, ...]:
    accounts, positions = np.zeros(n, ACCOUNT), np.zeros((n, 1), POSITION)
    contracts, row, feed = np.zeros(1, CONTRACT), np.zeros(1, MARKET), np.zeros(1, FEED_STATE)
    positions["lots"][1:, 0] = lots
    contracts["lot_value"] = 1000.0
    row["mark"], row["funding_rate"], feed["funding_due"] = mark, rate, 1
    return accounts, positions, contracts, row, feed


def test_longs_pay_shorts_on_the_notional_at_the_mark() -> None:
    accounts, positions, contracts, row, feed = ledger(4, [30, -10, -20], mark=50.0, rate=0.001)
    accounts["mode"][3] = Mode.ISOLATED
    pay_funding(accounts, positions, contracts, row, feed)
    # 30 lots * 50 * 1000 atoms * .001 = 1,500 atoms; shorts receive 500 and 1,000.
    assert accounts["cash"].tolist() == [0, -1500, 500, 0]
    assert positions["collateral"][:, 0].tolist() == [0, 0, 0, 1000]
    assert positions["funding"][:, 0].tolist() == [0, -1500, 500, 1000]
    assert pay_funding(accounts, positions, contracts, row, feed) == 0  # once per interval
    assert accounts["cash"].tolist() == [0, -1500, 500, 0]


@settings(max_examples=100)
@given(
    lots=st.lists(st.integers(-(10**7), 10**7), min_size=1, max_size=30),
    isolated=st.integers(0, 2**30),
    mark=st.floats(0.01, 1e5),
    rate=st.floats(-0.01, 0.01),
)
def test_funding_conserves_money_to_the_atom(lots: list[int], isolated: int, mark: float, rate: float) -> None:
    lots = [*lots, -sum(lots)]
    accounts, positions, contracts, row, feed = ledger(len(lots) + 1, lots, mark, rate)
    accounts["mode"][1:] = [isolated >> (k % 30) & 1 for k in range(len(lots))]
    remainder = pay_funding(accounts, positions, contracts, row, feed)
    assert accounts["cash"].sum() + positions["collateral"].sum() == 0
    assert positions["funding"].sum() == 0
    assert accounts["cash"][FEES_ROW] == remainder
    assert abs(remainder) <= len(lots)  # at most half an atom of rounding each, and float error of the products
    assert np.array_equal(positions["lots"][1:, 0], lots)


def test_market_pays_only_in_the_step_in_which_an_interval_ends() -> None:
    run = market(28_795.0, Funding(cap=1.0))
    accounts, positions, contracts, _, _ = ledger(3, [10, -10], 100.0, 0.0)
    run.record["mid"] = 101.0
    run.record["last"] = 100.0
    paid_at = []
    for step in range(1, 20):
        run.advance(step)
        before = accounts["cash"].copy()
        run.pay_funding(accounts, positions, contracts)
        if not np.array_equal(before, accounts["cash"]):
            paid_at.append((step, float(run.record["mark"][0])))
    ((step, mark),) = paid_at
    # Premium 1 % less the clamp of .05 %; 10 lots * mark * 1000 atoms.
    amount = round(10 * mark * 1000 * 0.0095)
    assert step == 5 and accounts["cash"].tolist() == [0, -amount, amount]
