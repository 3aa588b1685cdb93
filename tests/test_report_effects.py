"""Effects of a lever: paired within replications, cell by cell, with the arithmetic by hand."""

import math

import pandas as pd
import pytest

from spirals.scenarios.analysis.effects import (
    cell_effects,
    cells,
    completed,
    in_design_order,
    level_effects,
    overall_effect,
    study_layout,
)

PI, DEPTH, LEVERAGE = "margin.Procyclicality.pi", "depth.type", "population.leverage_multiplier"


def study(effect_by_depth, replications=4):
    """Outcome y = 10 (r + 1) + effect x pi + a little: replications differ far more than the effect."""
    rows = [
        {PI: pi, DEPTH: depth, LEVERAGE: leverage, "replication": r, "seed": 100 + r, "status": "done",
         "y": 10.0 * (r + 1) + effect * pi + 0.01 * (r % 2) * pi}
        for leverage in (1.0, 2.0)
        for depth, effect in effect_by_depth.items()
        for pi in (0.0, 0.5, 1.0)
        for r in range(replications)
    ]
    return pd.DataFrame(rows)


def test_layout_finds_lever_lines_and_panels():
    layout = study_layout(study({"Linear": 1.0, "Power": 1.0}))
    assert (layout.lever, layout.line, layout.panel) == (PI, DEPTH, LEVERAGE)
    assert layout.levels == (0.0, 0.5, 1.0)
    assert layout.cell_columns == (LEVERAGE, DEPTH)


def test_layout_of_another_study_takes_the_numeric_column_with_most_values():
    runs = pd.DataFrame({"depth.type": ["A", "B"] * 3, "liquidation.fee_rate": [0.0, 0.0, 0.1, 0.1, 0.2, 0.2]})
    assert study_layout(runs).lever == "liquidation.fee_rate"
    assert study_layout(runs, lever="depth.type").lever == "depth.type"
    assert study_layout(runs[["depth.type"]]).lever == "depth.type"
    assert study_layout(runs[["depth.type"]][:1]).lever is None


def test_effect_is_paired_so_that_differences_between_replications_do_not_hide_it():
    runs = study({"Linear": 1.0})
    effects = cell_effects(runs, study_layout(runs), "y")
    assert len(effects) == 2
    for effect in effects:
        # Differences are 1.00, 1.01, 1.00, 1.01 although the outcomes run from 10 to 41.
        assert effect.difference.estimate == pytest.approx(1.005)
        assert effect.difference.sign == 1
        assert effect.variance_ratio > 1e6


def test_effect_at_every_level_shows_where_between_the_ends_it_arises():
    runs = study({"Linear": 1.0, "Power": 3.0})
    runs.loc[runs[PI] == 0.5, "y"] -= 0.8  # all but a fifth of the mean effect of 1 at the middle is gone
    start, middle, end = level_effects(runs, study_layout(runs), "y")
    assert (start.estimate, start.low, start.high) == (0.0, 0.0, 0.0)
    assert middle.estimate == pytest.approx(1.0025 - 0.8)
    assert end == overall_effect(runs, study_layout(runs), "y").difference
    assert end.estimate == pytest.approx(2.005)


def test_a_replication_that_lacks_one_level_still_counts_at_the_others():
    runs = study({"Linear": 1.0})
    runs = runs[~((runs[PI] == 0.5) & (runs["replication"] == 1) & (runs[LEVERAGE] == 2.0))]
    assert [one.n for one in level_effects(runs, study_layout(runs), "y")] == [4, 3, 4]


def test_share_of_cells_in_which_each_sign_holds():
    runs = study({"Linear": 1.0, "Power": -1.0, "Root": 0.0, "Gap": 2.0})
    root = runs[DEPTH] == "Root"  # differences of -.02, .01, -.02, .03: no sign
    runs.loc[root, "y"] += runs[PI] * runs["replication"].map({0: -0.02, 1: 0.0, 2: -0.02, 3: 0.02})
    found = overall_effect(runs, study_layout(runs), "y")
    assert found.n_cells == 8
    assert (found.positive, found.negative, found.undetermined) == (0.5, 0.25, 0.25)
    assert found.difference.estimate == pytest.approx((1.005 - 0.995 + 0.0 + 2.005) / 4)


def test_overall_interval_is_over_replications_not_over_cells():
    # Two cells with the same seeds carry the same information once: n is 4 replications, not 8.
    runs = study({"Linear": 1.0})
    assert overall_effect(runs, study_layout(runs), "y").difference.n == 4


def test_failed_runs_are_left_out_and_counted_as_missing_pairs():
    runs = study({"Linear": 1.0})
    lost = (runs[LEVERAGE] == 1.0) & (runs[PI] == 1.0) & (runs["replication"] == 2)
    runs.loc[lost, "status"], runs.loc[lost, "y"] = "failed", math.nan
    assert len(completed(runs)) == len(runs) - 1
    first, second = cell_effects(runs, study_layout(runs), "y")
    assert (first.difference.n, first.missing) == (3, 1)
    assert (second.difference.n, second.missing) == (4, 0)
    assert overall_effect(runs, study_layout(runs), "y").difference.n == 3


def test_a_lever_of_words_has_a_difference():
    runs = study({"Linear": 1.0, "Power": 3.0})
    layout = study_layout(runs, lever=DEPTH)
    effect = cell_effects(runs[runs[PI] == 1.0], layout, "y")[0]
    assert effect.difference.estimate == pytest.approx(2.0)


def test_words_come_in_the_order_of_the_design_whatever_the_order_of_the_table():
    runs = study({"Root": 1.0, "Linear": 1.0}).sample(frac=1.0, random_state=1)
    ordered = in_design_order(runs, {PI: [0.0, 0.5, 1.0], DEPTH: ["Linear", "Root"], "absent": [1]})
    assert list(ordered[DEPTH].unique()) == ["Linear", "Root"]
    assert sorted(ordered.index) == sorted(runs.index)


def test_cells_come_in_order_of_numbers_and_of_appearance_of_words():
    runs = study({"Root": 1.0, "Linear": 1.0})
    found = [(cell[LEVERAGE], cell[DEPTH]) for cell, _ in cells(runs, (LEVERAGE, DEPTH))]
    assert found == [(1.0, "Root"), (1.0, "Linear"), (2.0, "Root"), (2.0, "Linear")]
