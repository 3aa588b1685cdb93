"""Price bars: what a file must be, and that the path between the bars gives the bars back."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spirals.simulation.errors import InputError
from spirals.simulation.market.bars import Bars, load_bars
from spirals.simulation.market.bridge import high_first_probability
from spirals.simulation.market.data_files import resolve_data_file, shipped_data_files
from spirals.simulation.market.historical_bars import HistoricalBars, bridge
from spirals.simulation.randomness import stream_key

BLACK_THURSDAY = "btcusdt_perp_1m_2020-03-12.csv"
HEADER = "open_time_ms,open,high,low,close,volume"


def bars_of(rows: list[tuple[float, float, float, float]], seconds: float = 60.0) -> Bars:
    times = np.arange(len(rows), dtype=np.int64) * round(seconds * 1000)
    return Bars(times, np.array(rows, dtype=np.float64), seconds)


def rows_of_bar(bar: int, seconds: float, step: float, n_rows: int) -> range:
    first = math.ceil(bar * seconds / step - 1e-9)
    return range(first, min(math.ceil((bar + 1) * seconds / step - 1e-9), n_rows))


def write(folder: Path, *lines: str) -> Path:
    path = folder / "bars.csv"
    path.write_text("\n".join((HEADER, *lines)) + "\n", encoding="utf-8")
    return path


def problems_of_file(path: Path, **options: int) -> str:
    with pytest.raises(InputError) as caught:
        load_bars(path, **options)
    return "\n".join(caught.value.problems)


@st.composite
def bar(draw: st.DrawFn) -> tuple[float, float, float, float]:
    low = draw(st.floats(1.0, 1e5))
    width = draw(st.sampled_from([0.0, 1e-9, 1e-4, 0.01, 0.3]))  # 0: a flat bar
    high = low * (1.0 + width)
    place = st.sampled_from([0.0, 0.3, 1.0])  # open and close at the extremes or inside
    opening, close = (min(max(low + draw(place) * (high - low), low), high) for _ in range(2))
    return opening, high, low, close


@settings(max_examples=150)
@given(
    rows=st.lists(bar(), min_size=1, max_size=8),
    step=st.sampled_from([1.0, 0.25, 7.0, 13.0, 15.0]),
    seed=st.integers(0, 10_000),
)
def test_path_through_a_bar_shows_open_high_low_and_close_and_stays_inside(
    rows: list[tuple[float, float, float, float]], step: float, seed: int
) -> None:
    bars = bars_of(rows)
    n_steps = int(60.0 * len(rows) / step)
    price = bridge(bars, n_steps, step, stream_key(seed, "outside.bars"))
    for index, (opening, high, low, close) in enumerate(rows):
        inside = price[list(rows_of_bar(index, 60.0, step, n_steps + 1))]
        complete = (index + 1) * 60.0 <= n_steps * step + 1e-9
        assert inside[0] == opening
        assert inside.min() >= low and inside.max() <= high
        if complete:
            assert (inside.max(), inside.min(), inside[-1]) == (high, low, close)
    if n_steps * step == 60.0 * len(rows):
        assert price[-1] == rows[-1][3]


def test_bars_shorter_than_four_steps_are_merged_and_keep_their_extremes() -> None:
    rows = [(100, 102, 99, 101), (101, 103, 100, 102), (102, 102, 90, 95), (95, 97, 94, 96), (96, 98, 95, 97)] * 2
    price = bridge(bars_of(rows), 10, 60.0, stream_key(1, "outside.bars"))
    assert price[0] == 100 and price[-1] == 97
    assert (price[:4].max(), price[:4].min(), price[3]) == (103, 90, 96)
    assert (price[4:10].max(), price[4:10].min()) == (103, 90)  # the last group takes the remainder


def test_shipped_crash_resampled_to_minutes_gives_the_file_back() -> None:
    world = HistoricalBars(BLACK_THURSDAY)
    file = load_bars(resolve_data_file(BLACK_THURSDAY))
    path = world.path(59 * 60, 1.0, 1, seed=3)
    minutes = path.price[:-1, 0].reshape(59, 60)
    resampled = np.stack([minutes[:, 0], minutes.max(axis=1), minutes.min(axis=1), minutes[:, -1]], axis=1)
    assert np.array_equal(resampled, file.price)
    assert path.price.min() == 5199.17
    assert path.opening_seconds == 10 * 3600 + 15 * 60  # the file starts at 10:15 UTC


def test_every_shipped_price_file_loads_and_gives_a_path() -> None:
    names = [name for name in shipped_data_files() if name.startswith("btcusdt_perp")]
    assert {"1h", "1m", "5m"} <= {name.split("_")[2] for name in names}
    for name in names:
        world = HistoricalBars(name)
        steps = min(3600, world.available_steps(10.0))
        assert not world.path(steps, 10.0, 1, seed=0).problems(steps, 1)


def test_window_starts_with_the_bar_that_contains_start() -> None:
    whole = load_bars(resolve_data_file(BLACK_THURSDAY))
    world = HistoricalBars(BLACK_THURSDAY, start="2020-03-12T10:29:30", minutes=19)
    path = world.path(60, 1.0, 1, seed=0)
    assert path.price[0, 0] == whole.price[14, 0]
    assert path.opening_seconds == 10 * 3600 + 29 * 60


def test_same_seed_same_bytes_and_a_longer_path_begins_with_the_shorter() -> None:
    world = HistoricalBars(BLACK_THURSDAY)
    short, again, long = (world.path(n, 1.0, 1, seed=5).price for n in (1000, 1000, 3000))
    assert short.tobytes() == again.tobytes()
    assert short.tobytes() == long[:1001].tobytes()
    assert not np.array_equal(short, world.path(1000, 1.0, 1, seed=6).price)


def test_order_of_extremes_follows_the_direction_of_the_bar() -> None:
    assert high_first_probability(110.0, 110.0, 90.0, 90.0) > 0.99     # opens at the high, closes at the low
    assert high_first_probability(90.0, 110.0, 90.0, 110.0) < 0.01
    assert high_first_probability(100.0, 110.0, 90.0, 100.0) == pytest.approx(0.5)
    falling = high_first_probability(102.0, 110.0, 90.0, 98.0)
    rising = high_first_probability(98.0, 110.0, 90.0, 102.0)
    assert 0.5 < falling < 0.8 and falling + rising == pytest.approx(1.0)


def test_order_of_extremes_agrees_with_simulated_brownian_bars() -> None:
    # Bars with distances open-high and close-low near (a, b), in units of the range. About 800 bars per
    # cell: standard error of the share .017; with the .04 of the formula the tolerance is .09.
    rng = np.random.default_rng(0)
    cells = []
    for _ in range(4):
        path = np.cumsum(rng.standard_normal((40_000, 200), dtype=np.float32), axis=1)
        path -= path[:, :1]
        high, low = path.max(axis=1), path.min(axis=1)
        cells.append(((high / (high - low)), (path[:, -1] - low) / (high - low), path.argmax(1) < path.argmin(1)))
    a, b, first = (np.concatenate(part) for part in zip(*cells, strict=True))
    for x, y in ((0.4, 0.4), (0.3, 0.3), (0.2, 0.75), (0.6, 0.2), (0.5, 0.5)):
        cell = (np.abs(a - x) < 0.04) & (np.abs(b - y) < 0.04)
        expected = high_first_probability(1.0, math.exp(x), math.exp(x - 1.0), math.exp(x - 1.0 + y))
        assert cell.sum() > 500
        assert first[cell].mean() == pytest.approx(expected, abs=0.09)


def test_drawn_order_has_the_stated_probability() -> None:
    # 4,000 equal bars: standard error of a share is below 0.008; tolerance 4 standard errors.
    row = (102.0, 110.0, 90.0, 98.0)
    price = bridge(bars_of([row] * 4000), 4000 * 60, 1.0, stream_key(0, "outside.bars"))[:-1].reshape(4000, 60)
    share = float(np.mean(np.argmax(price == 110.0, axis=1) < np.argmax(price == 90.0, axis=1)))
    assert share == pytest.approx(high_first_probability(*row), abs=0.032)


def test_bridge_neither_invents_nor_hides_volatility() -> None:
    # Bars are cut from a Brownian path of known volatility; the bridge must give it back at the
    # scale of steps (range-based variance: unbiased up to the discreteness of 60 rows) and at the
    # scale of bars (closes are the same). 3,000 bars: standard error of the variance ratio 2 %.
    rng = np.random.default_rng(7)
    sigma = 1e-3
    fine = np.cumsum(sigma / math.sqrt(600) * rng.standard_normal((3000, 600)).ravel())
    bars = fine.reshape(3000, 600)
    rows = np.exp(np.stack([bars[:, 0], bars.max(axis=1), bars.min(axis=1), bars[:, -1]], axis=1))
    path = np.log(bridge(bars_of([tuple(row) for row in rows]), 3000 * 60, 1.0, stream_key(2, "outside.bars")))
    per_bar = np.sum(np.diff(path[:-1].reshape(3000, 60), axis=1) ** 2, axis=1).mean()
    assert per_bar == pytest.approx(sigma**2, rel=0.12)


def test_a_malformed_file_reports_every_problem_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "0,10,11,9,10,1",
        "60000,10,8,9,10,1",       # high below low
        "120000,10,11,9,12,1",     # close outside
        "180000,10,nan,9,10,1",    # not a number
        "240000,-1,11,9,10,1",     # negative
        "300000,10,11,9,10,1",
        "300000,10,11,9,10,1",     # repeated
        "360000,10,11,9,10,1",
        "60000,10,11,9,10,1",      # back in time
        "420000,10,11,9,10,1",
    )
    text = problems_of_file(path)
    for what in ("line 3: high must be at least low", "line 4: open and close must lie in", "line 5: open, high",
                 "line 6: open, high", "line 8: open_time_ms must not repeat", "line 10: open_time_ms must rise"):
        assert what in text, text


@pytest.mark.parametrize(("lines", "message"), [
    (["0,10,11,9,10,1"], "at least 2 bars"),
    (["0,10,11,9,10,1", "x,10,11,9,10,1", "120000,10,11,9,10,1"], "whole number of milliseconds"),
    (["0,10,11,9,10,1", "60000,10,11,9,10,1", "120000,10,11,9,10,1", "150000,10,11,9,10,1"], "bar length of 60 s"),
])
def test_unusable_files_are_refused(tmp_path: Path, lines: list[str], message: str) -> None:
    assert message in problems_of_file(write(tmp_path, *lines))


def test_missing_columns_and_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text("time,open,close\n0,1,1\n", encoding="utf-8")
    assert "missing open_time_ms, high, low" in problems_of_file(path)
    assert "must exist" in problems_of_file(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"did you mean btcusdt_perp_1m_2020-03-12\.csv"):
        resolve_data_file("btcusdt_perp_1m_2020-3-12.csv")


def test_gaps_need_a_tolerance_and_are_filled_with_flat_bars(tmp_path: Path) -> None:
    path = write(tmp_path, "0,10,11,9,10,1", "60000,10,11,9,10.5,1", "120000,10.5,11,9,10,1", "240000,10,12,9,11,1")
    assert "(gap_tolerance)" in problems_of_file(path)
    bars = load_bars(path, gap_tolerance=1)
    assert bars.n_bars == 5 and bars.price[3].tolist() == [10.0] * 4
    assert bars.price[4].tolist() == [10.0, 12.0, 9.0, 11.0]


def test_file_beside_the_scenario_comes_before_the_shipped_one(tmp_path: Path) -> None:
    (tmp_path / BLACK_THURSDAY).write_text("x", encoding="utf-8")
    assert resolve_data_file(BLACK_THURSDAY, str(tmp_path)) == tmp_path / BLACK_THURSDAY
    assert resolve_data_file(BLACK_THURSDAY) == shipped_data_files()[BLACK_THURSDAY]
    assert resolve_data_file(BLACK_THURSDAY.removesuffix(".csv")) == shipped_data_files()[BLACK_THURSDAY]


@pytest.mark.parametrize(("options", "message"), [
    ({"start": "yesterday"}, "start must be an ISO time"),
    ({"end": "2020-03-12T11:00", "minutes": 5.0}, "only one of end and minutes"),
    ({"start": "2020-03-12T11:00", "end": "2020-03-12T10:30"}, "end must be after start"),
])
def test_windows_that_make_no_sense_are_refused(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        HistoricalBars(BLACK_THURSDAY, **options)


def test_a_run_longer_than_the_history_is_refused_with_what_there_is() -> None:
    world = HistoricalBars(BLACK_THURSDAY)
    assert world.available_steps(1.0) == 3540
    with pytest.raises(InputError, match="steps must be at most 3540") as caught:
        world.path(3541, 1.0, 2, seed=0)
    assert "file must name 2 files" in str(caught.value)
    with pytest.raises(InputError, match="window must lie in 2020-03-12T10:15:00"):
        HistoricalBars(BLACK_THURSDAY, start="2019-03-12").path(10, 1.0, 1, seed=0)


def test_two_histories_of_one_window_drive_two_instruments(tmp_path: Path) -> None:
    files = ("btcusdt_perp_5m_2025-09_2025-10.csv", "ethusdt_perp_5m_2025-09_2025-10.csv")
    world = HistoricalBars(files, start="2025-10-10T21:00", minutes=30)
    path = world.path(1800, 1.0, 2, seed=0)
    assert path.price.min(axis=0).tolist() == [101516.5, 3400.0]  # the lows of 21:20
    other = write(tmp_path, "0,10,11,9,10,1", "60000,10,11,9,10,1")
    with pytest.raises(InputError, match="must cover the same window"):
        HistoricalBars((files[0], str(other))).path(10, 1.0, 2, seed=0)
