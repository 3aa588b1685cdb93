"""The ledger: cost basis, realised profit, isolated collateral, requirement brackets, acceptance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spirals.simulation.accounts.assessment import assess
from spirals.simulation.accounts.ledger import apply_fill, check_identities, equity_of
from spirals.simulation.accounts.requirement import (
    affordable_notional,
    initial_requirement,
    maintenance_requirement,
)
from spirals.simulation.accounts.top_ups import move_top_ups
from spirals.simulation.contracts import Instrument, contracts_of
from spirals.simulation.errors import ConservationError, InputError
from spirals.simulation.order_book.records import RESTING
from spirals.simulation.state import ACCOUNT, CALL, MARKET, POSITION, REQUIREMENT, Mode, Status


def ledger(n=2, mode=Mode.CROSS, cash=1_000_000):
    accounts, positions = np.zeros(n, ACCOUNT), np.zeros((n, 1), POSITION)
    accounts["cash"] = accounts["deposits"] = cash
    accounts["mode"] = mode
    accounts["call_step"] = accounts["transfer_step"] = -1
    accounts["margined"] = 1
    return accounts, positions


def fill(accounts, positions, row, lots, price, rate=0.1):
    apply_fill(accounts[row], positions[row, 0], lots, lots * price, rate, rate / 2)


def test_buying_then_selling_half_realises_half_of_the_profit():
    accounts, positions = ledger()
    fill(accounts, positions, 0, 10, 100)
    fill(accounts, positions, 0, -5, 120)
    assert positions[0, 0]["realised_pnl"] == 5 * (120 - 100)
    assert positions[0, 0]["lots"] == 5
    assert positions[0, 0]["cost"] == 5 * 100
    assert accounts[0]["cash"] == 1_000_000 + 100


def test_a_short_that_is_bought_back_above_entry_loses_and_flips_into_a_long():
    accounts, positions = ledger()
    fill(accounts, positions, 0, -4, 50)
    fill(accounts, positions, 0, 10, 60)
    assert positions[0, 0]["realised_pnl"] == -4 * 10
    assert positions[0, 0]["lots"] == 6
    assert positions[0, 0]["cost"] == 6 * 60


def test_isolated_position_sets_margin_aside_and_returns_it_with_the_profit():
    accounts, positions = ledger(mode=Mode.ISOLATED)
    fill(accounts, positions, 0, 100, 50, rate=0.1)
    assert positions[0, 0]["collateral"] == 500
    assert accounts[0]["cash"] == 1_000_000 - 500
    fill(accounts, positions, 0, -100, 55, rate=0.1)
    assert positions[0, 0]["collateral"] == 0
    assert accounts[0]["cash"] == 1_000_000 + 500


def test_isolated_loss_beyond_the_collateral_leaves_the_wallet_alone():
    accounts, positions = ledger(mode=Mode.ISOLATED)
    fill(accounts, positions, 0, 100, 50, rate=0.1)
    fill(accounts, positions, 0, -100, 40, rate=0.1)
    assert positions[0, 0]["collateral"] == 500 - 1000
    assert accounts[0]["cash"] == 1_000_000 - 500


@pytest.mark.parametrize("price", [60, 91, 130])
def test_closing_an_isolated_position_in_ten_fills_or_in_one_leaves_the_same(price):
    # Bought 1,000 at 100 with 10 %; at 91 a tenth of the collateral is left, at 60 more than all is lost.
    ends = []
    for fills in (1, 10):
        accounts, positions = ledger(mode=Mode.ISOLATED)
        fill(accounts, positions, 0, 1000, 100, rate=0.1)
        for _ in range(fills):
            fill(accounts, positions, 0, -1000 // fills, price, rate=0.1)
        ends.append((accounts[0]["cash"], positions[0, 0]["collateral"]))
    assert ends[0] == ends[1]
    left = 10_000 - 1000 * (100 - price)
    assert ends[0] == (1_000_000 - 10_000 + max(0, left), min(0, left))


def test_a_position_in_liquidation_keeps_its_collateral_until_it_is_closed():
    accounts, positions = ledger(mode=Mode.ISOLATED)
    fill(accounts, positions, 0, 100, 100, rate=0.1)
    accounts["status"] = Status.LIQUIDATING
    fill(accounts, positions, 0, -50, 98, rate=0.1)
    assert positions[0, 0]["collateral"] == 1000 - 100
    fill(accounts, positions, 0, -50, 98, rate=0.1)
    assert positions[0, 0]["collateral"] == 0 and accounts[0]["cash"] == 1_000_000 - 200


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(-50, 50).filter(bool), st.integers(1, 400)), max_size=30), st.booleans())
def test_any_sequence_of_trades_between_two_rows_conserves_lots_and_money(trades, isolated):
    accounts, positions = ledger(mode=Mode.ISOLATED if isolated else Mode.CROSS)
    for lots, price in trades:
        fill(accounts, positions, 0, lots, price)
        fill(accounts, positions, 1, -lots, price)
        check_identities(accounts, positions)


def test_identity_check_notices_a_single_lost_atom_or_lot():
    accounts, positions = ledger()
    accounts[0]["cash"] -= 1
    with pytest.raises(ConservationError, match="money"):
        check_identities(accounts, positions)
    accounts[0]["cash"] += 1
    positions[0, 0]["lots"] = 1
    with pytest.raises(ConservationError, match="positions"):
        check_identities(accounts, positions)


def brackets():
    rows = np.zeros(3, REQUIREMENT)
    rows["floor"] = 0, 1000, 5000
    rows["initial_rate"] = 0.02, 0.05, 0.1
    rows["maintenance_rate"] = 0.01, 0.025, 0.05
    rows["initial_deduction"] = 0, 1000 * 0.03, 1000 * 0.03 + 5000 * 0.05
    rows["maintenance_deduction"] = 0, 1000 * 0.015, 1000 * 0.015 + 5000 * 0.025
    return rows


def test_bracket_requirement_by_hand():
    # 6,000 of notional: 1,000 at 2 %, 4,000 at 5 %, 1,000 at 10 %.
    assert initial_requirement(6000.0, brackets()) == pytest.approx(20 + 200 + 100)
    assert maintenance_requirement(6000.0, brackets()) == pytest.approx(10 + 100 + 50)


@settings(max_examples=60)
@given(st.floats(0.01, 5e4))
def test_affordable_notional_inverts_the_requirement(notional):
    margin = initial_requirement(notional, brackets())
    assert affordable_notional(margin, brackets()) == pytest.approx(notional, rel=1e-12)


def assess_one(equity_price, *, cash, lots=10, cost=1000, grace=0, step=5, level=1.0, mode=Mode.CROSS):
    instrument = Instrument(tick_size=1.0, lot_size=1.0, atom=1.0, max_price=1000.0)
    accounts, positions = ledger(1, mode=mode, cash=cash)
    positions[0, 0]["lots"], positions[0, 0]["cost"] = lots, cost
    if mode == Mode.ISOLATED:
        positions[0, 0]["collateral"], accounts["cash"] = cash, 0
    record = np.zeros(1, MARKET)
    record["mark"] = equity_price
    table = np.zeros((1, 1), REQUIREMENT)
    table["initial_rate"], table["maintenance_rate"] = 0.1, 0.05
    due, calls = np.zeros(1, np.int64), np.zeros(1, CALL)
    found = assess(accounts, positions, np.zeros((1, 1), RESTING), record, contracts_of((instrument,)), table, False,
                   (level, 1.0, grace), step, due, calls)
    return accounts, found, calls


@pytest.mark.parametrize("mode", [Mode.CROSS, Mode.ISOLATED])
def test_long_is_due_when_mark_crosses_its_liquidation_price(mode):
    # 10 lots at 100 with 100 of collateral: equity 10 p - 900 falls below 5 % of 10 p at p = 900 / 9.5 = 94.7.
    assert assess_one(94.8, cash=100, mode=mode)[1] == (0, 0)
    assert assess_one(94.7, cash=100, mode=mode)[1] == (1, 1)


def test_grace_delays_liquidation_but_not_the_call():
    accounts, (due, calls), rows = assess_one(94.0, cash=100, grace=60)
    assert (due, calls) == (0, 1)
    assert accounts[0]["status"] == Status.CALLED
    assert rows[0]["equity"] == pytest.approx(40) and rows[0]["requirement"] == pytest.approx(47)


def test_top_up_is_limited_by_outside_wealth_and_arrives_after_the_transfer_time():
    accounts, positions = ledger(1)
    accounts["outside_wealth"] = 300
    requests = np.array([500], np.int64)
    assert move_top_ups(accounts, positions, requests, 10, 3) == 0
    assert accounts[0]["in_transfer"] == 300 and requests[0] == 0
    assert move_top_ups(accounts, positions, requests, 12, 3) == 0
    assert move_top_ups(accounts, positions, requests, 13, 3) == 300
    assert accounts[0]["cash"] == 1_000_300 and accounts[0]["deposits"] == 1_000_300
    check_identities(accounts, positions)


def test_top_up_of_an_isolated_account_reaches_the_position_that_needs_it():
    accounts, positions = ledger(1, mode=Mode.ISOLATED)
    fill(accounts, positions, 0, 10, 100)
    accounts["outside_wealth"] = 300
    move_top_ups(accounts, positions, np.array([300], np.int64), 10, 0)
    assert positions[0, 0]["collateral"] == 100 + 300
    assert accounts[0]["cash"] == 1_000_000 - 100


def test_equity_counts_wallet_collateral_and_unrealised_profit():
    accounts, positions = ledger(1, cash=100)
    positions[0, 0]["lots"], positions[0, 0]["cost"], positions[0, 0]["collateral"] = -10, -1000, 7
    record = np.zeros(1, MARKET)
    record["mark"] = 90.0
    instrument = Instrument(tick_size=1.0, lot_size=1.0, atom=1.0, max_price=1000.0)
    assert equity_of(accounts[0], positions[0], record, contracts_of((instrument,))) == 100 + 7 + 10 * (100 - 90)


def test_instrument_names_every_fault_at_once():
    with pytest.raises(InputError) as caught:
        Instrument(tick_size=-1.0, lot_size=0.0, taker_fee_rate=2.0)
    assert len(caught.value.problems) == 3
