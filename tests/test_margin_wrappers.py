"""The laws of the procyclicality wrappers, each on a path where the answer is known by hand."""

import dataclasses
import math

import numpy as np
import pytest

from spirals.simulation.errors import InputError
from spirals.simulation.margin import (
    AppliesTo,
    Buffer,
    Cap,
    Floor,
    Grandfather,
    MarginPolicy,
    MarginRequirement,
    Notice,
    Procyclicality,
    Ramp,
    SpeedLimit,
    Static,
    StressedWeight,
    Tiered,
    UpdateInterval,
    VolatilityScaled,
    equal_mean_scale,
)
from spirals.simulation.market.view import MarketState

# initial rate = volatility, maintenance = half of it
UNIT = VolatilityScaled(multiplier=1.0, horizon_hours=24.0, maintenance_fraction=0.5)


def run(policy, volatilities, step_seconds=1.0, stressed=0.1, n_instruments=1):
    """Requirements over a path of volatility, one per step."""
    market = MarketState.constant(n_instruments, step_seconds, stressed_volatility=stressed)
    market.record["volatility"] = volatilities[0]
    state = policy.start(market)
    charged = []
    for step, volatility in enumerate(volatilities):
        market.step = step
        market.record["volatility"] = volatility
        state, requirement = policy.update(state, market)
        assert requirement.problems(n_instruments) == []
        charged.append(requirement)
    return charged


def initial(policy, volatilities, **keywords):
    return np.array([requirement.initial_rates[0] for requirement in run(policy, volatilities, **keywords)])


def maintenance(policy, volatilities, **keywords):
    return np.array([requirement.maintenance_rates[0] for requirement in run(policy, volatilities, **keywords)])


WAVE = [0.05 * math.exp(math.sin(0.3 * step)) for step in range(60)]


def test_rate_follows_volatility_and_keeps_the_maintenance_fraction():
    policy = VolatilityScaled(multiplier=3.0, horizon_hours=6.0, maintenance_fraction=0.4)
    assert initial(policy, [0.04, 0.08]) == pytest.approx([0.06, 0.12])
    assert maintenance(policy, [0.04, 0.08]) == pytest.approx([0.024, 0.048])
    assert initial(policy, [0.0, 1e9]).tolist() == [1e-4, 1.0]


def test_missing_volatility_is_a_fault_and_not_a_low_rate():
    market = MarketState.constant(1, volatility=float("nan"))
    _, requirement = UNIT.update(UNIT.start(market), market)
    assert "finite" in requirement.problems()[0]


def test_ewma_step_response_of_the_margin_matches_the_closed_form():
    # sqrt(k^2 - (k^2 - 1) lambda^t), lambda .97, k 2: 1.193 / 1.337 / 1.539 after 5 / 10 / 20 days
    decay, factor, base = 0.97, 2.0, 0.01
    variance, volatilities = base**2, [base]
    for _ in range(20):
        variance = decay * variance + (1 - decay) * (factor * base) ** 2
        volatilities.append(math.sqrt(variance))
    rates = initial(VolatilityScaled(), volatilities, step_seconds=86400.0)
    assert rates[[5, 10, 20]] / rates[0] == pytest.approx([1.193, 1.337, 1.539], abs=5e-4)


class TestProcyclicality:
    def test_pi_zero_is_constant_peak_to_trough_exactly_one(self):
        rates = initial(Procyclicality(UNIT, pi=0.0, through_the_cycle_volatility=0.04), WAVE)
        assert rates.max() / rates.min() == 1.0
        assert rates[0] == 0.04

    def test_pi_one_is_the_inner_policy_exactly(self):
        assert initial(Procyclicality(UNIT, pi=1.0), WAVE).tolist() == initial(UNIT, WAVE).tolist()

    @pytest.mark.parametrize("normalisation", ["none", "equal_start", "equal_mean"])
    @pytest.mark.parametrize("pi", [0.25, 0.5, 0.9])
    def test_pi_is_the_elasticity_of_the_rate_to_volatility(self, pi, normalisation):
        scale = 1.2 if normalisation == "equal_mean" else 1.0
        policy = Procyclicality(UNIT, pi=pi, normalisation=normalisation, scale=scale)
        slopes = np.diff(np.log(initial(policy, WAVE))) / np.diff(np.log(WAVE))
        assert slopes == pytest.approx(np.full(len(slopes), pi), abs=1e-9)

    def test_formula_without_normalisation(self):
        rates = initial(Procyclicality(UNIT, pi=0.5, through_the_cycle_volatility=0.04), [0.09])
        assert rates == pytest.approx([math.sqrt(0.04 * 0.09)], rel=1e-14)

    def test_equal_start_opens_at_the_through_the_cycle_rate_whatever_pi(self):
        opening = {
            initial(Procyclicality(UNIT, pi, through_the_cycle_volatility=0.04, normalisation="equal_start"), WAVE)[0]
            for pi in (0.0, 0.3, 0.7, 1.0)
        }
        assert opening == {0.04}

    def test_equal_start_works_per_instrument(self):
        policy = Procyclicality(UNIT, pi=0.5, through_the_cycle_volatility=0.04, normalisation="equal_start")
        opening, later = run(policy, [np.array([0.02, 0.08]), np.array([0.08, 0.08])], n_instruments=2)
        assert opening.initial_rates.tolist() == [0.04, 0.04]
        assert later.initial_rates == pytest.approx([0.08, 0.04])

    def test_equal_mean_scale_gives_the_mean_through_the_cycle_rate_on_the_history(self):
        plain = Procyclicality(UNIT, pi=0.7, through_the_cycle_volatility=0.05)
        scale = equal_mean_scale(plain, WAVE)
        by_formula = 1 / np.mean((np.array(WAVE) / 0.05) ** 0.7)
        assert scale == pytest.approx(by_formula, rel=1e-12)
        scaled = dataclasses.replace(plain, normalisation="equal_mean", scale=scale)
        assert initial(scaled, WAVE).mean() == pytest.approx(0.05, rel=1e-12)

    @pytest.mark.parametrize("pi", [0.0, 0.37, 1.0])
    @pytest.mark.parametrize("normalisation", ["none", "equal_start", "equal_mean"])
    def test_policy_that_does_not_read_volatility_is_left_exactly_as_it_is(self, pi, normalisation):
        for inner in (Static(0.1, 0.07), Tiered()):
            plain, wrapped = run(inner, WAVE), run(Procyclicality(inner, pi=pi, normalisation=normalisation), WAVE)
            assert all(one.equals(other) for one, other in zip(plain, wrapped, strict=True))
            assert all(requirement is wrapped[0] for requirement in wrapped)

    def test_other_market_fields_reach_both_copies(self):
        class Thin(MarginPolicy):
            def update(self, state, market):
                return state, MarginRequirement(market.depth_bid[:, 0] * market.volatility, market.volatility * 1e-3)

        market = MarketState.constant(1, volatility=0.08, depth_bid=1.0)
        policy = Procyclicality(Thin(), pi=0.5, through_the_cycle_volatility=0.02)
        state = policy.start(market)
        state, calm = policy.update(state, market)
        market.record["depth_bid"] = 3.0
        state, thin = policy.update(state, market)
        assert thin.initial_rates / calm.initial_rates == pytest.approx([3.0])

    def test_scale_without_equal_mean_is_refused(self):
        with pytest.raises(InputError, match="scale must be 1"):
            Procyclicality(UNIT, scale=1.1)


def test_floor_and_cap_bound_the_initial_rate_and_keep_the_ratio():
    rates = run(Cap(Floor(UNIT, floor=0.04), cap=0.08), [0.01, 0.06, 0.5])
    assert [float(r.initial_rates[0]) for r in rates] == [0.04, 0.06, 0.08]
    assert [float(r.maintenance_rates[0]) for r in rates] == pytest.approx([0.02, 0.03, 0.04])


def test_floor_acts_bracket_by_bracket():
    charged = run(Floor(Tiered(), floor=0.05), [0.1])[0]
    tiers = run(Tiered(), [0.1])[0]
    assert charged.initial_rates[0].tolist() == [max(0.05, rate) for rate in tiers.initial_rates[0]]
    assert charged.maintenance_rates / charged.initial_rates == pytest.approx(
        tiers.maintenance_rates / tiers.initial_rates
    )


class TestBuffer:
    def test_peak_to_trough_falls_by_exactly_the_buffer(self):
        path = [0.05, 0.04, 0.03, 0.02, 0.03, 0.045, 0.06, 0.07]   # trough .02, peak .07, R = 3.5
        rates = initial(Buffer(UNIT, size=0.25), path)
        trough, peak = rates[3], rates[-1]
        assert trough == pytest.approx(0.025, rel=1e-12)            # full at the trough
        assert peak == pytest.approx(0.07, rel=1e-12)               # used up at the peak
        assert peak / trough == pytest.approx(3.5 / 1.25, rel=1e-9)

    def test_rise_smaller_than_the_buffer_changes_nothing(self):
        charged = run(Buffer(UNIT, size=0.25), [0.04, 0.045, 0.05])
        assert [float(r.initial_rates[0]) for r in charged] == [0.05, 0.05, 0.05]
        assert charged[2] is charged[0]

    def test_may_open_empty(self):
        assert initial(Buffer(UNIT, size=0.25, start_full=False), [0.04, 0.05]).tolist() == [0.04, 0.05]

    def test_never_above_one(self):
        assert initial(Buffer(UNIT, size=0.25), [0.9, 1.0, 0.5]).tolist() == [1.0, 1.0, 0.625]


class TestStressedWeight:
    def test_is_the_weighted_mean(self):
        rates = initial(StressedWeight(UNIT, weight=0.25), [0.04], stressed=0.12)
        assert rates == pytest.approx([0.75 * 0.04 + 0.25 * 0.12])

    def test_relative_rise_is_damped_by_the_share_of_the_current_rate(self):
        calm, now, stressed = 0.04, 0.09, 0.12
        rates = initial(StressedWeight(UNIT, weight=0.25, stressed_volatility=stressed), [calm, now], stressed=0.7)
        damping = 0.75 * calm / (0.75 * calm + 0.25 * stressed)
        assert rates[1] / rates[0] - 1 == pytest.approx((now / calm - 1) * damping, rel=1e-12)

    def test_policy_that_does_not_read_volatility_is_left_exactly_as_it_is(self):
        assert initial(StressedWeight(Static(0.1, 0.07)), WAVE).tolist() == [0.1] * len(WAVE)


class TestSpeedLimit:
    def test_rise_over_n_units_is_exactly_the_compound_limit(self):
        rates = initial(SpeedLimit(UNIT, up=0.03, seconds=10.0), [0.02] + [0.9] * 100)
        for n in (1, 3, 7):
            assert rates[10 * n] / rates[0] == pytest.approx(1.03**n, rel=1e-12)

    def test_limits_do_not_depend_on_the_length_of_the_step(self):
        short = initial(SpeedLimit(UNIT, up=0.03, down=0.1, seconds=10.0), [0.02] + [0.9] * 40, step_seconds=0.25)
        long = initial(SpeedLimit(UNIT, up=0.03, down=0.1, seconds=10.0), [0.02] + [0.9] * 2, step_seconds=5.0)
        assert short[-1] == pytest.approx(long[-1], rel=1e-12)

    def test_fall_is_limited_separately(self):
        policy = SpeedLimit(UNIT, up=1e6, down=0.2, seconds=1.0)
        assert initial(policy, [0.1, 0.01, 0.01, 0.5]) == pytest.approx([0.1, 0.08, 0.064, 0.5], rel=1e-12)

    def test_within_the_limits_the_inner_requirement_passes_through(self):
        rates = run(SpeedLimit(Static(), up=0.0, down=0.0), [0.1, 0.2, 0.3])
        assert rates[2] is rates[0]

    def test_catches_up_and_stops_at_the_target(self):
        rates = initial(SpeedLimit(UNIT, up=0.5, seconds=1.0), [0.04] + [0.08] * 4)
        assert rates.tolist() == pytest.approx([0.04, 0.06, 0.08, 0.08, 0.08])
        assert rates[-1] == 0.08


class TestUpdateInterval:
    def test_rate_changes_only_at_multiples_of_the_interval(self):
        path = [0.01 * (step + 1) for step in range(10)]
        rates = run(UpdateInterval(UNIT, seconds=4.0), path)
        assert [round(float(r.initial_rates[0]), 6) for r in rates] == [0.01] * 4 + [0.05] * 4 + [0.09] * 2
        assert rates[3] is rates[0]

    def test_inner_policy_is_called_only_then(self):
        calls = []

        class Counting(MarginPolicy):
            def update(self, state, market):
                calls.append(market.step)
                return state, MarginRequirement.flat(1, 0.1, 0.05)

        run(UpdateInterval(Counting(), seconds=0.3), [0.1] * 10, step_seconds=0.1)
        assert calls == [0, 3, 6, 9]

    def test_interval_that_is_no_multiple_of_the_step_keeps_its_average(self):
        calls = []

        class Counting(MarginPolicy):
            def update(self, state, market):
                calls.append(market.step)
                return state, MarginRequirement.flat(1, 0.1, 0.05)

        run(UpdateInterval(Counting(), seconds=2.5), [0.1] * 12)
        assert calls == [0, 3, 5, 8, 10]


class TestNotice:
    def test_increase_binds_after_the_notice_decrease_at_once(self):
        path = [0.02, 0.05, 0.05, 0.05, 0.05, 0.03, 0.03]
        assert initial(Notice(UNIT, seconds=3.0), path).tolist() == [0.02, 0.02, 0.02, 0.02, 0.05, 0.03, 0.03]

    def test_increase_taken_back_in_time_never_binds(self):
        assert initial(Notice(UNIT, seconds=3.0), [0.02, 0.05, 0.05, 0.02, 0.02, 0.02]).tolist() == [0.02] * 6

    def test_both_directions_wait_as_a_pure_delay(self):
        path = [0.02, 0.05, 0.01, 0.03, 0.03, 0.03]
        rates = initial(Notice(UNIT, seconds=2.0, direction="both"), path)
        assert rates.tolist() == [0.02, 0.02, 0.02, 0.05, 0.01, 0.03]

    @pytest.mark.parametrize("notice", [1, 7, 200])
    def test_equals_the_minimum_over_the_window_on_any_path(self, notice):
        path = np.exp(np.random.Generator(np.random.Philox(key=3)).normal(-3.0, 0.3, (80, 2)))
        rates = [r.initial_rates.tolist() for r in run(Notice(UNIT, seconds=float(notice)), path, n_instruments=2)]
        assert rates == [path[max(0, step - notice) : step + 1].min(axis=0).tolist() for step in range(len(path))]

    def test_instruments_wait_separately(self):
        path = [np.array([0.02, 0.05]), np.array([0.04, 0.03]), np.array([0.04, 0.06]), np.array([0.04, 0.06])]
        rates = [r.initial_rates.tolist() for r in run(Notice(UNIT, seconds=2.0), path, n_instruments=2)]
        assert rates == [[0.02, 0.05], [0.02, 0.03], [0.02, 0.03], [0.04, 0.03]]

    def test_no_notice_is_the_inner_policy(self):
        assert initial(Notice(UNIT, seconds=0.0), WAVE).tolist() == initial(UNIT, WAVE).tolist()

    def test_memory_is_bounded_by_the_notice(self):
        policy = Notice(UNIT, seconds=5.0, direction="both")
        market = MarketState.constant(1, 1.0, volatility=0.1)
        state = policy.start(market)
        for step, volatility in enumerate(WAVE * 5):
            market.step = step
            market.record["volatility"] = volatility
            state, _ = policy.update(state, market)
        assert len(state.replaced) == len(state.announced) == 6


class TestRamp:
    def test_maintenance_rises_linearly_and_the_initial_rate_at_once(self):
        policy, path = Ramp(UNIT, seconds=4.0), [0.04] + [0.08] * 6
        assert initial(policy, path).tolist() == [0.04] + [0.08] * 6
        assert maintenance(policy, path) == pytest.approx([0.02, 0.02, 0.025, 0.03, 0.035, 0.04, 0.04], rel=1e-12)

    def test_decrease_binds_at_once(self):
        assert maintenance(Ramp(UNIT, seconds=4.0), [0.08, 0.04, 0.04]).tolist() == [0.04, 0.02, 0.02]

    def test_fall_during_the_ramp_stops_where_it_is_lower(self):
        path = [0.04, 0.08, 0.08, 0.03, 0.03]
        assert maintenance(Ramp(UNIT, seconds=4.0), path) == pytest.approx([0.02, 0.02, 0.025, 0.015, 0.015])

    def test_new_target_restarts_from_the_rate_in_force(self):
        path = [0.04, 0.08, 0.08, 0.16, 0.16, 0.16, 0.16, 0.16]
        expected = [0.02, 0.02, 0.025] + [0.03 + 0.05 * share for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
        assert maintenance(Ramp(UNIT, seconds=4.0), path) == pytest.approx(expected, rel=1e-12)

    def test_change_of_one_instrument_does_not_restart_the_other(self):
        path = [[0.04, 0.04], [0.08, 0.04], [0.08, 0.04], [0.08, 0.10], [0.08, 0.10], [0.08, 0.10]]
        charged = run(Ramp(UNIT, seconds=4.0), [np.array(row) for row in path], n_instruments=2)
        assert [float(r.maintenance_rates[0]) for r in charged] == pytest.approx([0.02, 0.02, 0.025, 0.03, 0.035, 0.04])

    def test_ends_with_the_inner_requirement_itself(self):
        rates = run(UpdateInterval(UNIT, seconds=1e9), [0.1, 0.2])
        assert rates[1] is rates[0]
        charged = run(Ramp(UNIT, seconds=2.0), [0.04] + [0.08] * 5)
        assert charged[-1] is charged[-2]


def test_grandfathering_raises_only_the_flag():
    plain, flagged = run(UNIT, [0.1])[0], run(Grandfather(UNIT), [0.1])[0]
    assert flagged.grandfathered and not plain.grandfathered
    assert np.array_equal(plain.rates, flagged.rates)
    assert run(Floor(Buffer(Grandfather(UNIT))), [0.01])[0].grandfathered


class TestAppliesTo:
    def test_initial_only_leaves_maintenance_to_the_base(self):
        charged = run(AppliesTo(UNIT, base=Static(0.1, 0.02), which="initial"), [0.05, 0.3])
        assert [float(r.initial_rates[0]) for r in charged] == [0.05, 0.3]
        assert [float(r.maintenance_rates[0]) for r in charged] == [0.02, 0.02]

    def test_maintenance_only_leaves_the_initial_rate_to_the_base(self):
        charged = run(AppliesTo(UNIT, base=Static(0.1, 0.02), which="maintenance"), [0.05, 0.12])
        assert [float(r.initial_rates[0]) for r in charged] == [0.1, 0.1]
        assert [float(r.maintenance_rates[0]) for r in charged] == [0.025, 0.06]

    def test_initial_rate_is_raised_to_the_maintenance_rate_never_the_reverse(self):
        charged = run(AppliesTo(UNIT, base=Static(0.1, 0.08), which="initial"), [0.05])[0]
        assert (charged.initial_rates[0], charged.maintenance_rates[0]) == (0.08, 0.08)
        charged = run(AppliesTo(UNIT, base=Static(0.1, 0.08), which="maintenance"), [0.3])[0]
        assert (charged.initial_rates[0], charged.maintenance_rates[0]) == (0.15, 0.15)

    def test_both_is_the_inner_policy(self):
        assert initial(AppliesTo(UNIT, base=Static(), which="both"), WAVE).tolist() == initial(UNIT, WAVE).tolist()

    def test_flat_initial_with_tiered_maintenance(self):
        charged = run(AppliesTo(UNIT, base=Tiered(), which="initial"), [0.03])[0]
        tiers = run(Tiered(), [0.03])[0]
        assert np.array_equal(charged.maintenance_rates, tiers.maintenance_rates)
        assert charged.initial_rates[0].tolist() == [max(0.03, rate) for rate in tiers.maintenance_rates[0]]


@pytest.mark.parametrize("wrapper", [SpeedLimit, Buffer, Notice, Ramp, StressedWeight, Procyclicality])
def test_wrappers_with_memory_survive_a_change_of_brackets(wrapper):
    class Regrouping(MarginPolicy):
        def update(self, state, market):
            borders = [[0.0], [0.0, 100.0], [0.0, 50.0, 200.0]][market.step % 3]
            rates = np.array([[0.1 * (1 + 0.1 * market.step) * (1 + k) for k in range(len(borders))]])
            return state, MarginRequirement(rates, rates / 2, [borders])

    charged = run(wrapper(Regrouping()), [0.1] * 9)
    assert charged[-1].floors[0].tolist()[0] == 0.0


@pytest.mark.parametrize("wrapper, keywords", [
    (Floor, {"floor": 0.0}), (Cap, {"cap": 1.5}), (Buffer, {"size": -0.1}), (StressedWeight, {"weight": 1.1}),
    (SpeedLimit, {"up": -0.1}), (SpeedLimit, {"down": 1.1}), (SpeedLimit, {"seconds": float("inf")}),
    (UpdateInterval, {"seconds": 0.0}), (Ramp, {"seconds": 0.0}),
    (Notice, {"direction": "up"}), (Procyclicality, {"pi": 1.1}), (Procyclicality, {"normalisation": "same"}),
    (Procyclicality, {"through_the_cycle_volatility": float("nan")}),
])
def test_parameters_out_of_range_are_refused(wrapper, keywords):
    with pytest.raises(InputError, match=next(iter(keywords))):
        wrapper(Static(), **keywords)


def test_wrapping_something_else_is_refused():
    with pytest.raises(InputError, match="inner must be a margin policy"):
        Floor(0.05)
    with pytest.raises(InputError, match="base must be a margin policy"):
        AppliesTo(Static(), base=None)
