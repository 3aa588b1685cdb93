"""The README as a new user follows it: its blocks are written to files and run, word for word."""

import csv
import re
import sys
from pathlib import Path

import pytest

from spirals.scenarios.command.entry import main

README = Path(__file__).resolve().parent.parent / "README.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
NAMED = {
    match[1]: text for language, text in BLOCKS
    if language in ("python", "toml") and (match := re.match(r"# ([\w.]+)\n", text))
}
SCRIPTS = [text for language, text in BLOCKS if language == "python" and text not in NAMED.values()]


@pytest.fixture
def user_folder(tmp_path, monkeypatch):
    for name, text in NAMED.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in NAMED:
        sys.modules.pop(Path(name).stem, None)


def test_the_figures_of_the_readme_are_those_of_the_reference_table():
    text = README.read_text(encoding="utf-8")
    with (README.parent / "results" / "reference" / "summary-effects.csv").open(encoding="utf-8") as stream:
        rows = {row["outcome"]: row for row in csv.DictReader(stream)}
    shown = {"excess_drawdown": ("excess drawdown [log-%]", 100.0, ".2f"),
             "forced_notional": ("forced notional [% of open interest]", 100.0, ".1f"),
             "bad_debt_gross": ("gross bad debt [bp of open interest]", 1e4, ".0f"),
             "bad_debt_net": ("net bad debt [bp of open interest]", 1e4, ".0f"),
             "margin_locked": ("margin locked, mean [% of open interest]", 100.0, ".1f")}
    assert set(shown) == set(rows)
    for outcome, (label, scale, digits) in shown.items():
        row = rows[outcome]
        mean, low, high = (format(float(row[key]) * scale, "+" + digits).replace("-", "−")
                           for key in ("difference", "low", "high"))
        counts = f"{row['cells_higher']} | {row['cells_lower']} | {row['cells']}"
        assert f"| {label} | {mean} | {low} to {high} | {counts} |" in text
    assert (README.parent / "results" / "reference" / "summary.png").is_file()


def code_lines(text):
    return [line for line in text.splitlines() if line.strip() and not line.startswith(("#", "import", "from"))]


def test_policy_and_agent_of_the_readme_are_at_most_twenty_lines():
    assert {"my_policy.py", "my_agent.py", "mine.toml"} <= set(NAMED)
    for name in ("my_policy.py", "my_agent.py"):
        assert len(code_lines(NAMED[name])) <= 20, name


@pytest.mark.parametrize("script", SCRIPTS, ids=range(len(SCRIPTS)))
def test_python_blocks_run_as_they_stand(script, user_folder, capsys):
    exec(compile(script, "README.md", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out


def test_own_policy_and_agent_run_from_the_command_line(user_folder, capsys):
    assert main(["run", "mine.toml", "--steps", "60", "-q"]) == 0
    assert "drawdown_mark" in capsys.readouterr().out


def test_own_policy_passes_the_check_that_the_readme_names(user_folder):
    from my_policy import DepthScaled

    from spirals.simulation.margin import check_policy

    check_policy(DepthScaled())


def test_own_policy_and_agent_run_in_a_sweep_on_two_workers(user_folder, capsys):
    (user_folder / "study-mine.toml").write_text(
        'name = "mine"\nscenario = "mine.toml"\nreplications = 2\ntwins = ["T1"]\n'
        '[set]\nsteps = 40\n[levers]\n"margin.inner.rate" = [0.02, 0.05]\n', encoding="utf-8")
    assert main(["sweep", "study-mine.toml", "--workers", "2", "-q"]) == 0
    from spirals.scenarios import read_runs

    runs = read_runs(user_folder / "results" / "mine")
    assert len(runs) == 4 and (runs["status"] == "done").all()


def test_positions_and_depth_files_replace_the_drawn_ones(user_folder, capsys):
    rows = ["account,instrument,size,entry_price,collateral,mode"]
    rows += [f"a{k},BTCUSDT,{100 if k % 2 else -100},10000,{60000 if k % 2 else 300000},cross" for k in range(20)]
    (user_folder / "positions.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    depth = ["distance_bp,bid_notional,ask_notional", "10,2e5,2e5", "100,2e6,2e6", "1000,2e7,2e7"]
    (user_folder / "depth.csv").write_text("\n".join(depth) + "\n", encoding="utf-8")
    command = next(line for language, text in BLOCKS if language == "sh" for line in text.splitlines()
                   if "positions.csv" in line)
    assert main([*command.split()[1:], "--steps", "500", "-q", "--out", "out"]) == 0
    import pandas as pd

    liquidations = pd.read_parquet(user_folder / "out" / "liquidations.parquet")
    # Ten longs of 100 BTC with 6 % of collateral: an 8 % fall liquidates each of them, whole.
    first = liquidations.groupby("account")["lots"].first()
    assert len(first) == 10 and set(first) == {-100_000}
