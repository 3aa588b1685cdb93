"""What the deconvolutions of a crash say in words: a table and one paragraph, both from the numbers."""

import math
import statistics
from collections.abc import Sequence

from spirals.scenarios.calibration.deconvolution_grid import Cell, amplification_set

__all__ = ["paragraph", "table"]

COLUMNS = ("depth", "kappa", "seed", "fits", "median bp", "max bp", "missed", "fall outside", "fall mark", "twin T1",
           "excess", "amplified", "replay excess", "moments")


def table(cells: Sequence[Cell]) -> str:
    """Return one line per cell; falls and excess in log points."""
    rows = [COLUMNS]
    for cell in cells:
        found, own = cell.found, cell.outcomes
        free = [moment for moment in cell.moments if not moment.fitted]
        rows.append((
            found.depth, f"{found.index_feedback:g}", str(found.seed), "yes" if found.converged else "no",
            f"{found.median_residual_bp:.1f}", f"{found.max_residual_bp:.0f}", f"{found.missed}/{len(found.verdicts)}",
            f"{own['drawdown_exogenous']:.4f}", f"{own['drawdown_mark']:.4f}", f"{own['twin_drawdown_mark']:.4f}",
            f"{own['excess_drawdown']:+.4f}", f"{own['amplification']:.3f}", f"{cell.replay['excess_drawdown']:+.4f}",
            f"{sum(moment.matched for moment in free)} of {len(free)}",
        ))
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    return "\n".join("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()
                     for row in rows)


def paragraph(cells: Sequence[Cell]) -> str:
    """Return what may be said about the crash, and what may not."""
    first = cells[0].found
    fitting = [cell for cell in cells if cell.found.converged]
    bars, tolerance = len(first.verdicts), first.tolerance * 1e4
    sentences = [
        f"{first.scenario}: {len(cells)} deconvolutions of {bars} bars over {_named(cells)}, the simulated "
        f"{first.price} held against high, low and close of each bar.",
        _fit(cells, fitting, tolerance),
    ]
    if fitting:
        sentences += [_set(fitting, cells), _replay(fitting)]
    sentences += [_moments(fitting or list(cells)), (
        f"The path has three free numbers per bar ({3 * bars}) for three figures per bar ({3 * bars}): agreement with "
        "the fitted price is by construction and says nothing about depth, index feedback or population, which are "
        "assumed. Bars are prices of trades; no index, mark, depth or liquidation record of the venue is used.")]
    return " ".join(sentences)


def _named(cells: Sequence[Cell]) -> str:
    depths = ", ".join(dict.fromkeys(cell.found.depth for cell in cells))
    kappas = ", ".join(f"{value:g}" for value in dict.fromkeys(cell.found.index_feedback for cell in cells))
    seeds = len({cell.found.seed for cell in cells})
    return f"depth ({depths}) x kappa ({kappas}){f' x {seeds} seeds' if seeds > 1 else ''}"


def _fit(cells: Sequence[Cell], fitting: Sequence[Cell], tolerance: float) -> str:
    medians = [cell.found.median_residual_bp for cell in cells]
    worst = max(cell.found.max_residual_bp for cell in cells)
    residual = (f"the median bar is off by {min(medians):.1f} to {max(medians):.1f} bp, the worst bar of all by "
                f"{worst:.0f} bp")
    if len(fitting) == len(cells):
        return f"A path that meets every bar within {tolerance:g} bp exists in every cell; {residual}."
    missed = [cell.found.missed for cell in cells if not cell.found.converged]
    counts = f"{min(missed)} to {max(missed)}" if min(missed) < max(missed) else f"{missed[0]}"
    closed = sum(cell.found.verdicts.count("unreachable") for cell in cells)
    beyond = (f" {closed} of the missed bars were out of reach of every trial within the slack: evidence, though no "
              "proof, against the assumed book, flow or population.") if closed else ""
    return (f"A path that meets every bar within {tolerance:g} bp was found in {len(fitting)} of {len(cells)} cells; "
            f"elsewhere the search found none ({counts} of {len(cells[0].found.verdicts)} bars missed); "
            f"{residual}.{beyond}")


def _set(fitting: Sequence[Cell], cells: Sequence[Cell]) -> str:
    bounds = amplification_set(cells)
    found, whole = bounds["fitting"], bounds["all"]
    falls = [cell.outcomes["drawdown_exogenous"] for cell in fitting]
    others = (f"; all cells, those with missed bars included: {whole['amplification_low']:.3f} to "
              f"{whole['amplification_high']:.3f}") if len(fitting) < len(cells) else ""
    return (f"Among the cells that fit, the exogenous fall is {min(falls):.3f} to {max(falls):.3f} log and forced "
            f"orders add {found['excess_drawdown_low']:+.4f} to {found['excess_drawdown_high']:+.4f} log to the fall "
            f"of the mark (amplification {found['amplification_low']:.3f} to {found['amplification_high']:.3f} against "
            f"twin T1 on the same path{others}): a set, for the bars do not choose within it.")


def _replay(fitting: Sequence[Cell]) -> str:
    counted = [cell.replay["drawdown_mark"] - cell.outcomes["drawdown_mark"] for cell in fitting]
    return (f"Replaying the bars as the outside price instead makes the mark fall by {min(counted):+.4f} to "
            f"{max(counted):+.4f} log more: what the replay counts twice, with the noise of one more cascade.")


def _moments(cells: Sequence[Cell]) -> str:
    counts = [[moment.matched for moment in cell.moments if not moment.fitted] for cell in cells]
    n = len(counts[0])
    matched = [sum(count) for count in counts]
    names = [moment.name.split(":")[0] for moment in cells[0].moments if not moment.fitted]
    always = [name for k, name in enumerate(names) if not any(count[k] for count in counts)]
    tail = f"; missed in all of them: {', '.join(always)}" if always else ""
    spread = f"{min(matched)} to {max(matched)}" if min(matched) < max(matched) else f"{matched[0]}"
    typical = statistics.median(cell.outcomes["liquidated_to_opening_oi"] for cell in cells)
    share = "" if math.isnan(typical) else f" The median cell liquidates {typical:.1%} of the opening open interest."
    return f"Of {n} figures that were not fitted, {spread} are matched{tail}.{share}"
