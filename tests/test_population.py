"""Opening book: exact totals, stated distributions, nobody liquidatable at the start, positions files."""

import math

import numpy as np
import pytest
from agents_support import BTC, simulate
from hypothesis import given, settings
from hypothesis import strategies as st

from spirals.agents.opening import apportion, pareto_shares, use_of_limit
from spirals.agents.population import Population
from spirals.agents.positions_file import read_positions
from spirals.agents.rows import Behaviour, Response
from spirals.simulation.accounts.ledger import check_identities
from spirals.simulation.contracts import Instrument
from spirals.simulation.errors import InputError
from spirals.simulation.margin.static import Static
from spirals.simulation.market.geometric_brownian import GeometricBrownian
from spirals.simulation.state import BACKGROUND_ROW, Mode

ROUNDS = np.array([5.0, 10.0, 20.0])
ETH = Instrument(name="ETHUSDT", tick_size=0.05, lot_size=0.01, max_price=8000.0)


def opening(seed=1, margin=None, **parameters):
    parameters.setdefault("traders", 400)
    core = simulate(seed, population=Population(**parameters), margin=margin or Static(0.02, 0.01))
    people = core.population
    rows = slice(people.first_trader, people.first_user)
    return core, core.accounts[rows], core.positions[rows, 0]


@settings(max_examples=40)
@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=60), st.integers(0, 10**9))
def test_apportioned_lots_add_up_and_nobody_gets_nothing(shares, spare):
    lots = apportion(shares, len(shares) + spare)
    assert lots.sum() == len(shares) + spare and lots.min() >= 1
    # Largest remainder: nobody is more than one lot away from the exact share of what is spare.
    exact = np.array(shares) / math.fsum(shares) * spare
    assert np.all(np.abs(lots - 1 - exact) <= 1.0 + 1e-6 * spare)


@settings(max_examples=12)
@given(st.integers(2, 120), st.floats(0.1, 0.9), st.floats(1e6, 1e9), st.integers(0, 1000))
def test_open_interest_is_exact_and_positions_are_net_zero(traders, long_accounts, open_interest, seed):
    core, accounts, positions = opening(seed, traders=traders, long_accounts=long_accounts, open_interest=open_interest)
    wanted = round(open_interest / 10.0)                         # one lot is .001 x 10 000 quote
    assert positions["lots"][positions["lots"] > 0].sum() == wanted
    assert positions["lots"].sum() == 0
    check_identities(core.accounts, core.positions)
    assert accounts["deposits"].min() > 0


def test_nobody_opens_below_its_maintenance_margin():
    for seed in range(4):
        core, accounts, positions = opening(seed, margin=Static(0.05, 0.049), leverage_multiplier=20.0, crowding=0.9)
        core._assess()
        mark = 10000.0 * BTC.lot_size / BTC.atom
        own = np.where(accounts["mode"] == Mode.ISOLATED,
                       positions["collateral"] - positions["cost"] + positions["lots"] * mark, accounts["equity"])
        assert np.all(own > 0.05 * np.abs(positions["lots"]) * mark * (1 - 1e-9))
        assert core.recorder.calls.count == 0


def test_named_largest_accounts_come_first_with_their_shares():
    _, _, positions = opening(largest_longs=(0.2, 0.1), largest_shorts=(0.3,))
    lots = positions["lots"] / 60_000_000
    assert lots[:2] == pytest.approx([0.2, 0.1], abs=1e-5)
    assert lots[240] == pytest.approx(-0.3, abs=1e-5)            # 60 % of 400 accounts are long


def test_sizes_have_the_pareto_tail_that_was_asked_for():
    u = (np.arange(20000) + 0.5) / 20000
    shares = np.array(pareto_shares(u.tolist(), 1.5, []))
    assert shares.sum() == pytest.approx(1.0)
    # P(size > s) = (s / least)^-1.5: doubling the size leaves 2^-1.5 = .354 of the accounts.
    assert (shares > 2 * shares.min()).mean() == pytest.approx(2**-1.5, abs=0.002)
    assert (shares > 8 * shares.min()).mean() == pytest.approx(8**-1.5, abs=0.002)


def test_leverage_is_lognormal_where_no_limit_binds():
    u = (np.arange(4000) + 0.5) / 4000
    drawn = np.array([use_of_limit(0, x, 0.5, 3.7, 0.61, ROUNDS, 1e6) for x in u])
    assert np.median(drawn) == pytest.approx(3.7, rel=1e-3)
    assert np.log(drawn).std() == pytest.approx(0.61, rel=5e-3)
    # Shares of notional on Hyperliquid, 15 December 2025 (PANews): 0-3x 36 %, 3-7x 48 %, above 7x 15 %.
    assert (drawn < 3).mean() == pytest.approx(0.36, abs=0.01)
    assert (drawn > 7).mean() == pytest.approx(0.15, abs=0.01)


def test_a_limit_leaves_no_mass_point_of_leverage():
    u = (np.arange(4000) + 0.5) / 4000
    drawn = np.array([use_of_limit(0, x, 0.5, 3.7, 0.61, ROUNDS, 5.0) for x in u])
    assert drawn.max() <= 5.0
    assert (drawn > 4.9).mean() < 0.05                           # truncating would put 31 % at 5
    free = np.array([use_of_limit(0, x, 0.5, 3.7, 0.61, ROUNDS, 1e6) for x in u])
    assert np.median(drawn) == pytest.approx(np.median(free[free < 5.0]), rel=1e-2)


def test_round_leverages_are_used_to_different_degrees():
    drawn = [use_of_limit(1, u, v, 3.7, 0.61, ROUNDS, 12.0) for u, v in [(0.1, 1.0), (0.9, 1.0), (0.9, 0.0)]]
    assert drawn == pytest.approx([5.0, 10.0, 3.0])              # 20 x is above the limit
    assert use_of_limit(1, 0.5, 1.0, 3.7, 0.61, ROUNDS, 2.0) == pytest.approx(2.0)


def test_effective_leverage_of_the_opening_book_has_the_stated_median():
    core, _, positions = opening(traders=2000, neutral_share=0.0, crowding=0.0, margin=Static(0.001, 0.0005))
    leverage = core.population.traders["target_leverage"]
    assert np.median(leverage) == pytest.approx(3.7, rel=0.05)
    assert np.log(leverage).std() == pytest.approx(0.61, rel=0.05)
    assert len(positions) == 2000


def test_delta_neutral_shorts_hold_little_leverage_and_do_not_speculate():
    core, _, positions = opening(traders=2000, neutral_share=0.5, neutral_leverage=3.0)
    traders = core.population.traders
    hedged = traders["hedged"] == 1
    assert np.all(positions["lots"][hedged] < 0)
    assert hedged.sum() / (positions["lots"] < 0).sum() == pytest.approx(0.5, abs=0.05)
    assert traders["target_leverage"][hedged].max() <= 3.0 + 1e-6
    assert np.all(traders["behaviour"][hedged] == Behaviour.PASSIVE)
    assert np.all(traders["response"][hedged] == Response.TOP_UP)


def test_crowding_makes_traders_share_their_liquidation_prices():
    def concentration(crowding):
        core, _, positions = opening(traders=2000, crowding=crowding, neutral_share=0.0)
        leverage = core.population.traders["target_leverage"]
        longs = leverage[positions["lots"] > 0]
        counts = np.histogram(1 / longs, bins=60, range=(0.0, 0.6))[0]
        return np.sort(counts)[-5:].sum() / len(longs)

    assert concentration(0.9) > 2 * concentration(0.0)


def test_the_leverage_multiplier_scales_leverage_within_the_limit():
    free_margin = Static(0.001, 0.0005)
    half, full = (opening(leverage_multiplier=m, margin=free_margin)[0].population.traders for m in (0.5, 1.0))
    free = half["hedged"] == 0
    assert np.median(half["target_leverage"][free] / full["target_leverage"][free]) == pytest.approx(0.5, rel=1e-3)


def test_draws_of_one_trader_do_not_depend_on_parameters_of_others():
    a = opening(order_rate=0.0001)[0].population.traders
    b = opening(order_rate=0.0001, top_up=0.5, reduce=0.1, open_interest=3e8)[0].population.traders
    assert np.array_equal(a["behaviour"], b["behaviour"])
    assert np.array_equal(a["horizon"], b["horizon"])


def test_behaviours_and_responses_have_their_shares():
    traders = opening(traders=3000, neutral_share=0.0, stop_loss=0.2, top_up=0.1, reduce=0.3)[0].population.traders
    assert (traders["behaviour"] == Behaviour.STOP_LOSS).mean() == pytest.approx(0.2, abs=0.025)
    assert (traders["response"] == Response.REDUCE).mean() == pytest.approx(0.3, abs=0.03)
    stops = traders[traders["behaviour"] == Behaviour.STOP_LOSS]
    assert np.all((stops["exit_price"] < 10000.0) == (stops["home_lots"] > 0))


def test_several_instruments_have_their_own_open_interest():
    core = simulate(
        instruments=(BTC, ETH), population=Population(traders=100, open_interest=(6e8, 2e8)),
        outside_world=GeometricBrownian(price=(10000.0, 500.0)), steps=20,
    )
    longs = np.maximum(core.positions["lots"][core.population.first_trader:], 0)
    assert np.allclose(longs.sum(axis=0) * [10.0, 5.0], [6e8, 2e8], rtol=0.05)


def test_conditions_between_parameters_are_told_together():
    with pytest.raises(InputError) as caught:
        Population(largest_longs=(0.6, 0.5), stop_loss=0.7, trend_following=0.4, top_up=0.6, reduce=0.6)
    assert len(caught.value.problems) == 3
    with pytest.raises(InputError, match="at least two traders"):
        simulate(population=Population(traders=100, open_interest=5.0))


def write(path, rows, header="account,instrument,side,size,entry_price,collateral,mode"):
    path.write_text("\n".join([header, *rows]) + "\n")
    return str(path)


def test_a_positions_file_replaces_the_drawn_book(tmp_path):
    file = write(tmp_path / "book.csv", [
        "whale,BTCUSDT,long,30,9800,40000,cross", "fish,BTCUSDT,long,10.5,10100,20000,isolated",
        "bear,BTCUSDT,short,40.5,10000,90000,cross",
    ])
    core = simulate(population=Population(positions_file=file), steps=20)
    people = core.population
    assert people.first_user - people.first_trader == 3
    core = simulate(population=Population(positions_file=file))
    whale, fish, bear = range(people.first_trader, people.first_trader + 3)
    assert core.positions["lots"][whale:bear + 1, 0].tolist() == [30000, 10500, -40500]
    assert core.accounts["cash"][whale] * BTC.atom == pytest.approx(40000.0)
    assert core.positions["collateral"][fish, 0] * BTC.atom == pytest.approx(20000.0)
    assert core.accounts["equity"][whale] * BTC.atom == pytest.approx(40000.0 + 30 * 200.0)
    assert core.accounts["equity"][bear] * BTC.atom == pytest.approx(90000.0)
    assert core.population.depths[0].notional_1pct == pytest.approx(0.015 * 405000.0)


def test_a_file_that_is_not_net_zero_is_refused_or_balanced(tmp_path):
    file = write(tmp_path / "book.csv", ["a,BTCUSDT,,2,10000,4000,", "b,BTCUSDT,,-1,10000,4000,"])
    with pytest.raises(InputError, match="must add up to 0, sum was 1; with balance"):
        simulate(population=Population(positions_file=file))
    core = simulate(population=Population(positions_file=file, balance="background"))
    assert core.positions["lots"][BACKGROUND_ROW, 0] == -1000
    check_identities(core.accounts, core.positions)


def test_accounts_of_a_file_may_hold_several_instruments(tmp_path):
    file = write(tmp_path / "book.csv", [
        "a,BTCUSDT,long,1,10000,2000,cross", "a,ETHUSDT,short,10,500,500,cross",
        "b,BTCUSDT,short,1,10000,2000,cross", "b,ETHUSDT,long,10,500,500,cross",
    ])
    core = simulate(instruments=(BTC, ETH), population=Population(positions_file=file), steps=5,
                    outside_world=GeometricBrownian(price=(10000.0, 500.0)))
    first = core.population.first_trader
    assert core.n_steps == 5 and core.population.n_accounts == first + 2
    core = simulate(instruments=(BTC, ETH), population=Population(positions_file=file),
                    outside_world=GeometricBrownian(price=(10000.0, 500.0)))
    assert core.accounts["cash"][first] * BTC.atom == pytest.approx(2500.0)
    assert core.positions["lots"][first].tolist() == [1000, -1000]


def test_all_faults_of_a_positions_file_are_told_at_once(tmp_path):
    file = write(tmp_path / "book.csv", [
        "a,DOGEUSDT,long,1,10000,100,cross", "b,BTCUSDT,long,nan,10000,100,cross", "c,BTCUSDT,up,1,-5,100,cross",
        "d,BTCUSDT,long,1.0005,10000,-3,cross", "e,BTCUSDT,short,1,10000,5,cross", "e,BTCUSDT,short,1,10000,5,cross",
        "f,BTCUSDT,long,1,10000,5,both",
    ])
    with pytest.raises(InputError) as caught:
        read_positions(file, (BTC,), "refuse")
    text = str(caught.value)
    for part in ("line 2: instrument", "line 3: size", "line 4: side", "line 4: entry_price", "line 5: collateral",
                 "line 7: account and instrument", "line 8: mode"):
        assert part in text, text
    with pytest.raises(InputError, match="whole number of lots"):
        read_positions(write(tmp_path / "b.csv", ["d,BTCUSDT,long,1.0005,10000,3,cross"]), (BTC,), "refuse")
    with pytest.raises(InputError, match="missing collateral"):
        read_positions(write(tmp_path / "c.csv", [], "account,instrument,size,entry_price"), (BTC,), "refuse")
    with pytest.raises(InputError, match="at least one position"):
        read_positions(write(tmp_path / "d.csv", []), (BTC,), "refuse")
    with pytest.raises(InputError, match="must exist"):
        read_positions(str(tmp_path / "none.csv"), (BTC,), "refuse")
