"""Sensitivity ranking: known orders and shares, words, U shapes, the floors of noise."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import qmc

from spirals.scenarios.analysis.effects import study_layout
from spirals.scenarios.analysis.sensitivity import rank_inputs
from spirals.scenarios.inputs.design import Range, axes_of, design_points
from spirals.scenarios.inputs.problems import Problems
from spirals.scenarios.inputs.study import load_study, study_cells
from spirals.scenarios.reports.sensitivity import pooled_over, ranking_figure, rankings_of
from spirals.scenarios.reports.study import study_page


def hypercube(n, names, seed=0):
    return pd.DataFrame(qmc.LatinHypercube(d=len(names), seed=seed).random(n), columns=list(names))


def test_first_order_shares_of_the_ishigami_function():
    # sin x1 + 7 sin^2 x2 + .1 x3^4 sin x1 on [-pi, pi]^3: shares .314, .442 and 0 (Saltelli et al. 2000); eight
    # classes lose some of x2, whose effect turns four times. Standard deviation over seeds .01.
    runs = hypercube(4096, "abc")
    a, b, c = (math.pi * (2.0 * runs[name] - 1.0) for name in "abc")
    runs["y"] = np.sin(a) + 7.0 * np.sin(b) ** 2 + 0.1 * c**4 * np.sin(a)
    found = rank_inputs(runs, list("abc"), "y", ranks=False, resamples=50)
    assert [one.name for one in found.factors] == ["b", "a", "c"]
    share = {one.name: one.share for one in found.factors}
    assert share["a"] == pytest.approx(0.314, abs=0.03) and 0.35 < share["b"] < 0.46
    assert not next(one for one in found.factors if one.name == "c").above_noise
    assert found.unexplained == pytest.approx(0.244, abs=0.1)       # x1 and x3 act together


def test_a_linear_outcome_is_ranked_by_its_coefficients_with_intervals_that_cover():
    coefficients = {"a": 4.0, "b": -2.0, "c": 1.0, "d": 0.0}
    variance = sum(c * c for c in coefficients.values())
    inside = 0
    for seed in range(10):
        runs = hypercube(128, coefficients, seed)
        runs["y"] = sum(c * runs[name] for name, c in coefficients.items())
        found = rank_inputs(runs, list(coefficients), "y", ranks=False, resamples=100, seed=seed)
        assert [one.name for one in found.factors[:2]] == ["a", "b"]
        trends = {one.name: one.trend for one in found.factors}
        assert trends["a"] > 0.7 and trends["b"] < -0.2
        inside += sum(one.low <= coefficients[one.name] ** 2 / variance <= one.high for one in found.factors[:2])
    assert inside >= 16                                             # of 20; at 95 % fewer than 16 are rare


def test_words_and_turning_effects_count_like_numbers():
    runs = hypercube(240, "xuz")
    runs["word"] = np.where(runs["z"] < 0.5, "index", "mark")
    runs["y"] = 4.0 * (runs["u"] - 0.5) ** 2 + 0.3 * (runs["word"] == "mark")
    found = {one.name: one for one in rank_inputs(runs, ["x", "u", "word"], "y", resamples=50).factors}
    assert found["u"].above_noise and found["u"].share > 0.5 and abs(found["u"].trend) < 0.2
    assert found["word"].above_noise and math.isnan(found["word"].trend)
    assert not found["x"].above_noise


def test_noise_of_seeds_is_told_apart_from_inputs():
    rng = np.random.default_rng(3)
    points = hypercube(150, "ab")
    runs = pd.concat([points.assign(y=points["a"] / math.sqrt(1 / 12) + rng.normal(size=150)) for _ in range(2)])
    found = rank_inputs(runs, ["a", "b"], "y", ranks=False, resamples=100)
    assert found.seed_noise == pytest.approx(0.5, abs=0.12) and found.factors[0].share == pytest.approx(0.5, abs=0.12)
    assert (found.n_points, found.n_runs) == (150, 300)
    assert not found.factors[1].above_noise


def test_an_input_without_effect_is_called_noise_in_most_samples():
    called = 0
    for seed in range(20):
        runs = hypercube(96, "abcdef", seed)
        runs["y"] = np.random.default_rng(seed).normal(size=96)
        called += sum(one.above_noise for one in rank_inputs(runs, list("abcdef"), "y", resamples=60).factors)
    assert called <= 4                                              # one expected: 5 % of 20 samples


def test_a_constant_outcome_has_no_ranking_to_speak_of():
    runs = hypercube(40, "ab").assign(y=1.0)
    assert [one.share for one in rank_inputs(runs, ["a", "b"], "y", resamples=10).factors] == [0.0, 0.0]


LEVER = "margin.Procyclicality.pi"


def sampled_study(n=40, seeds=2):
    """Manifest and runs of a study: damage falls with depth, the lever adds damage except under one word."""
    points = hypercube(n, ["depth.share", "population.top_up"])
    points["volatility.source"] = np.where(np.arange(n) % 2 == 0, "index", "mark")
    rng = np.random.default_rng(5)
    runs = pd.concat([points.assign(**{LEVER: pi}, replication=r, seed=r, status="done", stop_reason="end")
                      for pi in (0.0, 1.0) for r in range(seeds)], ignore_index=True)
    runs["excess_drawdown"] = 0.1 * (1 - runs["depth.share"]) + 0.001 * rng.normal(size=len(runs))
    runs["excess_drawdown"] += 0.05 * runs[LEVER] * (runs["volatility.source"] == "mark")
    design = {name: list(runs[name].unique()) for name in (LEVER, *points)}
    return {"name": "s", "lever": LEVER, "design": design, "sampled": list(points), "twins": ["T1"],
            "outcomes": ["excess_drawdown"], "replications": seeds}, runs


def test_the_report_of_a_sampled_study_ranks_levels_and_effects_of_the_lever():
    manifest, runs = sampled_study()
    runs.loc[0, "status"] = "failed"
    page = study_page(manifest, runs)
    assert "Which assumption matters most" in page and "159 of 160 complete" in page
    level, effect = (page.split(f"<p>{title}: ")[1].split("</p>")[0]
                     for title in ("Excess drawdown", "Effect on excess drawdown"))
    assert level.startswith("depth.share (") and effect.startswith("volatility.source (")
    assert "below the noise" in level and "seeds alone" in level
    # The lever over the sample: half of the points move by .05, so .025 on average, 40 points.
    assert "+2.5" in page and "Sampled points" in page
    assert "Cell</th>" in page and page.count("all runs") <= 3      # one cell, not one per point


def test_intervals_over_a_sample_count_points_not_runs():
    _, runs = sampled_study(seeds=2)
    pooled = pooled_over(runs, ["depth.share", "population.top_up", "volatility.source"], [LEVER])
    assert len(pooled) == 80 and pooled["replication"].nunique() == 40
    first = runs[(runs["depth.share"] == runs["depth.share"][0]) & (runs[LEVER] == 1.0)]["excess_drawdown"].mean()
    assert pooled[(pooled["replication"] == 0) & (pooled[LEVER] == 1.0)]["excess_drawdown"].iloc[0] == first


def test_the_figure_has_the_same_inputs_in_every_panel():
    manifest, runs = sampled_study()
    layout = study_layout(pooled_over(runs, manifest["sampled"], [LEVER]), [LEVER], LEVER)
    found = rankings_of(runs, manifest["sampled"], ["excess_drawdown"], layout)
    drawn = ranking_figure(found)
    labels = [text.get_text() for text in drawn.axes[0].get_yticklabels()]
    assert sorted(labels) == sorted(manifest["sampled"]) and len(drawn.axes) == 2
    assert all(len(panel.patches) == 3 for panel in drawn.axes)


def test_a_small_sample_is_not_ranked():
    manifest, runs = sampled_study(n=10)
    assert "Fewer than 16 sampled points" in study_page(manifest, runs)


def test_words_are_sampled_with_the_ranges_and_faults_are_told_at_once():
    problems = Problems()
    axes = axes_of({"volatility.source": {"any": ["index", "mark", "mid"]}, "x": {"low": 0.0, "high": 1.0}}, ("u",),
                   problems)
    points = design_points(axes, samples=30, seed=1)
    words = [point.columns["volatility.source"] for point in points]
    assert len(problems) == 0 and [words.count(word) for word in ("index", "mark", "mid")] == [10, 10, 10]
    assert points[0].settings[0] == ("volatility.source", words[0])
    axes_of({"a": {"any": []}, "b": {"any": ["x", "x"]}, "c": {"any": ["x"], "low": 0.0}}, ("u",), problems)
    assert len(problems) == 3


def test_the_sensitivity_study_resolves_at_every_corner():
    study = load_study("sensitivity")
    axes = [axis for axis in study.axes() if isinstance(axis, Range)]
    assert len(axes) >= 14
    corners = tuple({axis.path: axis.at(share) for axis in axes} for share in (0.0, 1.0))
    study = dataclasses.replace(study, uncertainties={}, points=corners, replications=1)
    assert len(study_cells(study)) == 4


def test_too_few_points_are_refused():
    with pytest.raises(ValueError, match="at least 8 points, has 2 and 4"):
        rank_inputs(hypercube(4, "ab").assign(y=0.0), ["a", "b"], "y")
