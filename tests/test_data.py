"""The shipped bars are what `scenarios/data/README.md` says they are."""

from importlib.resources import files

import pandas as pd
import pytest

DATA = files("spirals.scenarios.data")
MINUTES_2020 = "btcusdt_perp_1m_2020-03-12.csv"
MINUTES_2025 = "btcusdt_perp_1m_2025-10-10.csv"
HOURS_2020 = "btcusdt_perp_1h_2019-12_2020-03.csv"
STREAM = "btcusdt_perp_l2_2024-08-08.gz"
BTC_2025 = "btcusdt_perp_5m_2025-09_2025-10.csv"
ETH_2025 = "ethusdt_perp_5m_2025-09_2025-10.csv"
SPANS = {   # file: bar [s], rows, first and last opening
    MINUTES_2020: (60, 59, "2020-03-12 10:15", "2020-03-12 11:13"),
    MINUTES_2025: (60, 40, "2025-10-10 21:05", "2025-10-10 21:44"),
    HOURS_2020: (3600, 2928, "2019-12-01 00:00", "2020-03-31 23:00"),
    BTC_2025: (300, 13536, "2025-09-01 00:00", "2025-10-17 23:55"),
    ETH_2025: (300, 13536, "2025-09-01 00:00", "2025-10-17 23:55"),
}


def bars(name):
    with (DATA / name).open() as file:
        table = pd.read_csv(file)
    table.index = pd.to_datetime(table["open_time_ms"], unit="ms")
    return table


@pytest.mark.parametrize("name", SPANS)
def test_bars_are_complete_and_consistent(name):
    seconds, rows, first, last = SPANS[name]
    table = bars(name)
    assert len(table) == rows
    assert (table.index[0], table.index[-1]) == (pd.Timestamp(first), pd.Timestamp(last))
    assert (table["open_time_ms"].diff().dropna() == 1000 * seconds).all()
    assert (table["low"] > 0).all() and (table["volume"] >= 0).all()
    assert (table["low"] <= table[["open", "close"]].min(axis=1)).all()
    assert (table["high"] >= table[["open", "close"]].max(axis=1)).all()


@pytest.mark.parametrize("name", [*SPANS, STREAM])
def test_every_file_is_described_with_its_source(name):
    rows = [line for line in (DATA / "README.md").read_text().splitlines() if line.startswith(f"| `{name}`")]
    assert len(rows) == 1
    assert "Binance" in rows[0] or "as the row above" in rows[0]


def test_no_data_file_is_shipped_without_a_description():
    shipped = {entry.name for entry in DATA.iterdir() if entry.name.endswith((".csv", ".gz", ".feather"))}
    assert shipped == {*SPANS, STREAM}


def test_twelfth_of_march_2020_falls_by_28_percent_in_19_minutes():
    table = bars(MINUTES_2020)
    bottom = table["low"].idxmin()
    assert (bottom, table["low"].min()) == (pd.Timestamp("2020-03-12 10:48"), 5199.17)
    assert table["close"][bottom - pd.Timedelta(minutes=19)] == 7211.95
    fall = table["low"][bottom] / 7211.95 - 1
    assert fall == pytest.approx(-0.28, abs=0.005)


def test_volume_does_not_grow_with_the_range_of_the_worst_minutes():
    crash = bars(MINUTES_2020)["2020-03-12 10:40":"2020-03-12 10:50"]
    ranges = crash["high"] / crash["low"] - 1
    assert ranges.max() == pytest.approx(0.19, abs=0.005)
    assert crash["volume"][ranges.idxmax()] < crash["volume"].max()


def test_the_hours_of_march_2020_contain_the_minutes_and_the_second_leg():
    hours, minutes = bars(HOURS_2020), bars(MINUTES_2020)
    assert hours["low"].idxmin() == pd.Timestamp("2020-03-13 02:00")
    assert hours["low"].min() == 3621.81
    for hour, inside in minutes.groupby(minutes.index.floor("h")):
        assert hours["low"][hour] <= inside["low"].min() and inside["high"].max() <= hours["high"][hour]


def test_tenth_of_october_2025_falls_by_10_percent_in_8_minutes():
    table = bars(MINUTES_2025)
    bottom = table["low"].idxmin()
    assert (bottom, table["low"].min()) == (pd.Timestamp("2025-10-10 21:20"), 101516.5)
    assert table["close"][bottom - pd.Timedelta(minutes=8)] == 112891
    fall = table["low"][bottom] / 112891 - 1
    assert fall == pytest.approx(-0.101, abs=0.001)
    assert bars(ETH_2025)["low"]["2025-10-10 21:20"] == 3400.0


def test_minutes_of_october_2025_add_up_to_the_five_minute_bars():
    minutes = bars(MINUTES_2025)
    groups = minutes.groupby(minutes.index.floor("5min"))
    summed = groups.agg({"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"})
    expected = bars(BTC_2025).loc[summed.index, summed.columns]
    pd.testing.assert_frame_equal(summed, expected, check_exact=False, rtol=1e-9, check_names=False)
