"""Run the checks of cases and keep what they found."""

import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence

from spirals.scenarios.validation.case import Case, Mutant, Panel, Row, Run

__all__ = ["CaseResult", "run_case", "run_cases"]


@dataclasses.dataclass(frozen=True)
class CaseResult:
    """Rows and panels of one case, and how long it took [s]."""

    case: Case
    rows: tuple[Row, ...]
    panels: tuple[Panel, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether every row passed."""
        return all(row.passed for row in self.rows)


def run_case(
    case: Case, full: bool = False, seed: int = 1, mutant: Mutant | None = None, checks: Sequence[str] = ()
) -> CaseResult:
    """Run the checks of one case, all of them or those named."""
    run = Run(case, full, seed, mutant)
    started = time.perf_counter()
    for name, check in case.checks().items():
        if not checks or name in checks:
            check(run)
    return CaseResult(case, tuple(run.rows), tuple(run.panels), time.perf_counter() - started)


def run_cases(
    cases: Iterable[Case], full: bool = False, seed: int = 1, said: Callable[[CaseResult], None] | None = None
) -> list[CaseResult]:
    """Run cases one after the other; `said` is told of each when it is done."""
    results = []
    for case in cases:
        results.append(run_case(case, full, seed))
        if said is not None:
            said(results[-1])
    return results
