"""Bad and short files: every fault is refused by name and line, or repaired as asked and told."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from agents_support import BTC, simulate
from hypothesis import given, settings
from hypothesis import strategies as st
from l2_support import Tape

from spirals.agents.background import MOST_TAKERS, BackgroundFlow
from spirals.agents.population import Population
from spirals.agents.positions_file import read_positions
from spirals.scenarios.calibration.l2 import read_l2
from spirals.simulation.errors import InputError
from spirals.simulation.market.bars import load_bars
from spirals.simulation.market.depth_file import read_depth_file
from spirals.simulation.market.frozen_path import read_path_file
from spirals.simulation.market.historical_bars import HistoricalBars

BARS = ["open_time_ms,open,high,low,close,volume", *(f"{60000 * k},10,11,9,10,1" for k in range(6))]
DEPTH = ["distance_bp,bid_notional,ask_notional", "10,100,50", "100,1000,500"]
POSITIONS = ["account,instrument,side,size,entry_price,collateral", "a,BTCUSDT,long,2,10000,4000",
             "b,BTCUSDT,short,2,10000,4000"]
PATH = ["seconds,price", "0,100", "1,101", "2,99"]
READERS = {
    "bars": (BARS, load_bars),
    "depth": (DEPTH, lambda path: read_depth_file(str(path))),
    "positions": (POSITIONS, lambda path: read_positions(str(path), (BTC,), "refuse")),
    "path": (PATH, read_path_file),
}


def write(folder: Path, lines: list[str]) -> Path:
    path = folder / "file.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def refusal(read, path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    return str(caught.value)


@pytest.mark.parametrize("kind", READERS)
def test_byte_order_mark_windows_line_ends_and_blank_lines_change_nothing(tmp_path, kind):
    lines, read = READERS[kind]
    path = tmp_path / "file.csv"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n\r\n".join(lines).encode())
    read(path)
    assert "line 3: must have" in refusal(read, write(tmp_path, [lines[0], "", lines[1] + ",7", *lines[2:]]))


@pytest.mark.parametrize("kind", READERS)
def test_what_no_spreadsheet_should_have_saved_is_refused(tmp_path, kind):
    lines, read = READERS[kind]
    path = tmp_path / "file.csv"
    path.write_bytes(lines[0].encode() + b"\n\xff\xfe\x00\n")
    assert "readable CSV text in UTF-8" in refusal(read, path)
    path.write_bytes(b"")
    assert "was empty" in refusal(read, path)
    assert "at least" in refusal(read, write(tmp_path, lines[:1]))
    semicolons = [line.replace(",", ";") for line in lines]
    assert "separated by commas" in refusal(read, write(tmp_path, semicolons))
    assert "different names" in refusal(read, write(tmp_path, [lines[0] + "," + lines[0].split(",")[1], *lines[1:]]))
    assert "columns must" in refusal(read, write(tmp_path, ["x,y", "1,2", "3,4"]))
    decimal_comma = lines[1] + ",5"
    assert "line 2: must have" in refusal(read, write(tmp_path, [lines[0], decimal_comma, *lines[2:]]))
    assert "line 2: must have" in refusal(read, write(tmp_path, [lines[0], lines[1].split(",")[0], *lines[2:]]))


@pytest.mark.parametrize("value", ["nan", "inf", "-5", "", "abc", "1_000", "9" * 400])
@pytest.mark.parametrize("kind", READERS)
def test_values_that_are_no_usable_number_are_refused_with_their_line(tmp_path, kind, value):
    lines, read = READERS[kind]
    column = {"bars": 1, "depth": 1, "positions": 4, "path": 1}[kind]
    broken = lines[2].split(",")
    broken[column] = value
    text = refusal(read, write(tmp_path, [*lines[:2], ",".join(broken), *lines[3:]]))
    assert "line 3: " in text


def test_times_in_seconds_or_microseconds_are_no_milliseconds(tmp_path):
    stamped = [f"{1583971200 + 60 * k},10,11,9,10,1" for k in range(5)]
    assert "looks like seconds" in refusal(load_bars, write(tmp_path, [BARS[0], *stamped]))
    stamped = [f"{(1583971200 + 60 * k) * 10**6},10,11,9,10,1" for k in range(5)]
    assert "milliseconds, below 1e14" in refusal(load_bars, write(tmp_path, [BARS[0], *stamped]))


@settings(max_examples=60)
@given(
    order=st.permutations(range(9)), repeated=st.lists(st.integers(0, 8), max_size=3),
    lost=st.sets(st.integers(1, 7), max_size=2),   # most spacings stay those of neighbours
)
def test_shuffled_repeated_and_missing_bars_are_refused_or_put_right_and_told(tmp_path_factory, order, repeated, lost):
    """Whatever the order of the lines: the repaired bars are those of the file put right by hand."""
    folder = tmp_path_factory.mktemp("bars")
    row = {k: f"{60000 * k},10,{11 + k},9,{10 + 0.1 * k:.1f},1" for k in range(9)}
    kept = [k for k in order if k not in lost]
    again = [k for k in repeated if k not in lost]
    path = write(folder, [BARS[0], *(row[k] for k in kept), *(row[k] for k in again)])
    if kept == sorted(kept) and not again and not lost:
        assert load_bars(path).notes == ()
        return
    refusal(load_bars, path)
    bars = load_bars(path, 2, "repair")
    right = load_bars(write(folder, [BARS[0], *(row[k] for k in sorted(kept))]), 2)
    assert np.array_equal(bars.price, right.price) and np.array_equal(bars.open_time_ms, right.open_time_ms)
    told = "\n".join(bars.notes)
    assert ("put in order" in told) == (kept + again != sorted(kept + again))
    assert ("repeated time" in told) == bool(again)
    assert ("missing bars filled" in told) == bool(lost)


def test_lines_at_fault_are_dropped_when_asked_and_leave_a_gap(tmp_path):
    lines = [*BARS[:3], "120000,10,8,9,10,1", *BARS[4:]]      # high below low
    path = write(tmp_path, lines)
    assert 'faults = "repair"' in refusal(load_bars, path)
    assert "(gap_tolerance)" in refusal(lambda file: load_bars(file, 0, "repair"), path)
    bars = load_bars(path, 1, "repair")
    assert bars.price[2].tolist() == [10.0] * 4
    assert "line 4: high must be at least low" in bars.notes[0] and "1 missing bars filled" in bars.notes[1]


def test_every_run_on_repaired_bars_says_so(tmp_path):
    lines = [*BARS[:3], "180000,10,11,9,10,0", *BARS[5:]]     # bar 2 is missing, bar 3 has no volume
    path = str(write(tmp_path, lines))
    world = HistoricalBars(path, gap_tolerance=1)
    core = simulate(outside_world=world, steps=5)
    assert "file.csv: 1 missing bars filled at the last close; first after line 3" in core.stop_reason
    assert "file.csv: 1 bars without volume; first in line 4" in core.stop_reason
    assert simulate(steps=5).stop_reason == "horizon"
    assert "volume must be a number" in refusal(load_bars, write(tmp_path, [*BARS[:3], "120000,10,11,9,10,-1"]))


def test_every_run_on_a_balanced_book_says_so(tmp_path):
    file = str(write(tmp_path, [*POSITIONS[:2], "b,BTCUSDT,short,1,10000,4000"]))
    core = simulate(population=Population(positions_file=file, balance="background"))
    assert "BTCUSDT: the background balances 1 of " in core.stop_reason


def test_a_path_file_names_every_uneven_row(tmp_path):
    text = refusal(read_path_file, write(tmp_path, ["seconds,price", "0,1", "1,1", "3,1", "4,1", "4,1", "3,1"]))
    assert all(f"line {k}: seconds must rise evenly" in text for k in (4, 6, 7))


def test_a_depth_file_with_one_side_only_is_refused(tmp_path):
    assert "both sides" in refusal(READERS["depth"][1], write(tmp_path, [DEPTH[0], "10,100,0", "100,1000,0"]))


BIDS, ASKS = [(100.0, 5.0), (99.0, 5.0)], [(101.0, 5.0), (102.0, 5.0)]


def tape() -> Tape:
    return Tape().snapshot(BIDS, ASKS).change(100)


L2_FAULTS = {
    "update out of order": lambda: tape().change(50),
    "trade out of order": lambda: tape().trade(100, 101.0, 1.0).trade(50, 101.0, 1.0),
    "time out of range": lambda: tape().change(10**15),
    "price or size of a level out of range": lambda: tape().snapshot([(100.0, float("nan"))], ASKS),
    "price or size of a trade out of range": lambda: tape().trade(100, 101.0, float("inf")),
    "unreadable line": lambda: tape().line({"lastUpdateId": 10, "T": 1, "bids": [["1", "2", "3", "4"]], "asks": []}),
}


@pytest.mark.parametrize("fault", L2_FAULTS)
def test_faults_of_times_and_values_in_a_stream_are_refused_or_dropped(tmp_path, fault):
    file = L2_FAULTS[fault]().write(tmp_path / "a.txt")
    with pytest.raises(InputError, match=f"line [34]: {fault}"):
        read_l2(file)
    assert any(fault in line for line in read_l2(file, repair=True).repairs)


def test_market_orders_beyond_the_bound_are_counted_and_named():
    flow = BackgroundFlow(order_rate=100.0)
    core = simulate(background=flow, steps=5)
    cut = core.population.flows[0]
    assert cut["cut_steps"] == 5 and cut["cut_orders"] > 5 * 20
    assert f"cut at {MOST_TAKERS} in 5 steps, {cut['cut_orders']} not sent" in core.stop_reason
    calm = simulate(background=dataclasses.replace(flow, order_rate=1.0), steps=5)
    assert calm.population.flows[0]["cut_orders"] == 0 and calm.stop_reason == "horizon"
