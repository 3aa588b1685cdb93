"""The frame of the validation cases: bands, overrides, exit status, and that a mutation can be noticed or missed."""

import dataclasses
import json
import math
import re

import pytest

from spirals.scenarios.command.entry import main
from spirals.scenarios.validation import CASES, Case, Mechanism, Run, run_case, select_cases
from spirals.scenarios.validation.mutations import mutate_case, mutation_table
from spirals.scenarios.validation.output import as_json, case_figure, markdown, text_table
from spirals.simulation.errors import InputError
from spirals.simulation.parameters import parameter


@dataclasses.dataclass(frozen=True)
class Doubling(Case):
    """Twice is twice."""

    name = "doubling"
    source = "arithmetic"
    mechanisms = (Mechanism("factor", "how much a copy adds", ("sum",)),
                  Mechanism("idle", "does nothing", ("sum",)))
    fixed = {"table": "a table knows it"}  # noqa: RUF012
    start: float = parameter(3.0, above=0)
    counts: tuple[int, ...] = parameter((1, 2), low=1)

    def checks(self):
        return {"sum": self.sum}

    def sum(self, run):
        run.factor("idle")
        run.row("sum", self.start + run.factor("factor") * self.start, 2 * self.start, relative=0.03, error=0.0)


TOY = {"doubling": Doubling}


def problems(*arguments):
    with pytest.raises(InputError) as caught:
        select_cases(*arguments, catalogue=TOY)
    return caught.value.problems


def test_a_row_lies_in_its_band_with_both_ends_and_nan_never_does():
    run = Run(Doubling())
    run.row("end", 1.5, 1.0, absolute=0.5)
    run.row("beyond", 1.6, 1.0, absolute=0.5)
    run.row("nothing", math.nan, 1.0, low=0.0)
    run.row("open", 1e9, 1.0, low=0.0)
    assert [row.passed for row in run.rows] == [True, False, False, True]
    with pytest.raises(ValueError, match="exactly one"):
        run.row("two bands", 1.0, 1.0, absolute=0.1, relative=0.1)


def test_other_parameters_are_given_by_case_and_field_or_by_a_field_alone():
    [case] = select_cases([], ["doubling.start=4", "counts=[3]"], TOY)
    assert (case.start, case.counts) == (4.0, (3,))
    [case] = select_cases([], ["counts=5"], TOY)
    assert case.counts == (5,)


def test_every_fault_is_told_at_once():
    found = problems(["dubling"], ["start=x", "nonsense", "doubling.strt=1", "table=2", "counts=[1.5]"])
    text = "\n".join(found)
    assert len(found) == 6
    for part in ("did you mean 'doubling'", "a number", "malformed", "did you mean 'start'", "a table knows it",
                 "a whole number, or several"):
        assert part in text


def test_a_value_out_of_range_is_bad_input():
    assert "start must be above 0" in problems([], ["start=-1"])[0]


def test_a_mutation_is_noticed_from_the_size_that_leaves_the_band_and_an_idle_one_is_missed():
    factor, idle = mutate_case(Doubling())
    assert (factor.flip_noticed, factor.weaker_noticed, factor.stronger_noticed) == (True, True, True)
    assert factor.smallest == 0.1     # 5 % of one of two equal parts is 2.5 %, inside the band of 3 %
    assert not idle.flip_noticed and idle.smallest == math.inf
    assert "1 of 2 changes of sign and 2 of 4 changes by 20 % noticed" in mutation_table([factor, idle])


def test_a_small_change_that_is_noticed_by_chance_does_not_count_where_a_larger_one_is_missed():
    @dataclasses.dataclass(frozen=True)
    class Edge(Doubling):
        """Fails from 15 % on, and at 1 % by chance."""

        mechanisms = (Mechanism("factor", "what is changed", ("sum",), flip=False),)
        fails_from: float = parameter(0.15, above=0)

        def sum(self, run):
            size = abs(run.factor("factor") - 1.0)
            run.row("sum", float(size > self.fails_from or abs(size - 0.01) < 1e-9), 0.0, absolute=0.5)

    [sharp], [blunt] = mutate_case(Edge()), mutate_case(Edge(fails_from=0.3))
    assert (sharp.smallest, blunt.smallest) == (0.2, 0.4)
    assert not blunt.weaker_noticed and not blunt.stronger_noticed


def test_a_result_can_be_read_as_text_page_document_and_figure():
    result = run_case(Doubling())
    assert "1 of 1 rows in 1 cases passed" in text_table([result])
    assert "| sum | 6 | 0 | 6 | 5.82 .. 6.18 | pass |" in markdown([result], "spirals validate")
    [row] = as_json([result], False, 1)["cases"]
    assert {"case", "quantity", "measured", "standard_error", "expected", "low", "high", "passed", "source", "formula",
            "parameters"} == set(row)
    assert case_figure(result).get_axes()


def test_every_case_names_itself_and_its_mechanisms_belong_to_its_checks():
    for name, cls in CASES.items():
        case = cls()
        assert cls.name == name and cls.source and cls.summary() and cls.mechanisms
        for mechanism in cls.mechanisms:
            assert set(mechanism.checks) <= set(case.checks()), f"{name}: {mechanism.name}"
        assert not set(cls.fixed) & {field.name for field in dataclasses.fields(cls)}


def test_the_command_tells_bad_input_with_status_2_and_a_failure_with_1(monkeypatch, capsys, tmp_path):
    assert main(["validate", "cascad", "-s", "cascade.n"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and "did you mean 'cascade'" in lines[0] and "PATH=VALUE" in lines[1]
    assert main(["validate", "leverage-tails", "-s", "leverage-tails.leverage=3"]) == 2
    assert "reproduced at these parameters only" in capsys.readouterr().err

    @dataclasses.dataclass(frozen=True)
    class Wrong(Doubling):
        """Twice is three times."""

        def sum(self, run):
            run.row("sum", 2.0, 3.0, relative=0.01)

    monkeypatch.setitem(CASES, "doubling", Wrong)
    assert main(["validate", "doubling", "--json", "--out", str(tmp_path)]) == 1
    document = json.loads(capsys.readouterr().out)
    assert not document["passed"] and math.isclose(document["cases"][0]["high"], 3.03)
    assert {path.name for path in tmp_path.iterdir()} == {"doubling.svg", "validation.md", "validation.json"}
    assert re.search(r"FAIL", (tmp_path / "validation.md").read_text())
