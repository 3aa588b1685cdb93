"""Numbers of reports: digits, units, intervals to their precision, thinned paths, escaped words."""

import math

import numpy as np

from spirals.scenarios.reports.figures_run import thinned
from spirals.scenarios.reports.html import escape, table
from spirals.scenarios.reports.numbers import (
    Scale,
    display_scale,
    format_interval,
    format_number,
    format_outcome,
    interval_column,
    short_name,
)
from spirals.simulation.measures.intervals import Interval, mean_interval


def test_thinning_keeps_the_extremes_of_a_path():
    times = np.arange(100_000.0)
    values = np.sin(times / 7.0)
    values[54_321], values[77_777] = -9.0, 9.0
    kept_times, kept = thinned(times, values, limit=1000)
    assert len(kept) <= 1001 and (kept.min(), kept.max()) == (-9.0, 9.0)
    assert np.all(np.diff(kept_times) > 0)


def test_numbers_have_sensible_digits_and_units():
    assert format_number(1234567.0) == "1 234 567"
    assert format_number(-0.012345) == "−0.0123"
    assert format_number(-1.36e-6) == "−1.36 × 10⁻⁶" and format_number(2.5e-5, 2) == "0.000025"
    assert format_number(0.0) == "0" and format_number(math.nan) == "n/a"
    assert format_outcome("excess_drawdown", 0.01234) == "1.23 log-%"
    assert format_outcome("bad_debt_gross", 2.5e6) == "2.50 million quote"
    assert format_outcome("forced_t50_seconds", 195.0) == "3 min 15 s"
    assert format_outcome("liquidated_accounts", 1200.0) == "1 200"
    assert format_outcome("amplification", math.nan) == "n/a"
    assert short_name("margin.Procyclicality.pi") == "π" and short_name("depth.type") == "depth"


def test_intervals_are_printed_to_the_precision_they_have():
    interval = Interval(0.0168123, 0.01628, 0.01734, 0.0002, 20)
    assert format_interval(interval, display_scale("log points", [0.02])) == "+1.681 [+1.628, +1.734]"
    assert format_interval(Interval(2.0, -math.inf, math.inf, math.nan, 5), Scale(1.0, "")) == "+2.00 [unbounded]"
    assert format_interval(mean_interval([]), Scale(1.0, "")) == "n/a"
    column = interval_column([Interval(1.0, 0.9, 1.1, 0, 9), Interval(20.0, 19.0, 21.0, 0, 9)], Scale(1.0, ""),
                             signed=False, symmetric=True)
    assert column == ["1.00 ± 0.10", "20.00 ± 1.00"]


def test_html_is_escaped_where_tables_are_made():
    assert escape('<a href="x">') == "&lt;a href=&quot;x&quot;&gt;"
    assert "<b>" not in table(("<b>h</b>\n<b>u</b>",), [("<b>x</b>",)], caption="<b>c</b>")
