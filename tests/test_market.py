"""Stage 1 as a whole: index, oracle, mark, volatility and funding rate, step by step."""

import math
from typing import Any

import numpy as np
import pytest

from spirals.simulation.contracts import Instrument
from spirals.simulation.errors import InputError
from spirals.simulation.market.constant import ConstantPrice
from spirals.simulation.market.funding import Funding
from spirals.simulation.market.geometric_brownian import GeometricBrownian
from spirals.simulation.market.historical_bars import HistoricalBars
from spirals.simulation.market.market import Market
from spirals.simulation.market.price_feed import PriceFeed
from spirals.simulation.market.shocks import DepthWithdrawal, OracleLag, OrderFlow, PriceJump
from spirals.simulation.market.volatility import VolatilityEstimator
from spirals.simulation.state import hash_arrays

BTC = Instrument(max_price=200_000.0)
DAY = 86400.0


def market(n_steps: int = 100, *, instruments: int = 1, **parts: Any) -> Market:
    given: dict[str, Any] = {
        "outside_world": ConstantPrice(100.0), "shocks": (), "price_feed": PriceFeed(),
        "volatility": VolatilityEstimator(), "funding": Funding(), "step_seconds": 1.0, "seed": 0, **parts,
    }
    return Market([BTC] * instruments, n_steps=n_steps, **given)


def frozen(*prices: float) -> np.ndarray:
    return np.array(prices, dtype=np.float64)[:, None]


def test_opening_shows_one_price_everywhere_and_the_volatility_before_the_run() -> None:
    row = market(volatility=VolatilityEstimator(opening_volatility=0.04)).record[0]
    assert {row[name] for name in ("exogenous", "index", "oracle", "mark", "mid", "last")} == {100.0}
    assert row["volatility"] == 0.04 and row["stressed_volatility"] == 0.04
    assert math.isnan(row["best_bid"]) and math.isnan(row["spread"])


def test_without_feedback_the_index_is_the_outside_price_to_the_last_bit() -> None:
    run = market(500, outside_world=GeometricBrownian(), price_feed=PriceFeed(index_feedback=0.0))
    for step in range(1, 501):
        state = run.advance(step)
        run.record["mid"] *= 0.999  # whatever the venue does
        assert state.index[0] == state.exogenous[0] == run.path.price[step, 0]


def quote(run: Market, price: float) -> None:
    """Let the venue quote `price` on both sides."""
    run.record["mid"] = run.record["best_bid"] = run.record["best_ask"] = price


def displaced(kappa: float, mid_reversion: float | None, tau: float = 20.0, dt: float = 1.0) -> tuple[float, float]:
    """Displace the mid by -10 % once; return what remains of it in index and mid, as fractions."""
    run = market(
        2000, price_feed=PriceFeed(index_feedback=kappa, feedback_seconds=tau), step_seconds=dt,
    )
    delta = -0.1
    quote(run, 100.0 * math.exp(delta))
    for step in range(1, 2001):
        before = math.log(run.record["mid"][0] / run.record["index"][0])
        run.advance(step)
        index = math.log(run.record["index"][0])
        if mid_reversion is None:  # the deviation closes at rate 1 / tau, whoever closes it
            deviation = before * math.exp(-dt / tau)
            quote(run, math.exp(index + deviation))
        else:                      # the mid gives way at its own rate
            mid = math.log(run.record["mid"][0])
            quote(run, math.exp(mid - before * -math.expm1(-dt * mid_reversion)))
    return (math.log(run.record["index"][0] / 100) / delta, math.log(run.record["mid"][0] / 100) / delta)


def test_an_index_inside_the_spread_or_a_side_without_quotes_moves_nobody_outside() -> None:
    run = market(10, price_feed=PriceFeed(index_feedback=1.0))
    run.record["mid"], run.record["best_bid"], run.record["best_ask"] = 90.0, 80.0, 100.0
    run.advance(1)
    assert run.record["index"][0] == 100.0
    run.record["best_bid"], run.record["best_ask"] = np.nan, 105.0
    run.advance(2)
    assert run.record["index"][0] == 100.0
    run.record["best_ask"] = 95.0
    run.advance(3)
    assert run.record["index"][0] < 100.0


@pytest.mark.parametrize("kappa", [0.0, 0.3, 0.5, 1.0])
def test_permanent_impact_is_kappa_when_the_deviation_closes_at_rate_one_over_tau(kappa: float) -> None:
    # Deviation u_k = delta exp(-k dt / tau); the index takes kappa (1 - exp(-dt / tau)) u_k in step k: in
    # total kappa delta.
    assert displaced(kappa, None) == pytest.approx((kappa, kappa), abs=1e-9)


def test_permanent_impact_is_the_index_share_of_the_closing_when_the_mid_reverts_alone() -> None:
    # kappa / tau against r: kappa / (kappa + r tau) of the displacement stays; exact as dt / tau -> 0.
    for kappa, reversion in ((0.3, 1 / 100.0), (0.3, 0.7 / 100.0), (0.5, 2 / 100.0)):
        expected = kappa / (kappa + reversion * 100.0)
        assert displaced(kappa, reversion, tau=100.0) == pytest.approx((expected, expected), rel=0.01)


def test_oracle_shows_the_index_of_a_latency_ago_and_starts_at_the_opening() -> None:
    prices = [100.0 + k for k in range(21)]
    run = market(20, frozen_inputs=frozen(*prices), price_feed=PriceFeed(oracle_latency_seconds=3, index_feedback=0))
    shown = [float(run.advance(step).oracle[0]) for step in range(1, 21)]
    assert shown == [100.0, 100.0, 100.0, *prices[1:18]]


def test_lag_shock_freezes_the_oracle_and_never_turns_it_back() -> None:
    prices = [100.0 + k for k in range(31)]
    run = market(30, frozen_inputs=frozen(*prices), shocks=[OracleLag(at=10, duration=10, seconds=4)],
                 price_feed=PriceFeed(index_feedback=0))
    shown = [float(run.advance(step).oracle[0]) for step in range(1, 31)]
    # Steps 11 to 20 are in the window: frozen at step 10 until it is 4 old, then 4 behind, then current again.
    assert shown == [*prices[1:11], *[110.0] * 4, *prices[11:17], *prices[21:31]]


def test_mark_rules_by_hand() -> None:
    def mark(rule: str, mid: float, last: float, basis: float = 0.0, funding_rate: float = 0.0) -> float:
        run = market(price_feed=PriceFeed(mark=rule, index_feedback=0.0), opening_seconds=4 * 3600.0)
        run.record["mid"], run.record["last"] = mid, last
        run.record["basis"], run.record["funding_rate"] = basis, funding_rate
        run.remark()
        return float(run.record["mark"][0])

    assert mark("index", 90.0, 80.0) == 100.0
    assert mark("mid", 90.0, 80.0) == 90.0
    assert mark("last", 90.0, 80.0) == 80.0
    assert mark("index_ema_basis", 90.0, 80.0, basis=-0.02) == pytest.approx(98.0)
    # Half of the interval is left at 04:00: carried price 100 (1 - .002 / 2) = 99.9; median of 99.9, 98, 80.
    assert mark("median", 90.0, 80.0, basis=-0.02, funding_rate=-0.002) == pytest.approx(98.0)
    assert mark("median", 90.0, 99.5, basis=-0.02, funding_rate=-0.002) == pytest.approx(99.5)
    assert mark("median", 90.0, 120.0, basis=-0.02, funding_rate=-0.002) == pytest.approx(99.9)


def test_mark_of_an_empty_book_falls_back_to_the_oracle() -> None:
    run = market(price_feed=PriceFeed(mark="mid"))
    run.record["mid"] = np.nan
    assert run.advance(1).mark[0] == 100.0 and run.record["index"][0] == 100.0


def test_basis_is_an_average_with_the_stated_half_life_of_values_known_at_the_same_time() -> None:
    run = market(60, price_feed=PriceFeed(basis_half_life_seconds=30, index_feedback=0.0))
    run.record["mid"] = 99.0
    for step in range(1, 31):
        run.advance(step)
    assert run.record["basis"][0] == pytest.approx(-0.01 * 0.5)
    # A jump of the index that the mid has not followed yet is no basis of this step.
    jump = market(5, frozen_inputs=frozen(100, 90, 90, 90, 90, 90))
    assert jump.advance(1).basis[0] == 0.0


def test_remark_reads_new_trades_without_moving_time() -> None:
    run = market(10, price_feed=PriceFeed(mark="last"))
    run.advance(1)
    before = {name: array.copy() for name, array in run.arrays().items()}
    run.record["last"] = 97.0
    run.remark()
    assert run.record["mark"][0] == 97.0
    assert run.arrays()["feed"].tobytes() == before["feed"].tobytes()
    assert run.record["basis"][0] == before["record"]["basis"][0]


def sampled(prices: np.ndarray, steps: int, **options: Any) -> Market:
    estimator = VolatilityEstimator(**{"source": "index", "opening_volatility": 0.02, **options})
    run = market(steps, frozen_inputs=prices[: steps + 1], price_feed=PriceFeed(index_feedback=0.0),
                 volatility=estimator)
    for step in range(1, steps + 1):
        run.advance(step)
    return run


def alternating(volatility: float, samples: int, every: int) -> np.ndarray:
    """A price that moves by +- volatility sqrt(interval) from sample to sample."""
    move = volatility * math.sqrt(every / DAY)
    levels = np.where(np.arange(samples + 1) % 2 == 0, 0.0, move)
    return 100.0 * np.exp(np.repeat(levels, every)[: samples * every + 1])[:, None]


@pytest.mark.parametrize("t", [1, 5, 10, 20])
def test_ewma_follows_the_closed_form_after_a_step_of_the_true_volatility(t: int) -> None:
    # E s_t^2 = s0^2 (k^2 - (k^2 - 1) w^t); w = .97 and k = 2 give 1.044, 1.193, 1.337, 1.539.
    half_life = 60.0 * math.log(0.5) / math.log(0.97)
    run = sampled(alternating(0.04, t, 60), t * 60, half_life_seconds=half_life, window_seconds=3600)
    expected = 0.02 * math.sqrt(4 - 3 * 0.97**t)
    assert run.record["volatility"][0] == pytest.approx(expected, rel=1e-9)
    assert expected / 0.02 == pytest.approx({1: 1.044, 5: 1.193, 10: 1.337, 20: 1.539}[t], abs=6e-4)


def test_rolling_volatility_forgets_the_opening_after_one_window() -> None:
    prices = alternating(0.04, 25, 60)
    options = {"kind": "rolling", "window_seconds": 600.0}
    half = sampled(prices, 5 * 60, **options).record["volatility"][0]
    assert half == pytest.approx(math.sqrt(0.5 * 0.02**2 + 0.5 * 0.04**2))
    assert sampled(prices, 10 * 60, **options).record["volatility"][0] == pytest.approx(0.04)
    assert sampled(prices, 25 * 60, **options).record["volatility"][0] == pytest.approx(0.04)


def test_stressed_volatility_is_given_or_the_largest_rolling_value_so_far() -> None:
    prices = np.concatenate([alternating(0.08, 10, 60), np.full((1200, 1), 100.0)])
    run = sampled(prices, 1800, kind="rolling", window_seconds=300.0)
    assert run.record["stressed_volatility"][0] == pytest.approx(0.08)
    assert run.record["volatility"][0] == pytest.approx(0.0, abs=1e-12)
    fixed = sampled(prices, 1800, stressed_volatility=0.05)
    assert fixed.record["stressed_volatility"][0] == 0.05


def test_floor_bounds_the_estimate_from_below() -> None:
    run = sampled(np.full((3601, 1), 100.0), 3600, half_life_seconds=60, floor=0.01)
    assert run.record["volatility"][0] == 0.01


def test_bounce_between_samples_is_invisible_and_index_source_sees_no_bounce_at_all() -> None:
    def bounced(source: str, quiet_at_sample: bool) -> float:
        estimator = VolatilityEstimator(source=source, half_life_seconds=60, opening_volatility=0.02)
        run = market(1200, volatility=estimator, price_feed=PriceFeed(mark="mid", index_feedback=0.0))
        for step in range(1, 1201):
            bounce = 0.0 if quiet_at_sample and (step % 60 == 0) else 0.001 * (-1) ** (step // 7)
            run.record["mid"] = 100.0 * (1.0 + bounce)
            run.advance(step)
        return float(run.record["volatility"][0])

    faded = 0.02 * 0.5**10  # 20 half-lives of the variance
    assert bounced("index", quiet_at_sample=False) == pytest.approx(faded, rel=1e-9)
    assert bounced("mid", quiet_at_sample=True) == pytest.approx(faded, rel=1e-9)
    # Bounce that falls on the samples counts at most once per interval, 2 * 10 bp over 60 s, not 60 times.
    assert bounced("mid", quiet_at_sample=False) < 0.0021 * math.sqrt(DAY / 60)


def test_range_estimator_is_parkinson_by_hand() -> None:
    prices = frozen(100, 102, 99, 101, 101, 101)
    run = sampled(prices, 4, estimator="range", sampling_seconds=4, half_life_seconds=4, window_seconds=4)
    seen = math.log(102 / 99) ** 2 / (4 * math.log(2)) / (4 / DAY)
    assert run.record["volatility"][0] == pytest.approx(math.sqrt(0.5 * 0.02**2 + 0.5 * seen))


def test_volatility_of_an_interpolated_hour_is_that_of_its_minute_bars() -> None:
    world = HistoricalBars("btcusdt_perp_1m_2025-10-10")
    estimator = VolatilityEstimator(source="index", kind="rolling", window_seconds=2340)
    run = market(2340, outside_world=world, volatility=estimator, price_feed=PriceFeed(index_feedback=0.0))
    for step in range(1, 2341):
        run.advance(step)
    opens = world.bars()[0].price[:, 0]
    minutes = np.diff(np.log(opens))
    assert run.record["volatility"][0] == pytest.approx(math.sqrt((minutes**2).mean() * 1440), rel=1e-9)


def test_median_mark_resists_one_bad_print() -> None:
    run = market(100)
    run.record["last"] = 50.0
    assert run.advance(1).mark[0] == pytest.approx(100.0)


def test_scripted_depth_and_flow_are_shown_in_their_steps() -> None:
    shocks = [DepthWithdrawal(at=2, duration=2, fraction=0.75), OrderFlow(at=3, duration=1, notional_per_second=7)]
    run = market(10, shocks=shocks, instruments=2)
    seen = []
    for step in range(1, 7):
        run.advance(step)
        seen.append((run.depth_factor.tolist(), run.flow_notional.tolist()))
        assert run.depth_factor.flags.c_contiguous and run.flow_notional.flags.c_contiguous
    ordinary = ([1.0, 1.0], [0.0, 0.0])
    assert seen == [ordinary, ordinary, ([0.25] * 2, [0.0] * 2), ([0.25] * 2, [-7.0] * 2), ordinary, ordinary]


def test_price_shock_reaches_the_index_and_not_a_frozen_series() -> None:
    shocks = [PriceJump(at=5, size=-0.1)]
    assert market(10, shocks=shocks).path.price[-1, 0] == pytest.approx(100 * math.exp(-0.1))
    assert market(10, shocks=shocks, frozen_inputs=np.full((11, 1), 100.0)).path.price[-1, 0] == 100.0


def test_steps_go_one_by_one() -> None:
    run = market(3)
    assert run.advance(0).step == 0  # the opening itself: nothing happens
    for step in (1, 2, 3):
        assert run.advance(step).step == step
    before = hash_arrays(run.arrays())
    for step in (4, 2, 7):
        with pytest.raises(ValueError, match="one by one"):
            run.advance(step)
    run.advance(3)
    assert hash_arrays(run.arrays()) == before


def test_restored_market_continues_bit_for_bit() -> None:
    def build() -> Market:
        return market(400, instruments=2, outside_world=GeometricBrownian(), seed=3, opening_seconds=28_700.0,
                      price_feed=PriceFeed(oracle_latency_seconds=5), shocks=[OracleLag(at=50, duration=100)],
                      volatility=VolatilityEstimator(sampling_seconds=7, window_seconds=70))

    def continue_to(run: Market, last: int) -> str:
        for step in range(run.step + 1, last + 1):
            state = run.advance(step)
            run.record["mid"] = state.index * (1.0 + 0.001 * math.sin(step))
            run.remark()
        return hash_arrays(run.arrays())

    whole, first, second = build(), build(), build()
    expected = continue_to(whole, 400)
    continue_to(first, 123)
    second.restore({name: array.copy() for name, array in first.arrays().items()})
    assert second.step == second.state.step == 123
    assert continue_to(second, 400) == expected


def test_every_result_can_state_mark_volatility_source_and_feedback() -> None:
    run = market(step_seconds=25.0, volatility=VolatilityEstimator(sampling_seconds=60))
    fields = run.fields()
    assert fields["mark"] == "median" and fields["volatility_source"] == "mark"
    assert fields["volatility_sampling_seconds"] == 50.0  # two whole steps, as it is done
    assert fields["index_feedback"] == 0.3


def test_wrong_inputs_are_refused_at_the_start() -> None:
    with pytest.raises(InputError, match="finite and positive"):
        market(1, frozen_inputs=frozen(100.0, -1.0))
    with pytest.raises(InputError, match=r"shape \(4, 1\)"):
        market(3, frozen_inputs=frozen(100.0, 100.0))
    with pytest.raises(InputError, match="opening price of BTCUSDT must be below max_price"):
        market(3, outside_world=ConstantPrice(1e6))
    with pytest.raises(InputError, match="window_seconds must be at least sampling_seconds"):
        VolatilityEstimator(window_seconds=10.0)
    with pytest.raises(InputError, match="mark must be one of"):
        PriceFeed(mark="twap")
