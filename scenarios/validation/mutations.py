"""Mutations: can the cases fail? Every mechanism of a model is flipped and scaled, and the checks must notice.

A mutation changes the model, never the expectation. It is *noticed* when a row that passes without it fails.
The smallest size from which on every larger one up to 20 % is noticed, in either direction, says how sharp a case is: a
row at the edge of its band may notice a small one by chance.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from spirals.scenarios.validation.case import Case, Mechanism, Mutant
from spirals.scenarios.validation.runner import run_case

__all__ = ["MutantResult", "SCALING", "SIZES", "mutate_case", "mutation_json", "mutation_table"]

SCALING = 0.2
SIZES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8)


@dataclasses.dataclass(frozen=True)
class MutantResult:
    """What the checks of a case say about one mechanism.

    Attributes
    ----------
    flip_noticed : bool or None
        None where a change of sign means nothing.
    weaker_noticed, stronger_noticed : bool
        Of the mechanism 20 % weaker and 20 % stronger.
    smallest : float
        Smallest size of :data:`SIZES` that is noticed in either direction, as all larger ones up to 20 % are; above
        20 % where that is missed; infinite when none is noticed; NaN when not looked for.
    """

    case: str
    mechanism: str
    help: str
    flip_noticed: bool | None
    weaker_noticed: bool
    stronger_noticed: bool
    smallest: float


def noticed(case: Case, mechanism: Mechanism, factor: float, full: bool = False, seed: int = 1) -> bool:
    """Tell whether a row of the mechanism's checks fails when it is multiplied by `factor`; the first is enough."""
    mutant = Mutant(mechanism.name, factor)
    return any(not run_case(case, full, seed, mutant, (check,)).passed for check in mechanism.checks)


def mutate_case(
    case: Case, full: bool = False, seed: int = 1, sizes: Sequence[float] = SIZES
) -> Iterable[MutantResult]:
    """Yield one result per mechanism of `case`; `sizes` are tried away from 20 %, down if that is noticed, else up."""
    for mechanism in case.mechanisms:
        flip = noticed(case, mechanism, -1.0, full, seed) if mechanism.flip else None
        weaker = noticed(case, mechanism, 1.0 - SCALING, full, seed)
        stronger = noticed(case, mechanism, 1.0 + SCALING, full, seed)
        def seen(size: float, mechanism: Mechanism = mechanism) -> bool:
            return any(noticed(case, mechanism, 1.0 + sign * size, full, seed) for sign in (-1.0, 1.0))

        smallest = float("nan")
        if sizes and (weaker or stronger):
            below = sorted((size for size in sizes if size < SCALING), reverse=True)
            smallest = [SCALING, *itertools.takewhile(seen, below)][-1]
        elif sizes:
            smallest = next(filter(seen, sorted(size for size in sizes if size > SCALING)), float("inf"))
        yield MutantResult(case.name, mechanism.name, mechanism.help, flip, weaker, stronger, smallest)


def mutation_table(results: Sequence[MutantResult]) -> str:
    """Return the results as Markdown, which reads as text too, with a last line that counts."""
    lines = ["| case | mechanism | sign flipped | 20 % weaker | 20 % stronger | smallest size noticed |",
             "|---|---|---|---|---|---|"]
    words = {None: "-", True: "noticed", False: "**missed**"}
    for r in results:
        smallest = "none" if r.smallest == float("inf") else f"{100 * r.smallest:g} %"
        lines.append(f"| {r.case} | {r.mechanism}: {r.help} | {words[r.flip_noticed]} | {words[r.weaker_noticed]} | "
                     f"{words[r.stronger_noticed]} | {smallest} |")
    return "\n".join([*lines, "", counted(results)])


def shares(results: Sequence[MutantResult]) -> tuple[int, int, int, int]:
    """Return flips noticed, flips, scalings noticed, scalings."""
    flips = [r.flip_noticed for r in results if r.flip_noticed is not None]
    scalings = [word for r in results for word in (r.weaker_noticed, r.stronger_noticed)]
    return sum(flips), len(flips), sum(scalings), len(scalings)


def counted(results: Sequence[MutantResult]) -> str:
    """Return a sentence with the shares."""
    flips, of_flips, scalings, of_scalings = shares(results)
    return f"{flips} of {of_flips} changes of sign and {scalings} of {of_scalings} changes by 20 % noticed"


def mutation_json(results: Sequence[MutantResult]) -> dict[str, Any]:
    """Return the document of ``--mutations --json``."""
    flips, of_flips, scalings, of_scalings = shares(results)
    return {"flips_noticed": flips, "flips": of_flips, "scalings_noticed": scalings, "scalings": of_scalings,
            "mutants": [dataclasses.asdict(result) for result in results]}
