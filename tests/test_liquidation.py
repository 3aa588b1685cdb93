"""The venue's engine and the loss waterfall, worked by hand."""

import numpy as np
import pytest

from spirals.simulation.accounts.ledger import check_identities, settle_trades
from spirals.simulation.contracts import Instrument, contracts_of
from spirals.simulation.errors import InputError
from spirals.simulation.liquidation import LiquidationMechanism, LossWaterfall
from spirals.simulation.liquidation.auto_deleveraging import deleverage, rank_score
from spirals.simulation.liquidation.close_out import close_out_lots, close_out_orders, worst_ticks
from spirals.simulation.liquidation.settlement import settle_liquidations
from spirals.simulation.order_book.records import RESTING
from spirals.simulation.state import (
    ACCOUNT,
    ADL,
    FUND_ROW,
    LIQUIDATION,
    MARKET,
    ORDER,
    POSITION,
    REQUIREMENT,
    STEP,
    STEP_TOTAL,
    TRADE,
    Cause,
    Mode,
    OrderKind,
    Status,
)

UNIT = Instrument(tick_size=1.0, lot_size=1.0, atom=1.0, max_price=10_000.0)
CONTRACTS = contracts_of((UNIT,))
FULL = (0, 0.2, 0.0, 1.2, 1)


class Venue:
    """Row 1 is the fund; rows 2.. hold (cash, lots, cost); the last row balances the positions."""

    def __init__(self, *rows, mark=100.0, fund=0):
        n = 2 + len(rows)
        self.accounts, self.positions = np.zeros(n, ACCOUNT), np.zeros((n, 1), POSITION)
        self.accounts["event"] = self.accounts["call_step"] = -1
        self.accounts["margined"][2:] = 1
        self.accounts[FUND_ROW]["cash"] = self.accounts[FUND_ROW]["deposits"] = fund
        self.record = np.zeros(1, MARKET)
        self.record["mark"] = mark
        for row, (cash, lots, cost) in enumerate(rows, start=2):
            self.accounts[row]["cash"] = cash
            self.positions[row, 0]["lots"], self.positions[row, 0]["cost"] = lots, cost
            self.accounts[row]["equity"] = cash + round(lots * mark) - cost
        self.accounts["deposits"] = self.accounts["cash"] - self.positions["cost"][:, 0]
        self.table = np.zeros((1, 1), REQUIREMENT)
        self.table["initial_rate"], self.table["maintenance_rate"] = 0.1, 0.05
        self.accounts["maintenance_margin"][2:] = np.abs(self.positions["lots"][2:, 0]) * mark * 0.05
        self.orders, self.liquidations = np.zeros(20, ORDER), np.zeros(10, LIQUIDATION)
        self.adl, self.steps, self.totals = np.zeros(50, ADL), np.zeros(1, STEP), np.zeros(1, STEP_TOTAL)

    def close_out(self, *rows, mechanism=FULL, band=0.05, resting=None):
        resting = np.zeros((len(self.accounts), 1), RESTING) if resting is None else resting
        due = np.array(rows, np.int64)
        n, records, _, _ = close_out_orders(
            due, len(due), self.accounts, self.positions, self.record, CONTRACTS, self.table, resting, False, mechanism,
            band, 0, 100, 7, 0, 0, self.orders, 0, self.liquidations,
        )
        return self.orders[:n], self.liquidations[:records]

    def settle(self, *trades, adl=True, fee=0.0):
        rows = np.zeros(len(trades), TRADE)
        for row, (taker, maker, side, lots, price) in zip(rows, trades, strict=True):
            row["taker"], row["maker"], row["side"], row["lots"], row["price_ticks"] = taker, maker, side, lots, price
            row["taker_cause"] = Cause.LIQUIDATION
        settle_trades(rows, self.accounts, self.positions, CONTRACTS, self.table, self.steps)
        n = int((self.liquidations["lots"] != 0).sum())
        size = len(self.accounts)
        count = settle_liquidations(
            rows, self.liquidations, n, self.accounts, self.positions, self.record, CONTRACTS, self.table, fee, adl,
            7, 0,
            np.full((size, 1), -1, np.int64), np.zeros(size), np.zeros(size, np.int64),
            self.adl, self.steps, self.totals,
        )
        check_identities(self.accounts, self.positions)
        return self.adl[:count]


def test_resting_orders_are_cancelled_before_the_position_is_sold_inside_the_band():
    venue = Venue((-960, 10, 0), (960, -10, 0))
    resting = np.zeros((4, 1), RESTING)
    resting["buy_lots"][2] = 5
    orders, rows = venue.close_out(2, resting=resting)
    assert [int(kind) for kind in orders["kind"]] == [OrderKind.CANCEL_ALL, OrderKind.IOC]
    # Equity 40 on 10 lots: bankruptcy at 96, inside the 5 % band, so 96 is the worst price without a fund.
    assert orders[1]["price_ticks"] == 96 and orders[1]["lots"] == 10 and orders[1]["side"] == -1
    assert rows[0]["bankruptcy_price"] == pytest.approx(96) and rows[0]["equity"] == pytest.approx(40)


def test_the_fund_widens_the_worst_price_by_what_it_can_pay_but_not_beyond_the_band():
    assert worst_ticks(-1, 10, 100.0, 40 + 5, 0.05, CONTRACTS[0]) == 96  # 95.5 rounded up for a sale
    assert worst_ticks(-1, 10, 100.0, 40 + 500, 0.05, CONTRACTS[0]) == 95
    assert worst_ticks(1, 10, 100.0, 40 + 5, 0.05, CONTRACTS[0]) == 104
    assert worst_ticks(1, 10, 100.0, 40 + 500, 0.05, CONTRACTS[0]) == 105


def test_two_accounts_in_one_round_cannot_spend_the_fund_twice():
    venue = Venue((-960, 10, 0), (-960, 10, 0), (1920, -20, 0), fund=10)
    orders, _ = venue.close_out(2, 3, band=0.5)
    assert orders["price_ticks"].tolist() == [95, 96]


@pytest.mark.parametrize(
    ("mechanism", "lots"),
    [((0, 0.2, 0.0, 1.2, 1), 100), ((1, 0.2, 500.0, 1.2, 1), 20), ((1, 0.2, 50_000.0, 1.2, 1), 100),
     ((2, 0.2, 0.0, 1.25, 1), 36)],
)
def test_sizes_of_the_mechanism(mechanism, lots):
    # 100 lots at 100, maintenance 500, equity 400: keeping 64 lots needs 1.25 x 320 = 400.
    position = np.zeros(1, POSITION)
    position["lots"] = 100
    assert close_out_lots(position[0], 100.0, CONTRACTS[0], 500.0, 400, mechanism, True) == lots


def test_fill_above_bankruptcy_leaves_margin_from_which_the_fee_goes_to_the_fund():
    venue = Venue((-960, 10, 0), (960, -10, 0))
    venue.close_out(2)
    venue.settle((2, 3, -1, 10, 98), fee=0.05)
    # 10 x 98 - 960 = 20 left; 5 % of 980 is 49, but only 20 are there.
    assert venue.accounts[2]["cash"] == 0 and venue.accounts[FUND_ROW]["cash"] == 20
    assert venue.liquidations[0]["fee"] == 20 and venue.liquidations[0]["bad_debt"] == 0
    assert venue.accounts[2]["status"] == Status.CLOSED


@pytest.mark.parametrize(("price", "fee"), [(96, 0), (98, 20)])
def test_fee_of_an_isolated_liquidation_comes_from_its_collateral_not_from_the_wallet(price, fee):
    # 10 lots at 100 with 40 of collateral, mark 97: 10 are left, bankruptcy at 96; a fill at 98 leaves 20.
    venue = Venue((1000, 10, 1000), (-1000, -10, -1000), mark=97.0)
    venue.accounts[2]["mode"], venue.positions[2, 0]["collateral"] = Mode.ISOLATED, 40
    venue.accounts[2]["deposits"] += 40
    venue.close_out(2)
    venue.settle((2, 3, -1, 10, price), fee=0.05)
    assert venue.accounts[2]["cash"] == 1000
    assert venue.accounts[FUND_ROW]["cash"] == fee and venue.liquidations[0]["bad_debt"] == 0


def test_fill_below_bankruptcy_is_bad_debt_that_the_fund_pays():
    venue = Venue((-960, 10, 0), (960, -10, 0), fund=100)
    venue.close_out(2)
    venue.settle((2, 3, -1, 10, 95))
    assert venue.liquidations[0]["bad_debt"] == 10 and venue.totals[0]["bad_debt"] == 10
    assert venue.accounts[2]["cash"] == 0 and venue.accounts[FUND_ROW]["cash"] == 90


def test_what_the_book_cannot_take_waits_while_the_account_is_solvent():
    venue = Venue((-960, 10, 0), (960, -10, 0))
    venue.close_out(2)
    assert len(venue.settle((2, 3, -1, 4, 97))) == 0
    assert venue.positions[2, 0]["lots"] == 6 and venue.accounts[2]["status"] == Status.LIQUIDATING


def test_beyond_the_fund_the_most_profitable_and_levered_winner_is_cut_at_the_bankruptcy_price():
    # Long bankrupt at 105, mark 100, 50 short: the fund pays 20, so the other side buys at 103. The short from 113 with
    # thin margin ranks before the short from 101.
    venue = Venue((-1050, 10, 0), (-30, -6, -680), (900, -4, -404), fund=20)
    venue.close_out(2)
    rows = venue.settle()
    assert rows["counterparty"].tolist() == [3, 4] and rows["lots"].tolist() == [-6, -4]
    assert rows["price"] == pytest.approx([103, 103])
    assert venue.accounts[2]["cash"] == 0 and venue.positions[2, 0]["lots"] == 0
    assert venue.totals[0]["bad_debt"] == 50  # negative equity at the mark, before anybody paid
    assert venue.accounts[FUND_ROW]["cash"] == 0
    assert venue.accounts[3]["cash"] == -30 + 680 - 6 * 103


def test_lots_sold_below_the_bankruptcy_price_are_not_charged_to_the_other_side_of_the_rest():
    # 10 lots, bankruptcy at 96: nine are sold at 90, 54 short; the last one changes hands at 96, not at 96 + 54.
    venue = Venue((-960, 10, 0), (960, -10, 0))
    venue.close_out(2)
    venue.record["mark"] = 90.0
    rows = venue.settle((2, 3, -1, 9, 90))
    assert rows["price"] == pytest.approx([96])
    assert venue.accounts[2]["cash"] == 0 and venue.accounts[FUND_ROW]["cash"] == -54
    assert venue.totals[0]["bad_debt"] == 60


def test_an_advance_of_the_fund_is_returned_when_the_rest_sells_better():
    # Equity -10 at the mark of 95 is lifted to zero; the other five lots then sell at 98 and leave 15.
    venue = Venue((-960, 10, 0), (960, -10, 0), fund=100)
    venue.close_out(2)
    venue.record["mark"] = 95.0
    venue.settle((2, 3, -1, 5, 95))
    assert venue.accounts[2]["advance"] == 10 and venue.accounts[FUND_ROW]["cash"] == 90
    venue.liquidations[:] = 0
    venue.accounts["equity"][2] = 0
    venue.close_out(2)
    venue.settle((2, 3, -1, 5, 98))
    assert venue.accounts[FUND_ROW]["cash"] == 100 and venue.accounts[2]["cash"] == 5
    assert venue.totals[0]["bad_debt"] == 0


@pytest.mark.parametrize(("code", "cut"), [(1, [3, 4]), (2, [4, 3])])
def test_accounts_without_margin_are_cut_last_where_that_is_the_rule(code, cut):
    # As above, but row 3, far ahead by profit and leverage, is exempt from margin: its leverage means little.
    venue = Venue((-1050, 10, 0), (-30, -6, -680), (900, -4, -404), fund=20)
    venue.accounts[3]["margined"] = 0
    venue.close_out(2)
    rows = venue.settle(adl=code)
    assert rows["counterparty"].tolist() == cut and abs(rows["lots"]).sum() == 10
    assert LossWaterfall().deleveraging_code == 1 and LossWaterfall(deleverage_exempt="last").deleveraging_code == 2
    assert LossWaterfall(auto_deleveraging=False, deleverage_exempt="last").deleveraging_code == 0
    check_identities(venue.accounts, venue.positions)


def test_rank_is_profit_times_leverage_and_losers_come_last():
    account, position = np.zeros(1, ACCOUNT), np.zeros(1, POSITION)
    account["equity"], account["margined"] = 50, 1
    position["lots"], position["cost"] = -10, -1200
    # Profit 200 of 1,200 paid, notional 1,000 over equity 50.
    assert rank_score(account[0], position[0], 100.0, CONTRACTS[0]) == pytest.approx(200 / 1200 * 20)
    account["margined"] = 0  # background and warehouse have no collateral to be levered on
    assert rank_score(account[0], position[0], 100.0, CONTRACTS[0]) == pytest.approx(200 / 1200)
    position["cost"] = -900
    assert rank_score(account[0], position[0], 100.0, CONTRACTS[0]) < 0


def test_a_counterparty_that_the_price_would_bankrupt_is_passed_over_and_the_fund_takes_the_rest():
    venue = Venue((-1100, 10, 0), (-960, -10, -1000))  # short from 100 with equity 40; bankruptcy price 110
    venue.close_out(2)
    work = np.zeros(4), np.zeros(4, np.int64)
    n = deleverage(2, 0, -1100, venue.accounts, venue.positions, venue.record, CONTRACTS, venue.table, 7, 0,
                   *work, venue.adl, 0)
    assert n == 1 and venue.adl[0]["counterparty"] == FUND_ROW
    check_identities(venue.accounts, venue.positions)


def test_without_auto_deleveraging_the_fund_takes_the_position_over_and_owns_the_loss():
    venue = Venue((-1050, 10, 0), (1050, -10, 0))
    venue.close_out(2)
    venue.settle(adl=False)
    assert venue.positions[FUND_ROW, 0]["lots"] == 10 and venue.positions[FUND_ROW, 0]["cost"] == 1050
    assert venue.accounts[2]["cash"] == 0


def test_mechanism_refuses_impossible_parameters_all_at_once():
    with pytest.raises(InputError) as caught:
        LiquidationMechanism(size="half", fraction=0.0, price_band=2.0, fee_rate=-1.0)
    assert len(caught.value.problems) == 4
