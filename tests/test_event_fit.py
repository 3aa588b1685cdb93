"""Event calibration: moments of bars, what a Jacobian can tell, parameters that come back from a planted crash."""

import dataclasses
import json
import math

import numpy as np
import pytest

from spirals.agents.model import SpiralModel
from spirals.scenarios import load_scenario
from spirals.scenarios.calibration.deconvolution import bars_from_path
from spirals.scenarios.calibration.event_facts import FACTS
from spirals.scenarios.calibration.event_fit import BEHAVIOUR, FreeParameter, Score, fit_event, open_event
from spirals.scenarios.calibration.event_fit_text import sections
from spirals.scenarios.calibration.event_moments import (
    FlowBars,
    bar_moments,
    jackknife_errors,
    load_flow_bars,
    simulated_bars,
    windows,
)
from spirals.scenarios.calibration.identifiability import fitted_plane, identify, sensitivity, two_level_design
from spirals.scenarios.command.entry import main
from spirals.scenarios.command.event_fit_verb import fit_document, write_fit_folder
from spirals.simulation.errors import InputError
from spirals.simulation.market.frozen_path import GivenPath
from spirals.simulation.market.geometric_brownian import GeometricBrownian
from spirals.simulation.market.shocks import PriceJump, apply_price_shocks

HEADER = "open_time_ms,open,high,low,close,volume,taker_buy_volume"
TINY = (  # two calm minutes, two of fall (-20 %), two after
    "100,101,99.9,100,10,5", "100,100.5,99.8,100,20,12", "100,100,90,91,60,20", "91,92,80,81,40,10",
    "81,90,81,89,30,18", "89,91,88,90,15,9",
)
STEPS, BAR = 900, 60
FIRST = np.append(np.arange(0, STEPS, BAR), STEPS + 1)
TRUE_RATE, TRUE_BIAS, PLANTED_SEED = 4.0, 0.45, 5
RATE = FreeParameter("background.order_rate", 0.5, 12.0, True, "order rate")
BIAS = FreeParameter("background.anchor_bias", 0.0, 0.5, False, "anchor bias")


def written(path, rows, header=HEADER, start=36_900_000):
    lines = [header, *(f"{start + 60_000 * k},{row}" for k, row in enumerate(rows))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_moments_of_a_tiny_file_are_the_ones_computed_by_hand(tmp_path):
    _, bars = load_flow_bars(written(tmp_path / "tiny.csv", TINY))
    spans = windows(bars.price)
    assert (spans.fall, spans.after, spans.stop) == (2, 4, 6)      # a tenth of ln(101/80) below 101 is 98.7
    found = bar_moments(bars, spans, open_interest=1500.0)
    assert found["net_sold_fall"] == pytest.approx((20 + 20) / 100)       # (60 - 40) + (40 - 20) sold net of 100
    assert found["net_sold_after"] == pytest.approx((-6 - 3) / 45)
    assert found["volume_surge"] == pytest.approx(math.log(50 / 15))
    assert found["volume_after"] == pytest.approx(math.log(22.5 / 15))
    assert found["calm_turnover"] == pytest.approx(math.log(15 / 1500))
    assert found["net_sold_per_percent"] == pytest.approx(40 / 1500 / (100 * math.log(100 / 80)))
    price = bars.price
    assert found["bar_range"] == pytest.approx(np.log(price[:, 1] / price[:, 2]).mean())
    slope = np.polyfit(np.log(np.log(price[:, 1] / price[:, 2])), np.log(bars.volume), 1)[0]
    assert found["volume_on_range"] == pytest.approx(slope)
    flow = 2 * bars.bought / bars.volume - 1
    assert found["return_on_flow"] == pytest.approx(np.polyfit(flow, np.log(price[:, 3] / price[:, 0]), 1)[0])


def test_the_jackknife_of_a_mean_is_its_usual_standard_error():
    rng = np.random.default_rng(3)
    fall = np.concatenate([np.full(6, 100.0), np.linspace(96.0, 80.0, 6), np.full(6, 90.0)])
    high = fall * np.exp(rng.uniform(0.001, 0.01, 18))
    bars = FlowBars(np.column_stack([fall, high, fall, fall]), rng.uniform(5.0, 9.0, 18), np.full(18, 2.0))
    spans = windows(bars.price)
    width = np.log(high / fall)
    assert jackknife_errors(bars, spans)["bar_range"] == pytest.approx(width.std(ddof=1) / math.sqrt(18))
    calm = bars.volume[spans.masks()["calm"]]
    found = jackknife_errors(bars, spans, 1.0)["calm_turnover"]
    usual = calm.std(ddof=1) / math.sqrt(len(calm)) / calm.mean()
    assert found == pytest.approx(usual, rel=0.05)         # of a log: to first order


def test_the_two_crashes_have_only_moments_of_their_own_venue_leg_and_window():
    october, thursday = open_event("october-2025"), open_event("black-thursday-2020")
    named = {moment.name for moment in thursday.used("fitted", "checked")}
    assert "calm_turnover" not in named            # Binance's volume, another venue's open interest
    assert "calm_turnover" in {moment.name for moment in october.used("fitted")}
    assert {"fall", "reversal"} == {moment.name for moment in october.used("construction")}
    for event in (october, thursday):
        assert len(event.used("fitted")) > len(BEHAVIOUR)           # more moments than parameters
        assert all(moment.error > 0.0 for moment in event.used("fitted"))
        assert event.not_scored == FACTS[event.name].not_scored and len(event.not_scored) > 5
    sold = {moment.name: moment.observed for moment in october.moments}["net_sold_per_percent"]
    assert 600 < sold * 130_000 < 760       # BTC per log-%: about 680 over 21:11-21:15, the notes' own window


def test_sensitivity_is_the_closed_form_of_a_linear_model():
    # One parameter seen twice with errors 1 and 2: the estimate is the weighted mean, weights 4 : 1.
    found = sensitivity(np.array([[1.0], [1.0]]), np.array([1.0, 0.25]))
    assert np.allclose(found, [[-0.8, -0.2]])
    jacobian = np.array([[2.0, 1.0], [0.0, 4.0]])                     # as many as there are moments: the inverse
    assert np.allclose(sensitivity(jacobian, np.array([3.0, 7.0])), -np.linalg.inv(jacobian))
    whole = identify(("a", "b"), ("x", "y"), 20 * jacobian, np.zeros((2, 2)), np.eye(2))
    assert np.allclose(whole.lambda_, -np.linalg.inv(20 * jacobian)) and whole.rank == 2
    assert np.allclose(whole.errors, np.linalg.norm(np.linalg.inv(20 * jacobian), axis=1))
    assert whole.condition == pytest.approx(np.linalg.cond(jacobian))


def test_two_parameters_that_act_alike_are_found_out():
    rng = np.random.default_rng(1)
    error = np.full((6, 3), 0.5)
    column = rng.normal(0.0, 20.0, 6)
    jacobian = np.column_stack([column, column, rng.normal(0.0, 20.0, 6)]) + rng.normal(0.0, 0.5, (6, 3))
    found = identify([f"m{k}" for k in range(6)], ("twin one", "twin two", "alone"), jacobian, error, np.eye(6))
    assert found.rank == 2 and found.identified == ("alone",)
    assert "twin one" in found.unseen[0] and "twin two" in found.unseen[0] and "alone" not in found.unseen[0]
    assert found.part_seen == pytest.approx([0.5, 0.5, 1.0], abs=0.1)
    apart = jacobian + np.outer(rng.normal(0.0, 20.0, 6), [1.0, 0.0, 0.0])
    assert identify([f"m{k}" for k in range(6)], ("a", "b", "c"), apart, error, np.eye(6)).rank == 3


@pytest.mark.parametrize("n_parameters", [1, 2, 5, 7, 8])
def test_a_design_is_balanced_and_gives_the_slopes_of_a_plane(n_parameters):
    signs = two_level_design(n_parameters)
    assert np.array_equal(signs.T @ signs, len(signs) * np.eye(n_parameters))
    half = signs[: len(signs) // 2]
    assert np.array_equal(half.T @ half, len(half) * np.eye(n_parameters)) and not half.sum(axis=0).any()
    rng = np.random.default_rng(0)
    slope = rng.normal(size=(3, n_parameters))
    blocks = np.repeat([0, 1], len(half))       # one seed per half, with an offset of its own
    offset, noise = np.where(blocks == 0, 5.0, -5.0)[:, None], rng.normal(0.0, 1e-3, (len(signs), 3))
    values = signs @ slope.T * 0.1 + offset + noise
    _, found, _, _ = fitted_plane(0.1 * signs, np.zeros(n_parameters), blocks, values)
    assert np.allclose(found, slope, rtol=0.0, atol=0.025)     # five standard errors of four points, 1e-3 / .1 / 2


def test_a_moment_is_matched_within_joint_standard_errors():
    moment = open_event("october-2025").moments[0]
    near = Score(moment, moment.observed + 1.9 * moment.error, 0.0)
    assert near.matched and near.distance == pytest.approx(1.9)
    assert not Score(moment, moment.observed + 2.1 * moment.error, 0.0).matched
    assert Score(moment, moment.observed + 2.1 * moment.error, moment.error).matched


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """An event made by the market itself: the bars of its mark and the flow of its trades."""
    changes = {"name": "planted", "population.traders": 300, "steps": STEPS}
    calm = GeometricBrownian(price=7000.0, volatility=1.0).path(STEPS, 1.0, 1, PLANTED_SEED)
    jump = PriceJump(at=240.0, size=-0.1, ramp_seconds=300.0, rebound=0.3, rebound_seconds=180.0)
    truth = {**changes, RATE.path: TRUE_RATE, BIAS.path: TRUE_BIAS}
    scenario = dataclasses.replace(load_scenario("black-thursday-2020", truth),
                                   outside_world=GivenPath(apply_price_shocks(calm, [jump]).price, 36900.0))
    model = SpiralModel(setup=scenario, rng=PLANTED_SEED, collect_every=0, trades=True)
    model.run(STEPS)
    seen, record = model.core.recorder.arrays(), model.core.record()
    flow = simulated_bars(record, seen["trades"], seen["trade_steps"], FIRST)
    assert flow.volume.sum() == pytest.approx(record.steps["traded_lots"].sum() * record.lot_sizes[0])
    each = simulated_bars(record, seen["trades"], seen["trade_steps"], np.arange(STEPS + 2))   # flow beside its price
    assert each.volume == pytest.approx(record.steps["traded_lots"][:, 0] * record.lot_sizes[0])
    prices = bars_from_path(record.price("mark"), FIRST)
    rows = [",".join(map(repr, [*price, volume, bought])) for price, volume, bought in zip(
        prices.tolist(), flow.volume.tolist(), flow.bought.tolist(), strict=True)]
    path = written(tmp_path_factory.mktemp("planted") / "planted.csv", rows)
    return open_event("black-thursday-2020", [
        "name=planted", "population.traders=300", f"steps={STEPS}", f"outside_world.file={json.dumps(str(path))}"])


@pytest.fixture(scope="module")
def fit(planted):
    # The range of a bar is left out: prices here are those of the mark, which the path is solved for.
    event = dataclasses.replace(planted, moments=tuple(
        moment for moment in planted.moments if moment.name != "bar_range"))
    return fit_event(event, (RATE, BIAS), seeds=(0, 1), iterations=3, thin=True)


def test_planted_behaviour_is_recovered_within_its_stated_error(fit):
    assert fit.identification.identified[0] == "order rate"
    error = abs(RATE.unit(fit.estimate[0]) - RATE.unit(TRUE_RATE))
    # One planted event, hence three standard errors. This one is 1.7 below the truth, seeds 6 and 7 are 1.2 and 2.7
    # below: the rate comes out low, by about what the stated error allows. Two iterations do not reach the minimum.
    assert error < 3.0 * fit.identification.errors[0] and error < 0.15
    assert fit.objective[-1] < 0.5 * fit.objective[0]
    assert sum(fit.after.missed_bars) == 0


def test_the_answer_says_what_was_fitted_and_what_cannot_be_told(fit, tmp_path):
    parts = sections(fit, [], None, "", [])
    text = parts[-1][1]
    n, m = fit.after.count("fitted")
    assert m == 6 and f"2 free behaviour parameters against {m} moments" in text
    assert f"{n} of {m} moments are matched" in text and "no evidence" in text
    document = fit_document(fit, [], None, "", [])
    write_fit_folder(tmp_path / "out", "planted", "spirals fit-event planted", parts, document)
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".json", ".md", ".svg"]
    kept = json.loads((tmp_path / "out" / "event-fit-planted.json").read_text(encoding="utf-8"))
    assert kept["after"]["of"] == m and kept["parameters"][0]["estimate"] == pytest.approx(fit.estimate[0])
    assert np.shape(kept["identifiability"]["sensitivity"]) == (2, m)


def test_faults_of_the_flow_file_are_told_together_with_those_of_the_prices(tmp_path):
    rows = list(TINY)
    rows[1], rows[4] = "100,100.5,101,100,20,12", "81,90,81,89,30,31"
    with pytest.raises(InputError) as caught:
        load_flow_bars(written(tmp_path / "bad.csv", rows))
    assert len(caught.value.problems) == 3                       # the second says how bars can be repaired
    assert "high must be at least low" in str(caught.value) and "line 6" in str(caught.value)
    with pytest.raises(InputError, match="missing volume, taker_buy_volume"):
        load_flow_bars(written(tmp_path / "none.csv", TINY, HEADER.replace("volume", "other")))
    with pytest.raises(InputError, match="at least 2 bars before the fall"):
        windows(load_flow_bars(written(tmp_path / "short.csv", TINY[2:]))[1].price)


def test_faults_of_a_fit_are_told_together(planted):
    wrong = FreeParameter("depth.nothing", 2.0, 1.0, False, "wrong")
    with pytest.raises(InputError) as caught:
        fit_event(planted, (wrong,), seeds=(1, 1), iterations=0)
    assert [line.split()[0] for line in caught.value.problems] == ["parameter", "range", "seeds", "iterations"]
    with pytest.raises(InputError, match="the number of moments"):
        fit_event(planted, (RATE,) * 9)


def test_the_command_refuses_an_event_without_bars_and_tells_every_fault(capsys):
    assert main(["fit-event", "calm", "--seeds", "1", "--transfer", "no-such-event"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and all(line.startswith("spirals: ") for line in lines)
    assert any("--seeds" in line for line in lines) and any("HistoricalBars" in line for line in lines)
