"""Policies at equal level: what is held equal is equal, and the catalogue holds the numbers that the command prints."""

import dataclasses
import json
import math
import tomllib

import numpy as np
import pytest

from spirals.scenarios import load_scenario, load_study, run
from spirals.scenarios.calibration.normalisation import BEFORE, NORMALISATIONS, Before, compare, main, policies_for
from spirals.scenarios.calibration.normalisation_data import event_volatility, past_of
from spirals.scenarios.inputs.catalogue_index import names
from spirals.simulation.errors import InputError
from spirals.simulation.margin import Floor, Static, UpdateInterval, VolatilityScaled, rate_history
from spirals.simulation.margin.chain import procyclicality_of, scaled_chain
from spirals.simulation.margin.coverage import breach_rate, equal_coverage_scale, horizon_moves
from spirals.simulation.margin.rate_history import volatility_history
from spirals.simulation.market.bars import load_bars
from spirals.simulation.market.data_files import resolve_data_file
from spirals.simulation.market.volatility import VolatilityEstimator
from spirals.simulation.measures.procyclicality import kupiec, kupiec_interval

EVENT, STUDY = "black-thursday-2020", "main-black-thursday"


@pytest.fixture(scope="module")
def found():
    return compare(load_scenario(EVENT), BEFORE[EVENT])


def rows(found, normalisation):
    return [row for row in found["policies"] if row["normalisation"] == normalisation]


def test_each_normalisation_holds_equal_what_it_says(found):
    level = {"equal_start": "opening", "equal_mean": "mean_before", "equal_coverage": "breach_breaches"}
    for normalisation, name in level.items():
        values = [row[name] for row in rows(found, normalisation)]
        assert len(values) == 4 and values == pytest.approx([values[0]] * 4, rel=1e-9)
        others = [row[other] for row in rows(found, normalisation) for other in level.values() if other != name]
        assert len({round(value, 6) for value in others}) > 2     # and the other two levels do move


def test_the_responsive_policy_peaks_higher_the_higher_pi(found):
    for normalisation in NORMALISATIONS:
        peaks = [row["event_peak"] for row in rows(found, normalisation)]
        assert peaks == sorted(peaks) and peaks[0] == rows(found, normalisation)[0]["opening"]


def test_the_opening_rate_and_the_event_are_those_of_a_run(found):
    # The venue's own trades move the mark of a run; with next to no open interest they cannot, and the rates agree.
    policy = load_study(STUDY).levers["policy"][5]     # pi 1, equal mean
    small = {"population.open_interest": 1e6, "population.traders": 50, "background.places": 56}
    scenario = load_scenario(EVENT, {**policy["set"], **small})
    row = rows(found, "equal_mean")[-1]
    rates = run(scenario, 1).record.steps["initial_rate"][:, 0]
    assert rates[0] == pytest.approx(row["opening"], rel=1e-12)
    assert rates.max() == pytest.approx(row["event_peak"], rel=0.02)
    assert rates.mean() == pytest.approx(row["event_mean"], rel=0.05)


@pytest.mark.parametrize("name", [name for name in names("study") if "policy" in load_study(name).levers])
def test_a_study_of_the_catalogue_holds_the_policies_that_the_command_prints(name):
    study = load_study(name)
    held, computed = study.levers["policy"], policies_for(study.scenario, study.set)

    def flat(values):
        return {(value["label"], path, key): item for value in values for path, given in value["set"].items()
                for key, item in (given.items() if isinstance(given, dict) else [("", given)])}

    assert len(held) == 11 and flat(held).keys() == flat(computed).keys()
    for place, value in flat(computed).items():
        same = value == flat(held)[place] if isinstance(value, str) else math.isclose(value, flat(held)[place],
                                                                                      rel_tol=1e-9)
        assert same, (place, value, flat(held)[place])


@pytest.mark.parametrize("name", BEFORE)
def test_the_base_of_applies_to_and_the_reference_margin_are_the_rates_at_pi_zero(name):
    scenario = load_scenario(name)
    zero = rate_history(scaled_chain(scenario.margin, 0.0, 1.0), [scenario.volatility.opening_estimate])[0]
    base = scenario.margin.inner.base
    assert (base.initial, base.maintenance) == pytest.approx(tuple(zero), rel=1e-12)
    assert scenario.population.reference_margin == pytest.approx(zero[0], rel=1e-12)


def test_policies_are_values_of_a_lever_that_reach_the_policy():
    chains = [load_scenario(EVENT, value["set"]).margin for value in load_study(STUDY).levers["policy"]]
    assert [procyclicality_of(chain).pi for chain in chains[:9]] == [0.0, 0.5, 1.0] * 3
    assert [procyclicality_of(chain).normalisation for chain in chains[:9:3]] == list(NORMALISATIONS)
    statics = [chain.inner.inner.inner for chain in chains[9:]]
    assert all(isinstance(static, Static) for static in statics) and statics[0].initial < statics[1].initial


def test_a_scale_that_a_bound_cuts_is_refused_and_so_is_a_history_without_breaches():
    scenario = load_scenario(EVENT)
    floored = dataclasses.replace(scenario, margin=Floor(scenario.margin, floor=0.016))
    with pytest.raises(InputError, match="bounds the rate"):
        compare(floored, BEFORE[EVENT], (1.0,))
    moves, rates = np.full(10, 0.01), np.full(10, 0.05)
    with pytest.raises(InputError, match="0 of 10"):
        equal_coverage_scale(moves, rates, rates)


def test_equal_coverage_is_exact_on_the_step_function():
    generator = np.random.default_rng(1)
    moves, rates, target = (np.exp(generator.normal(-4.0 + shift, 0.5, 500)) for shift in (0.0, 0.5, 0.6))
    scale, low, high = equal_coverage_scale(moves, rates, target)
    wanted = np.sum(moves > target)
    assert low < scale < high and np.sum(moves > scale * rates) == wanted
    assert np.sum(moves > low * rates) == wanted and np.sum(moves > high * (1 + 1e-12) * rates) < wanted
    assert np.sum(moves > low * (1 - 1e-12) * rates) > wanted
    assert equal_coverage_scale(moves, target, target)[0] == 1.0


def test_a_breach_is_a_move_of_either_side_beyond_the_margin():
    closes = np.array([100.0, 105.0, 94.5, 94.5])
    moves = horizon_moves(closes, 1)
    assert moves == pytest.approx([0.05, 0.10, 0.0])
    found = breach_rate(moves, np.array([0.04, 0.2, 0.04]), 1)
    assert (found.breaches, found.windows, found.share) == (1, 3, 1 / 3) and found.low < 1 / 3 < found.high
    assert breach_rate(np.tile(moves, 100), np.full(300, 0.04), 3).effective == 100.0


def test_the_ends_of_kupiecs_interval_are_where_his_test_turns():
    low, high = kupiec_interval(400, 0.02)
    for end in (low, high):
        assert kupiec(400, 8, end).p_value == pytest.approx(0.05, rel=1e-6)
    assert kupiec_interval(100, 0.0)[0] == 0.0 and kupiec_interval(100, 1.0)[1] == 1.0


def test_ranges_of_hours_read_the_volatility_nearly_as_five_minute_bars_do_and_closes_do_not():
    # Bands: the figures in the docstring of volatility_history, .51 against .55 and .77, with room of .03.
    fine = load_bars(resolve_data_file("btcusdt_perp_5m_2025-09_2025-10.csv"))
    fine = fine.window(fine.start_ms, 1760126400000)      # 10 October 2025, 20:00
    estimator = VolatilityEstimator(half_life_seconds=1800.0)
    close = np.log(fine.price[:, 3])
    half, decay, now = np.diff(close, prepend=close[0]) ** 2 * 288.0, 2.0 ** (-300.0 / 1800.0), 0.0138**2
    truth = np.array([now := decay * now + (1.0 - decay) * value for value in half])[11::12] ** 0.5
    hours = fine.merged(12)
    read, warm_up = volatility_history(hours, estimator)
    returns = np.diff(np.log(hours.price[:, 3]), prepend=np.log(hours.price[0, 3])) ** 2 * 24.0
    coarse = np.array([now := 0.25 * now + 0.75 * value for value in returns]) ** 0.5
    deviation = [np.log(values[24:]).std() for values in (truth, read, coarse)]
    assert warm_up == 3 and deviation == pytest.approx([0.51, 0.55, 0.77], abs=0.03)
    assert np.corrcoef(np.log(truth[24:]), np.log(read[24:]))[0, 1] > 0.9
    assert read[24:].mean() == pytest.approx(truth[24:].mean(), rel=0.05)


def test_history_knows_nothing_of_the_event_and_a_short_one_is_refused():
    scenario = load_scenario(EVENT)
    past = past_of(scenario, BEFORE[EVENT])
    assert past.moves.max() < 0.1 and past.bars_ahead == 2     # the crash of 12 March 10:30 is not in it
    with pytest.raises(InputError, match="had 3"):
        past_of(scenario, Before(BEFORE[EVENT].file, "2019-12-01T03:00"))


def test_an_interval_up_to_a_bar_is_the_same_as_none_and_a_longer_one_holds():
    rate, sigma = VolatilityScaled(), [0.02, 0.03, 0.04, 0.05]
    plain = rate_history(rate, sigma, 3600.0)
    assert np.array_equal(rate_history(UpdateInterval(rate, seconds=300.0), sigma, 3600.0), plain)
    assert np.array_equal(rate_history(UpdateInterval(rate, seconds=7200.0), sigma, 3600.0), plain[[0, 0, 2, 2]])


@pytest.mark.parametrize("seconds", [1.0, 300.0, 3600.0])
def test_update_interval_and_the_rate_that_moves_can_be_varied_by_path(seconds):
    short = {"steps": 400, "population.traders": 60, "background.places": 56, "margin.Procyclicality.pi": 1.0,
             "margin.UpdateInterval.seconds": seconds, "volatility.half_life_seconds": 60.0}
    rates = {which: run(load_scenario(EVENT, {**short, "margin.AppliesTo.which": which}), 1).record.steps
             for which in ("both", "initial", "maintenance")}
    changes = len(np.unique(rates["both"]["initial_rate"]))
    assert changes == {1.0: 7, 300.0: 2, 3600.0: 1}[seconds]     # one sample a minute, the last at 360 s
    assert len(np.unique(rates["initial"]["maintenance_rate"])) == 1
    assert np.unique(rates["maintenance"]["maintenance_rate"]).size == changes
    if seconds == 3600.0:
        assert np.array_equal(rates["both"]["initial_rate"], rates["initial"]["initial_rate"])


def opening_leverage(**changes):
    """Notional-weighted leverage of directional traders at the opening, and the initial rate offered."""
    from spirals.agents.model import SpiralModel

    fast = {"steps": 1, "population.neutral_share": 0.0, "background.places": 56}
    core = SpiralModel(setup=load_scenario("flash-crash", {**fast, **changes}), rng=2, collect_every=0).core
    traders = core.population.traders
    rate = float(core.record().steps["initial_rate"][0, 0])
    return float(np.median(traders["target_leverage"])), rate


@pytest.mark.parametrize("normalisation", ["equal_mean", "equal_coverage"])
def test_an_adapted_book_takes_more_leverage_where_a_responsive_policy_makes_calm_cheap(normalisation):
    # Volatility paradox: calm at half the volatility through the cycle halves the rate of pi = 1; traders lever up.
    calm = {"volatility.opening_volatility": 0.0157, "margin.Procyclicality.pi": 1.0,
            "margin.Procyclicality.normalisation": normalisation, "margin.Procyclicality.scale": 1.05}
    static, reference = opening_leverage(**{"margin.Procyclicality.pi": 0.0, "population.opening_book": "adapted"})
    given, offered = opening_leverage(**calm)
    adapted, same = opening_leverage(**calm, **{"population.opening_book": "adapted"})
    assert offered == same == pytest.approx(1.05 * reference / 2, rel=1e-9)
    assert adapted / static == pytest.approx(reference / offered, rel=0.02)
    assert given == pytest.approx(static, rel=0.02) and adapted > 1.8 * given


def test_an_adapted_book_shrinks_under_a_static_rate_at_the_peak():
    policies = load_study("main-ensemble").levers["policy"]      # the chain of flash-crash
    part = next(value["set"] for value in policies if value["label"] == "static at peak")
    static, reference = opening_leverage(**{"margin.Procyclicality.pi": 0.0})
    adapted, offered = opening_leverage(**part, **{"population.opening_book": "adapted"})
    assert offered > 5.0 * reference and adapted / static == pytest.approx(reference / offered, rel=0.1)


def test_the_ensemble_reads_the_same_crashes_as_a_study_of_root_seed_zero():
    paths = event_volatility(load_scenario("crash-ensemble"))
    peaks = np.array([path.max() for path in paths])
    assert len(paths) == 64 and {len(path) for path in paths} == {60} and len(np.unique(peaks)) == 64
    assert all(path[0] == 0.0314 for path in paths)


def test_the_command_prints_json_toml_and_tells_bad_input(capsys):
    assert main([EVENT, "--json"]) == 0
    assert {"policies", "static", "history"} <= json.loads(capsys.readouterr().out).keys()
    assert main([EVENT, "--toml"]) == 0
    assert len(tomllib.loads(capsys.readouterr().out)["levers"]["policy"]) == 11
    assert main(["calm"]) == 2 and "--bars" in capsys.readouterr().err
