"""What a validation case is made of: parameters, checks that give rows, mechanisms that a mutation changes.

How to write one: a frozen dataclass that subclasses :class:`Case`, fields made with ``parameter``, one method
per check, and one line in ``catalogue.py``::

    @dataclasses.dataclass(frozen=True)
    class Doubling(Case):
        \"\"\"Twice is twice.\"\"\"

        name = "doubling"
        source = "arithmetic"
        mechanisms = (Mechanism("factor", "how much is added per copy", ("sum",)),)
        start: float = parameter(3.0, above=0)

        def checks(self):
            return {"sum": self.sum}

        def sum(self, run):
            run.row("sum", self.start + run.factor("factor") * self.start, 2 * self.start, relative=0.01, formula="2 x")

A check computes what is expected by formula from the parameters and measures it in a model that does not know
the formula. Where no formula exists the expected values are a table, and the parameters that the table holds
for are constants of the file, named in :attr:`Case.fixed` so that a change of them is refused and not ignored.
"""

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spirals.simulation.parameters import Part

__all__ = ["Case", "Check", "Line", "Mechanism", "Mutant", "Panel", "Row", "Run", "grouped"]


@dataclasses.dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes
    ----------
    case, quantity : str
    measured, standard_error : float
        `standard_error` is 0 for what has no chance in it and NaN where it is not known.
    expected, low, high : float
        `low` and `high` are the band; it may be one-sided (infinite).
    passed : bool
        Whether `measured` lies in the band, ends included; NaN never does.
    source, formula : str
        Where the expectation comes from, and how it is computed.
    parameters : dict
        Those of the case.
    """

    case: str
    quantity: str
    measured: float
    standard_error: float
    expected: float
    low: float
    high: float
    passed: bool
    source: str
    formula: str
    parameters: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Mechanism:
    """A part of a model whose strength a mutation changes.

    Attributes
    ----------
    name, help : str
    checks : tuple of str
        The checks that are run again.
    flip : bool
        Whether a change of sign means anything.
    """

    name: str
    help: str
    checks: tuple[str, ...]
    flip: bool = True


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A mechanism multiplied by `factor`: -1 flips its sign, 1.2 makes it 20 % stronger."""

    mechanism: str
    factor: float


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of a figure: the law, or (`points`) what was measured, with bars of `errors` where given."""

    label: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    points: bool = False
    errors: NDArray[np.float64] | None = None

    @classmethod
    def of(
        cls, label: str, x: ArrayLike, y: ArrayLike, points: bool = False, errors: ArrayLike | None = None
    ) -> "Line":
        """Return a line of anything that is like an array."""
        bars = None if errors is None else np.asarray(errors, np.float64)
        return cls(label, np.asarray(x, np.float64), np.asarray(y, np.float64), points, bars)


@dataclasses.dataclass(frozen=True)
class Panel:
    """One pair of axes of a case's figure."""

    title: str
    x: str
    y: str
    lines: Sequence[Line]
    log_x: bool = False
    log_y: bool = False


class Run:
    """One run of the checks of a case: collects rows and panels, knows the form and the mutation.

    Parameters
    ----------
    case : Case
    full : bool
        The long form.
    seed : int
        At least 0. The bands hold for nearly every seed; the default is 1.
    mutant : Mutant, optional
        Change of the model; expectations never see it.
    """

    def __init__(self, case: "Case", full: bool = False, seed: int = 1, mutant: Mutant | None = None) -> None:
        self.case = case
        self.full = full
        self.seed = seed
        self.mutant = mutant
        self.rows: list[Row] = []
        self.panels: list[Panel] = []

    def factor(self, mechanism: str) -> float:
        """Return what `mechanism` is multiplied by in the model: 1 unless it is the mutated one."""
        known = [m.name for m in self.case.mechanisms]
        if mechanism not in known:
            raise ValueError(f"{self.case.name} has no mechanism {mechanism!r}; it has {', '.join(known)}")
        return self.mutant.factor if self.mutant is not None and self.mutant.mechanism == mechanism else 1.0

    def pick(self, quick: int, full: int) -> int:
        """Return a number of repetitions for the form that runs."""
        return full if self.full else quick

    def row(
        self, quantity: str, measured: float, expected: float, *, relative: float | None = None,
        absolute: float | None = None, low: float | None = None, high: float | None = None,
        error: float = math.nan, formula: str = "", source: str = "",
    ) -> None:
        """Add a row; the band is `relative` or `absolute` about `expected`, or `low` to `high` (either may be open)."""
        given = [relative is not None, absolute is not None, low is not None or high is not None]
        if sum(given) != 1:
            raise ValueError(f"{quantity}: exactly one of relative, absolute and low/high states the band")
        if relative is not None or absolute is not None:
            half = absolute if absolute is not None else abs(expected) * float(relative or 0.0)
            low, high = expected - half, expected + half
        low, high = -math.inf if low is None else low, math.inf if high is None else high
        measured = float(measured)
        self.rows.append(Row(
            self.case.name, quantity, measured, float(error), float(expected), float(low), float(high),
            bool(low <= measured <= high), source or self.case.source, formula, self.case.values(),
        ))

    def panel(self, title: str, x: str, y: str, *lines: Line, log_x: bool = False, log_y: bool = False) -> None:
        """Add axes to the figure of the case."""
        self.panels.append(Panel(title, x, y, lines, log_x, log_y))


Check = Callable[[Run], None]


@dataclasses.dataclass(frozen=True)
class Case(Part, ABC):
    """A validation case: parameters as fields, checks as methods.

    Attributes
    ----------
    name, source : str
    mechanisms : tuple of Mechanism
    fixed : mapping of str to str
        Parameters that may not be changed, with the reason.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    mechanisms: ClassVar[tuple[Mechanism, ...]] = ()
    fixed: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    def checks(self) -> dict[str, Check]:
        """Return the checks by name, in order."""

    def values(self) -> dict[str, Any]:
        """Return the parameters by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @classmethod
    def summary(cls) -> str:
        """Return the first line of the docstring."""
        return (cls.__doc__ or cls.name).strip().splitlines()[0]


def grouped(values: ArrayLike, groups: int = 20) -> tuple[float, float]:
    """Return the mean of a series and its standard error by `groups` batch means.

    Parameters
    ----------
    values : array_like of shape (n,), n at least `groups`
        May depend on each other over times short against a batch; a remainder at the end is left out.
    """
    series = np.asarray(values, np.float64)
    size = len(series) // groups
    means = series[: size * groups].reshape(groups, size).mean(axis=1)
    return float(series.mean()), float(means.std(ddof=1) / math.sqrt(groups))
