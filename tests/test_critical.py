"""Critical shocks: the first crossing of a probability, its interval, losses that are not monotone, refusals."""

import json

import numpy as np
import pytest

from spirals.scenarios.command.entry import main
from spirals.scenarios.feedback.critical import CriticalQuestion, critical_shock, wilson_interval
from spirals.scenarios.inputs.lever_range import LeverRange, parse_range
from spirals.simulation.errors import InputError

LEVER = LeverRange("shocks.0.size", -0.1, -0.3)
NOISE = np.random.Generator(np.random.Philox(key=7)).standard_normal(400)


def rising(place):
    """Loss 10 place plus noise of deviation 1: its median is 4 at place .4, a shock of -.18."""
    return 10.0 * place + NOISE


def test_the_critical_shock_is_where_the_median_loss_meets_the_tolerance():
    # 400 seeds: the median has an error of 1.25 / 20 = .063 losses, .0063 of the range, beside its resolution of .005.
    found = critical_shock(LEVER, rising, CriticalQuestion(4.0))
    assert found.estimate == pytest.approx(-0.18, abs=0.005)
    assert found.low > found.estimate > found.high
    assert found.crossings == (found.curve[[p.value for p in found.curve].index(found.crossings[0])].value,)
    assert found.falls == ()
    values = [point.value for point in found.curve]
    assert values == sorted(values, reverse=True) and values[0] == -0.1 and values[-1] == -0.3


def test_another_probability_moves_it_by_the_quantile():
    often = critical_shock(LEVER, rising, CriticalQuestion(4.0, probability=0.9))
    expected = -0.18 - 0.2 * 0.1 * 1.2816
    assert often.estimate == pytest.approx(expected, abs=0.006)


def test_the_interval_covers_at_its_rate():
    """Fresh seeds in 200 repetitions of 40; the nominal 95 % within three binomial errors (1.5 points each)."""
    covered = 0
    for key in range(200):
        noise = np.random.Generator(np.random.Philox(key=[1, key])).standard_normal(40)
        found = critical_shock(LEVER, lambda place, noise=noise: 10.0 * place + noise, CriticalQuestion(4.0, points=5))
        covered += found.high <= -0.18 <= found.low
    assert 0.905 <= covered / 200 <= 0.995


def test_a_loss_that_falls_again_gives_the_first_crossing_and_says_so():
    found = critical_shock(LEVER, lambda place: 10.0 * np.sin(np.pi * place) + 0.1 * NOISE, CriticalQuestion(5.0))
    assert found.estimate == pytest.approx(-0.1 - 0.2 / 6.0, abs=0.003)
    assert len(found.crossings) == 2 and found.falls


def test_a_critical_shock_outside_the_range_is_refused_with_what_was_found():
    with pytest.raises(InputError, match="beyond the range of shocks"):
        critical_shock(LEVER, rising, CriticalQuestion(100.0))
    with pytest.raises(InputError, match="below the range of shocks"):
        critical_shock(LEVER, rising, CriticalQuestion(-100.0))


def test_every_shock_is_run_once():
    seen = []

    def losses(place):
        seen.append(place)
        return rising(place)

    found = critical_shock(LEVER, losses, CriticalQuestion(4.0))
    assert len(seen) == len(set(seen)) == found.evaluations


def test_wilsons_interval_stays_within_zero_and_one():
    assert (wilson_interval(0, 10).low, wilson_interval(10, 10).high) == (0.0, 1.0)
    found = wilson_interval(5, 10)   # Wilson (1927), by hand: (.5 + z2/20 -+ z sqrt(.025 + z2/400)) / (1 + z2/10)
    assert (found.low, found.high) == pytest.approx((0.2366, 0.7634), abs=1e-4)


def test_ranges_may_be_logarithmic_whole_or_falling():
    lever = parse_range("--x", "population.traders=10:1000:log", "flash-crash")
    assert lever.whole and lever.override(0.5) == "population.traders=100" and lever.at(1.0) == 1000.0
    falling = parse_range("--shock", "shocks.0.size=-0.02:-0.3", "flash-crash")
    assert falling.at(0.5) == pytest.approx(-0.16) and not falling.whole


@pytest.mark.parametrize(("text", "word"), [
    ("shocks.0.size", "malformed"), ("shocks.0.size=1:2:3", "malformed"), ("shocks.0.size=a:b", "malformed"),
    ("shocks.0.size=1:1", "without extent"), ("shocks.0.size=-1:2:log", "no logarithm"),
    ("shocks.0.sise=1:2", "did you mean 'size'"), ("engine.liquidation=0:1", "no number"),
    ("shocks.0.size=-9:-0.1", "shocks"),
])
def test_a_range_that_makes_no_sense_is_refused(text, word):
    with pytest.raises(InputError, match=word):
        parse_range("--shock", text, "flash-crash")


def test_the_command_writes_curve_and_figure_and_tells_faults_together(tmp_path, capsys):
    change = ["-s", "population.traders=60", "-s", "steps=420", "-s", "background.places=60"]
    asked = ["-q", "critical", "flash-crash", *change, "--shock", "shocks.0.size=-0.01:-0.4", "--loss", "drawdown_mark",
             "--tolerance", "0.15", "--replications", "4", "--points", "3"]
    assert main([*asked, "--json", "--out", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert -0.25 < found["critical"]["estimate"] < -0.05
    assert found["runs"] == 4 * len(found["curve"])
    assert {path.name for path in tmp_path.glob("c*")} == {"curve.csv", "curve.svg", "curve.png", "critical.json"}
    assert main([*asked[:-6], "--tolerance", "9", "--replications", "4", "--points", "3"]) == 2
    assert "beyond the range" in capsys.readouterr().err
    assert main(["critical", "flash-crash", "--shock", "x", "--loss", "y", "--tolerance", "z"]) == 2
    said = capsys.readouterr().err
    assert "--shock" in said and "--loss" in said and "--tolerance" in said
