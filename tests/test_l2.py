"""L2 streams: bad files are refused with every problem or repaired as asked; the fit finds what was planted."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from l2_support import Tape, steady

from spirals.scenarios import load_scenario
from spirals.scenarios.calibration.fit_book import REFILL_LAGS, fit_book, market_orders, recovery_fit
from spirals.scenarios.calibration.fit_book_output import depth_toml
from spirals.scenarios.calibration.l2 import read_l2
from spirals.scenarios.calibration.l2_book import DISTANCES_BP, replay
from spirals.scenarios.command.entry import main
from spirals.simulation.errors import InputError
from spirals.simulation.market.data_files import resolve_data_file
from spirals.simulation.market.depth import FittedDepth

SHIPPED = resolve_data_file("btcusdt_perp_l2_2024-08-08", ending=".gz")
BIDS, ASKS = [(100.0, 1.0), (99.0, 2.0)], [(101.0, 1.0), (102.0, 2.0)]


@pytest.fixture(scope="module")
def shipped():
    return fit_book(SHIPPED)


def tape():
    return Tape().snapshot(BIDS, ASKS).change(100, bids=[(100.0, 1.5)])


def test_the_shipped_stream_is_sound_and_complete(shipped):
    about = shipped.about
    assert about["repairs"] == [] and about["symbol"] == "BTCUSDT"
    # 6,551 changes less the four that end before the snapshot.
    assert (about["changes"], about["trades"]) == (6547, 21309)
    assert about["seconds"] == pytest.approx(344.6, abs=0.1)
    assert about["window_bp"] == pytest.approx([23.8, 28.4], abs=0.1)


def test_the_replayed_book_agrees_with_the_quotes_of_the_venue():
    stream = read_l2(SHIPPED)
    book = replay(stream)
    quoted = np.searchsorted(stream.quotes["time_ms"], book.time_ms, side="right") - 1
    middle = 0.5 * (stream.quotes["bid"] + stream.quotes["ask"])[np.maximum(quoted, 0)]
    gap = np.abs(np.log(book.mid / middle)) * 1e4
    assert np.median(gap[10:]) == 0.0 and np.mean(gap[10:] < 0.1) > 0.95


def test_the_code_holds_the_profile_that_the_command_prints(shipped):
    printed = np.array(shipped.tables["profile"]["notional"]) / 1e6
    assert FittedDepth().distance_bp == DISTANCES_BP
    assert FittedDepth().profile == pytest.approx(printed, rel=1e-3)
    assert FittedDepth().beyond_exponent == pytest.approx(shipped.values["depth_exponent"], abs=0.005)
    assert shipped.errors["depth_exponent"] < 0.1


def test_orders_near_the_touch_live_shorter_than_far_ones(shipped):
    assert 0.3 < shipped.values["lifetime_within_1bp_s"] < 2.0
    assert shipped.values["lifetime_7_28bp_s"] > 2 * shipped.values["lifetime_within_1bp_s"]
    assert shipped.values["cancelled_share_10bp"] > 0.9


@pytest.mark.parametrize("exponent", [1.0, 2.0])
def test_a_planted_exponent_and_flow_are_found(tmp_path, exponent):
    fit = fit_book(steady(exponent=exponent).write(tmp_path / "a.txt"))
    assert fit.values["depth_exponent"] == pytest.approx(exponent, abs=0.05)
    flow, profile = fit.tables["flow"], fit.tables["profile"]
    assert profile["bid_notional"][3] == pytest.approx(1000.0 * 5.0**exponent, rel=0.06)   # 5 bp are 5 ticks
    # A tenth of a unit at 1,000 arrives and leaves every 0.2 s on the bid: half of that per side, 250 per s.
    assert flow["arrivals_per_second"][0] == pytest.approx(250.0, rel=0.02)
    assert flow["cancels_per_second"][0] == pytest.approx(250.0, rel=0.02)
    assert fit.values["order_rate_per_s"] == pytest.approx(2.0, rel=0.02)
    assert fit.values["spread_median_bp"] == pytest.approx(1.0, rel=0.01)


def test_trades_are_no_cancellations(tmp_path):
    tape = Tape().snapshot(BIDS, ASKS)
    tape.trade(50, 101.0, 0.4).change(100, asks=[(101.0, 0.5)]).change(200)
    book = replay(read_l2(tape.write(tmp_path / "a.txt")))
    assert book.filled.sum() + book.removed.sum() == 0.0      # 50 bp from the mid: beyond the bands
    tape = Tape().snapshot([(1000.0, 1.0), (995.0, 1.0)], [(1000.1, 1.0), (1005.0, 1.0)])
    tape.trade(50, 1000.1, 0.4).change(100, asks=[(1000.1, 0.5)]).change(200)
    book = replay(read_l2(tape.write(tmp_path / "b.txt")))
    assert (book.filled[0], book.removed[0]) == pytest.approx((400.04, 100.01))


def test_two_time_scales_of_recovery_are_told_apart():
    lags = np.array(REFILL_LAGS)
    fast, slow, share = recovery_fit(1 - 0.3 * np.exp(-lags / 0.5) - 0.1 * np.exp(-lags / 10.0))
    assert (fast, slow, share) == pytest.approx((0.5, 10.0, 0.75))
    assert np.isnan(recovery_fit(np.full(len(lags), 1.1))).all()


def test_prints_of_one_market_order_are_put_together(tmp_path):
    tape = Tape().snapshot(BIDS, ASKS)
    tape.trade(10, 101.0, 1.0).trade(10, 102.0, 1.0).trade(10, 100.0, 1.0, buyer_takes=False).change(100)
    orders = market_orders(read_l2(tape.write(tmp_path / "a.txt")))
    assert orders["quantity"].tolist() == [2.0, 1.0] and orders["side"].tolist() == [1, -1]
    assert orders["price"].tolist() == [101.5, 100.0]


FAULTS = {
    "gap in update ids": lambda: tape().change(200, skip=5),
    "repeated update": lambda: tape().line(json.loads(tape().lines[-1].partition(" ")[2])),
    "unreadable line": lambda: tape().line({"data": {"e": "depthUpdate", "T": 1}}),
    "crossed snapshot": lambda: tape().snapshot([(103.0, 1.0)], ASKS),
    "one-sided snapshot": lambda: tape().snapshot([], ASKS),
    "crossed quote": lambda: tape().quote(100, 102.0, 101.0),
    "one-sided quote": lambda: tape().quote(100, 99.0, 101.0, size=0.0),
    "quote out of order": lambda: tape().quote(200, 100.0, 101.0).quote(100, 100.0, 101.0),
    "missing trades": lambda: tape().trade(100, 101.0, 1.0).trade(110, 101.0, 1.0, skip=3),
    "price or size of a trade out of range": lambda: tape().trade(100, 101.0, -1.0),
    "price or size of a level out of range": lambda: tape().change(200, bids=[(99.0, -1.0)]),
    "unknown message": lambda: tape().line({"data": {"e": "aggregate"}}),
    "another symbol": lambda: tape().line({"data": {"e": "trade", "s": "Y"}}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_refused_by_name_and_line_and_dropped_when_asked(tmp_path, fault):
    file = FAULTS[fault]().write(tmp_path / "a.txt")
    with pytest.raises(InputError, match=f"line [34]: {fault}"):
        read_l2(file)
    repaired = read_l2(file, repair=True)
    assert any(fault in line for line in repaired.repairs)
    assert len(repaired.diff_ms) >= 1


def test_all_faults_of_a_file_are_told_at_once(tmp_path):
    bad = tape().quote(100, 102.0, 101.0).line({"data": {"e": "aggregate"}}).change(200, skip=1)
    bad.lines.append("no message\n")
    with pytest.raises(InputError) as caught:
        read_l2(bad.write(tmp_path / "a.txt"))
    assert len(caught.value.problems) == 4


def test_after_a_gap_the_longest_unbroken_stretch_is_kept(tmp_path):
    bad = tape().change(200, skip=3)
    bad.snapshot(BIDS, ASKS, ms=210).change(300).change(5000)
    repaired = read_l2(bad.write(tmp_path / "a.txt"), repair=True)
    assert repaired.snapshot_ms - 1_000_000 == 210 and repaired.seconds == pytest.approx(4.79)
    assert "gap in update ids" in repaired.repairs[0]


def test_a_file_without_a_usable_snapshot_is_refused_even_with_repair(tmp_path):
    for bad in (Tape().change(100), Tape().change(100).change(200).snapshot(BIDS, ASKS, ms=300)):
        with pytest.raises(InputError, match="nothing to build a book from"):
            read_l2(bad.write(tmp_path / "a.txt"), repair=True)


def test_a_cut_off_file_is_refused_or_read_to_the_cut(tmp_path):
    whole = gzip.compress("".join(steady(seconds=20).lines).encode())
    cut = tmp_path / "cut.gz"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cut off or damaged"):
        read_l2(cut)
    repaired = read_l2(cut, repair=True)
    assert 1.0 < repaired.seconds < 19.0 and "cut off" in repaired.repairs[0]


def test_a_book_that_crosses_is_refused_or_the_older_level_gives_way(tmp_path):
    crossing = Tape().snapshot(BIDS, ASKS).change(100, bids=[(101.0, 3.0)]).change(200)
    stream = read_l2(crossing.write(tmp_path / "a.txt"))
    with pytest.raises(InputError, match=r"crossed book \(bid 101, ask 101\)"):
        replay(stream)
    repaired = replay(stream, repair=True)
    assert repaired.mid.tolist() == [101.5, 101.5] and "1 x crossed" in repaired.repairs[0]
    emptied = Tape().snapshot(BIDS, ASKS).change(100, bids=[(100.0, 0.0), (99.0, 0.0)])
    with pytest.raises(InputError, match="one-sided book"):
        replay(read_l2(emptied.write(tmp_path / "b.txt")))


def test_the_command_writes_a_scenario_that_loads(tmp_path, capsys):
    file = steady(exponent=1.5).write(tmp_path / "a.txt")
    assert main(["fit-book", str(file), "--json", "--out", str(tmp_path / "fit")]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert {row["quantity"] for row in answer["estimates"]} >= {"depth_exponent", "refill_fast_seconds"}
    scenario = load_scenario(tmp_path / "fit" / "fitted-depth.toml")
    assert isinstance(scenario.depth, FittedDepth)
    assert scenario.depth.profile == tuple(answer["parameters"]["depth"]["profile"])
    assert (tmp_path / "fit" / "fit.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "fit" / "fit.json").read_text())["about"]["changes"] == 610


def test_the_command_refuses_a_bad_file_with_status_2(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tape().quote(100, 102.0, 101.0).write(Path("a.txt"))
    assert main(["fit-book", "a.txt"]) == 2
    assert "a.txt, line 3: crossed quote" in capsys.readouterr().err
    assert main(["fit-book", "none.gz"]) == 2
    assert "data file must exist" in capsys.readouterr().err


def test_a_stream_too_short_to_fit_is_refused(tmp_path):
    with pytest.raises(InputError, match="at least 60 s of an unbroken book"):
        fit_book(steady(seconds=20).write(tmp_path / "a.txt"))


def test_refill_times_that_are_not_identified_are_left_out(shipped):
    text = depth_toml(shipped)
    assert "# slow_refill_seconds: not identified" in text
    assert "not shipped" not in text
