"""Reports: one self-contained page, from files alone, with text that follows from the numbers."""

import dataclasses
import html.parser
import json
import math
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from measures_support import liquidation_rows, make_record

from spirals.scenarios.inputs.study import load_study, study_cells
from spirals.scenarios.reports.inputs import depth_models
from spirals.scenarios.reports.reference import write_reference
from spirals.scenarios.reports.write import write_report
from spirals.scenarios.results.run_tables import read_run_tables, run_tables
from spirals.simulation.errors import InputError
from spirals.simulation.measures.losses import CLASSES
from spirals.simulation.measures.outcomes import outcomes
from spirals.simulation.state import Cause

PI, DEPTH, LEVERAGE = "margin.Procyclicality.pi", "depth.type", "population.leverage_multiplier"
HOSTILE = '<script>alert("x")</script>'


class Outline(html.parser.HTMLParser):
    """Collects tags, references and open elements of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.references, self.ids, self.open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name in ("href", "src", "srcset", "action"):
                self.references.append(value)
            if name == "id":
                self.ids.append(value)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.open.pop()


def write_study(folder, **changes):
    rng = np.random.Generator(np.random.Philox(key=5))
    rows = []
    for leverage in (1.0, 2.0):
        for depth in ("LinearDepth", "SquareRootDepth"):
            for pi in (0.0, 0.5, 1.0):
                for r in range(5):
                    noise = 0.001 * rng.standard_normal()
                    row = {"run_id": f"{len(rows):03d}", PI: pi, LEVERAGE: leverage, DEPTH: depth, "replication": r,
                           "seed": r, "status": "done", "stop_reason": "end", "drawdown_mark": 0.2 + 0.02 * pi + noise,
                           "twin_drawdown_mark": 0.15, "excess_drawdown": 0.05 + 0.02 * pi + noise,
                           "forced_notional": 1e8 * (1 + pi) * leverage, "bad_debt_gross": 2e6 - 1e6 * pi + 1e4 * r,
                           "margin_locked": 3e8}
                    rows.append(row | {f"pnl_{name}": 1e6 * k for k, name in enumerate(CLASSES)})
    runs = pd.DataFrame(rows)
    manifest = {
        "schema_version": 1, "kind": "study", "name": "procyclicality", "title": "A study", "lever": PI,
        "design": {PI: [0.0, 0.5, 1.0], LEVERAGE: [1.0, 2.0], DEPTH: ["LinearDepth", "SquareRootDepth"]},
        "scenario": "black-thursday-2020", "replications": 5,
        "inputs": {"scenario": {
            "name": "black-thursday-2020", "outside_world": {"type": "HistoricalBars", "file": "bars.csv"},
            "price_feed": {"type": "PriceFeed", "mark": "median", "index_feedback": 0.4, "feedback_seconds": 60.0},
            "volatility": {"type": "VolatilityEstimator", "source": "mark", "sampling_seconds": 60.0},
            "margin": {"type": "Cap", "inner": {"type": "no_such_file.py:Mine", "normalisation": "equal_start"}},
            "depth": {"type": "LinearDepth"}, "population": {"type": "Population", "opening_book": "given"},
            "sources": {"outside_world": "public bars", "depth": "assumption: see notes"}}},
        **changes,
    }
    folder.mkdir(exist_ok=True)
    runs.to_parquet(folder / "runs.parquet")
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return runs


def write_run(folder, **changes):
    record = make_record(list(100.0 - 20.0 * np.sin(np.linspace(0.0, 3.0, 400))))
    record.steps["sold_notional"][100:140, 0, Cause.LIQUIDATION] = 50.0
    record.steps["bought_notional"][300, 0, Cause.STOP_LOSS] = 70.0
    record.steps["spread"][120:125] = math.nan
    record = dataclasses.replace(record, liquidations=liquidation_rows([(0, 100, 0, 6, -10, 2000.0)]))
    twin = make_record(np.full(400, 100.0))
    folder.mkdir(exist_ok=True)
    for prefix, one in (("", record), ("twin_T1_", twin)):
        for name, frame in run_tables(one).items():
            frame.to_parquet(folder / f"{prefix}{name}.parquet")
    measured = {name: None if math.isnan(value) else value for name, value in outcomes(record, {"T1": twin}).items()}
    run = {"schema_version": 1, "scenario": "flash-crash", "seed": 3, "stop_reason": "end", "outcomes": measured,
           "attribution": {"drawdown_mark": {"impact of forced orders": 0.2}},
           "inputs": {"scenario": {"name": "flash-crash", "opening_seconds": 36900.0}},
           "targets": [{"quantity": "Fall", "low": 0.2, "high": 0.3, "source": "press", "outcome": "drawdown_mark"},
                       {"quantity": "Cut", "high": 0.0, "source": HOSTILE, "outcome": "adl_notional"}], **changes}
    (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    return record


def text_of(page):
    """Return the words of a page without tags."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<style.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL)))


@pytest.fixture(scope="module")
def study_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    write_study(folder)
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_run(folder)
    write_report(folder)
    return folder


@pytest.mark.parametrize("which", ["study_folder", "run_folder"])
def test_page_is_well_formed_and_needs_nothing_from_outside(which, request):
    page = (request.getfixturevalue(which) / "report.html").read_text(encoding="utf-8")
    outline = Outline(page)
    assert outline.open == []
    assert "script" not in outline.tags and "link" not in outline.tags and "svg" in outline.tags
    assert all(reference.startswith("#") for reference in outline.references)
    assert not re.search(r"https?:|//\w|@import|url\((?!#)", page)
    sections = [reference[1:] for reference in outline.references if f'href="{reference}">' in page.split("</nav>")[0]]
    assert sections and set(sections) <= set(outline.ids)


def test_study_report_states_effects_signs_cells_and_conditions(study_folder):
    words = text_of((study_folder / "report.html").read_text(encoding="utf-8"))
    assert "Effect of raising π from 0 to 1: mean over 4 cells with equal weight" in words
    assert "Higher in 4, lower in 0, undetermined in 0 of 4 cells" in words  # excess drawdown, forced notional
    assert "A decrease, [−1.0" in words  # bad debt halves: −1 million
    assert "+150.0" in words or "+150 " in words  # forced notional: (1e8 + 2e8) / 2
    assert "one historical path" in words and "population and flow noise only" in words
    for field in ("Mark rule", "mark = median", "index_feedback = 0.4", "normalisation = equal_start",
                  "opening_book = given", "source = mark", "LinearDepth, SquareRootDepth"):
        assert field in words
    assert "public bars" in words and "assumption: see notes" in words
    assert "No run failed" in words


def test_first_figure_has_four_panels_against_the_lever(study_folder):
    page = (study_folder / "report.html").read_text(encoding="utf-8")
    figure = re.search(r"<svg .*?</svg>", page, flags=re.DOTALL).group(0)
    assert 'aria-label="Excess drawdown, Forced notional, Gross bad debt, Margin locked against π"' in figure
    words = text_of(figure)
    for label in ("Excess drawdown", "Margin locked", "LinearDepth", "SquareRootDepth", "leverage multiplier 2"):
        assert label in words


def test_study_report_explains_its_words_before_it_uses_them(study_folder):
    words = text_of((study_folder / "report.html").read_text(encoding="utf-8")).split("How to read this", 2)[2]
    before = words[: words.index("Findings")]
    for term in ("ln m = (1 − π) ln m_ttc + π ln m_pit", "Cell one combination", "Twin T1 the same run",
                 "95 % Student interval of the mean over replications", "Quote the quote currency"):
        assert term in before


def test_findings_give_the_margin_locked_and_the_effect_at_every_level(study_folder):
    words = text_of((study_folder / "report.html").read_text(encoding="utf-8"))
    findings = words[words.index("Effect of raising"): words.index("Three effects of π", words.index("Effect of"))]
    assert "Margin locked: price paid 0" in findings
    shape = findings[findings.index("Where between the levels"):]
    assert re.search(r"0\.5 \+\S+ \[\S+ \S+ \+75\S* .* 1 \+\S+ \[\S+ \S+ \+150", shape)
    assert "Slope" not in words


def targets_report(folder, *targets, **changes):
    """Return the words of the section on published figures of a study with these targets."""
    write_study(folder, **changes)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["inputs"]["scenario"]["targets"] = targets
    (folder / "manifest.json").write_text(json.dumps(manifest))
    words = text_of(write_report(folder).read_text(encoding="utf-8"))
    return words[words.rindex("Beside the figures of the venue"): words.rindex("What the intervals are conditional")]


def test_study_report_says_which_cells_miss_the_figures_of_the_venue(tmp_path):
    words = targets_report(
        tmp_path, {"quantity": "Flow", "low": 0.5e8, "high": 2.5e8, "source": "press", "outcome": "forced_notional"},
        {"quantity": "gone", "low": 1.0, "high": 2.0, "source": HOSTILE, "outcome": "adl_notional"})
    # 1e8 (1 + pi) x leverage: at leverage 1 from 100 to 200 million, at 2 from 200 to 400.
    assert "50.0 million quote to 250 million quote" in words and "press" in words
    assert "4 of 12 means miss the venue's figure (4 cells at 3 levels each): 4 above, 0 below" in words
    assert "0 of 4 cells miss it at every level" in words
    assert re.search(r"leverage multiplier 2 · depth LinearDepth 200\S* ± 0\S* inside 300\S* ± 0\S* above", words)
    assert "not measured in the study" in words and HOSTILE in words


def test_a_figure_given_as_one_number_is_met_where_the_interval_covers_it(tmp_path):
    exact = {"quantity": "Fall", "low": 0.2, "high": 0.2, "source": "bars", "outcome": "drawdown_mark"}
    words = targets_report(tmp_path, exact)
    rows = [row.split() for row in re.findall(r"depth \w+Depth ([^a-z]*(?:inside|above|below) .{0,60})", words)]
    assert rows and all("above" in row for row in rows)  # 21 and 22 log-% at the higher levels
    assert "inside" in words.split("Mean over replications ±")[1]


def test_study_without_published_figures_has_no_such_section(study_folder):
    assert "Beside the figures" not in text_of((study_folder / "report.html").read_text(encoding="utf-8"))


def test_every_depth_model_of_the_design_is_printed_with_what_it_ran_with(tmp_path):
    models = ["LinearDepth", "PowerDepth", "SquareRootDepth"]
    inputs = {"depth": {"type": "LinearDepth", "share_of_open_interest": 0.06, "reference_volatility": 0.0253}}
    manifest = {"inputs": {"scenario": inputs},
                "points": [{"settings": {"depth.type": name}} for name in models] * 2}
    linear, power, root = depth_models(manifest)
    assert linear == inputs["depth"]
    # The scenario states the volatility, so it is taken over; the share is LinearDepth's own default.
    assert (power["share_of_open_interest"], power["exponent"], power["reference_volatility"]) == (0.015, 1.5, 0.0253)
    assert (root["share_of_open_interest"], root["slow_refill_seconds"]) == (0.004, 30.0)
    own = {"settings": {"depth.type": "PowerDepth"}, "inputs": {"scenario": {"depth": {"type": "PowerDepth", "exponent":
           2.0}}}}
    assert depth_models({**manifest, "points": [own]}) == [{"type": "PowerDepth", "exponent": 2.0}]
    write_study(tmp_path, points=manifest["points"])
    words = text_of(write_report(tmp_path).read_text(encoding="utf-8"))
    assert "exponent – 1.5 –" in words


def test_depth_models_of_the_report_are_those_of_the_sweep():
    cells = study_cells(load_study("procyclicality", replications=1))
    trees = {cell.columns["depth"]: cell.inputs.tree["depth"] for cell in cells}
    points = [{"settings": {"depth.type": name}} for name in trees]
    found = depth_models({"inputs": {"scenario": cells[0].inputs.tree}, "points": points})
    assert {model["type"]: dict(model) for model in found} == trees


def test_lead_does_not_contradict_overrides_and_replications(tmp_path):
    summary = "pi (4) on black-thursday-2020, 20 replications"
    write_study(tmp_path, summary=summary, overrides=["population.traders=100"])
    words = text_of(write_report(tmp_path).read_text(encoding="utf-8"))
    assert summary not in words
    assert "π (3) × leverage multiplier (2) × depth (2) on black-thursday-2020, 5 replications" in words
    assert "Overridden: population.traders=100" in words
    write_study(tmp_path, summary=summary, replications=20)
    assert summary in text_of(write_report(tmp_path).read_text(encoding="utf-8")).split("Scenario")[0]


def test_excess_bad_debt_comes_with_the_reason_for_its_sign(tmp_path):
    runs = write_study(tmp_path, outcomes=["excess_bad_debt"])
    assert "engine.shadow_refill_seconds" not in write_report(tmp_path).read_text(encoding="utf-8")
    runs["excess_bad_debt"] = runs["bad_debt_gross"] - 1.5e6
    runs.to_parquet(tmp_path / "runs.parquet")
    assert "engine.shadow_refill_seconds" in write_report(tmp_path).read_text(encoding="utf-8")


def test_reference_table_holds_the_three_effects_and_the_price_paid(tmp_path):
    write_study(tmp_path / "study", outcomes=["excess_drawdown", "margin_locked"])
    _, table_file = write_reference(tmp_path / "study", tmp_path)
    rows = [line.split(",") for line in table_file.read_text().splitlines()]
    assert [row[0] for row in rows[1:]] == ["excess_drawdown", "forced_notional", "bad_debt_gross", "margin_locked"]
    assert rows[2][2] == "1.5e+08"


def test_report_does_not_depend_on_the_order_of_the_table(study_folder, tmp_path):
    runs = pd.read_parquet(study_folder / "runs.parquet")
    runs.sample(frac=1.0, random_state=3).to_parquet(tmp_path / "runs.parquet")
    (tmp_path / "manifest.json").write_bytes((study_folder / "manifest.json").read_bytes())
    assert text_of(write_report(tmp_path).read_text()) == text_of((study_folder / "report.html").read_text())


def test_report_is_the_same_each_time(study_folder, tmp_path):
    again = write_report(study_folder, tmp_path / "again.html")
    assert again.read_bytes() == (study_folder / "report.html").read_bytes()


def test_failed_run_is_listed_with_its_whole_seed_and_the_first_line_of_its_error(tmp_path):
    runs = write_study(tmp_path)
    runs.loc[0, ["status", "seed"]] = ["failed", 191772074718973]
    runs["error"] = ["ValueError: too thin\nsecond line", *[""] * (len(runs) - 1)]
    runs["traceback"] = ["Traceback of the failure", *[""] * (len(runs) - 1)]
    runs.to_parquet(tmp_path / "runs.parquet")
    words = text_of(write_report(tmp_path).read_text(encoding="utf-8"))
    assert "191772074718973 ValueError: too thin" in words
    assert "second line" not in words and "Traceback" not in words


def test_text_of_users_is_escaped(tmp_path):
    runs = write_study(tmp_path, title=HOSTILE, summary=HOSTILE, conditional_on=HOSTILE, extra={HOSTILE: HOSTILE})
    runs.loc[0, ["status", "stop_reason"]] = ["failed", None]
    runs["error"] = [HOSTILE, *[None] * (len(runs) - 1)]
    runs[DEPTH] = runs[DEPTH].replace("LinearDepth", HOSTILE)
    runs.to_parquet(tmp_path / "runs.parquet")
    page = write_report(tmp_path).read_text(encoding="utf-8")
    assert "<script" not in page
    assert "script" not in Outline(page).tags
    assert "1 of 60 runs failed" in text_of(page)


def test_report_of_a_run_shows_the_course_the_targets_and_the_outcomes(run_folder):
    words = text_of((run_folder / "report.html").read_text(encoding="utf-8"))
    for label in ("Forced flow per minute", "mark, twin T1", "Margin rate", "Depth", "Spread", "Open interest",
                  "Insurance fund", "10:16", "UTC"):
        assert label in words
    assert "Fall 20.0 log-% to 30.0 log-% 22.3 log-% inside press" in words
    assert "Cut at most 0 quote 0 quote inside <script>" in words
    assert "price_half_life_seconds" in words
    assert "Attribution to channels" in words


def test_report_of_a_run_without_twins_targets_and_liquidations(tmp_path):
    record = make_record([100.0, 99.0, 99.5])
    for name, frame in run_tables(record).items():
        frame.to_parquet(tmp_path / f"{name}.parquet")
    (tmp_path / "run.json").write_text(json.dumps({"scenario": "calm", "seed": 0, "outcomes": {"drawdown_mark": 0.01}}))
    words = text_of(write_report(tmp_path).read_text(encoding="utf-8"))
    assert "The course of the run" in words and "Beside the figures" not in words
    assert "not stated in the manifest" in words


def test_report_reads_files_alone_and_never_imports_what_they_name(tmp_path):
    write_study(tmp_path)
    trap = tmp_path / "no_such_file.py"
    trap.write_text("raise SystemExit('imported')")
    code = (
        "import sys; from spirals.scenarios.reports.write import write_report; write_report(sys.argv[1]);"
        "assert not [m for m in sys.modules if m.startswith(('mesa', 'spirals.agents', 'no_such'))]"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_study_with_nothing_complete_or_nothing_varied_still_has_a_report(tmp_path):
    runs = write_study(tmp_path)
    runs["status"] = "failed"
    runs[["run_id", PI, DEPTH, "replication", "seed", "status"]].to_parquet(tmp_path / "runs.parquet")
    assert "No run of this study is complete" in text_of(write_report(tmp_path).read_text(encoding="utf-8"))
    runs["status"] = "done"
    one_cell = (runs[PI] == 0.0) & (runs[DEPTH] == "LinearDepth") & (runs[LEVERAGE] == 1.0)
    runs[one_cell].to_parquet(tmp_path / "runs.parquet")
    assert "The design varies nothing" in text_of(write_report(tmp_path).read_text(encoding="utf-8"))


def test_a_design_of_sampled_ranges_is_not_paired(tmp_path):
    runs = write_study(tmp_path)
    runs[PI] = np.linspace(0.0, 1.0, len(runs))
    runs[LEVERAGE] = np.linspace(1.0, 2.0, len(runs))
    runs.to_parquet(tmp_path / "runs.parquet")
    assert "nothing can be paired" in text_of(write_report(tmp_path).read_text(encoding="utf-8"))


@pytest.mark.parametrize(("name", "content", "message"), [
    (None, "", "no results"),
    ("manifest.json", "{", "cannot read"),
    ("manifest.json", "[]", "JSON object"),
    ("manifest.json", '{"schema_version": 99}', "schema_version"),
    ("manifest.json", "{}", "no runs yet"),
])
def test_a_folder_without_readable_results_is_refused(tmp_path, name, content, message):
    if name:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_tables_of_a_run_come_back_with_one_column_per_value(tmp_path):
    record = write_run(tmp_path)
    steps = read_run_tables(tmp_path)["steps"]
    assert steps["seconds"].tolist()[:3] == [0.0, 1.0, 2.0]
    assert steps["sold_notional_liquidation"].sum() == record.steps["sold_notional"].sum()
    assert steps["depth_bid_1pct"].iloc[0] == 1000.0
    assert "pad" not in read_run_tables(tmp_path)["adl"]
    assert set(read_run_tables(tmp_path, "twin_T1_")) == {"steps", "totals", "calls", "liquidations", "adl"}
