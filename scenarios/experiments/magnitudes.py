"""Orders of magnitude of the reduced-form experiment beside the full model, or the reason for the difference.

``python -m spirals.scenarios.experiments.magnitudes [--full] [--seeds N] [--market NAME] [--json]``. Setting, markets
and books: see :mod:`~spirals.scenarios.experiments.magnitudes_experiment`. The figures of the notes (section 5) are
hypotheses. The rule and the ranges below were written down before the table was first measured and have not been moved
since; while the two markets were set up, drawdown, bad debt and amplification of eight cells were looked at.

**Rule.** A row agrees when the 95 % Student interval of the measured value over seeds overlaps the stated range
(with twice its stated standard error where there is one) and is not wider than ten times the largest figure
of it, or when the measured value has the same sign and lies within a factor of 3 of the nearest end of it.
Amplification is compared as ratio of means less one. Where a row says "over that without" the range is that of
the ratio of two effects.
"""

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy.stats import t as student

from spirals.scenarios.experiments.magnitudes_experiment import MARKETS, Cell, Laboratory, paired, ratio_less_one

__all__ = ["FACTOR", "QUICK_ROWS", "ROWS", "Row", "agrees", "main", "measure"]

FACTOR = 3.0
WIDEST = 10.0
Estimate = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Row:
    """A quantity with the range that section 5 of the model notes gives for it.

    Attributes
    ----------
    name, unit : str
    low, high : float
        Range; a value with a standard error is a range of two of them on either side.
    measured : callable
        From a laboratory to mean and standard error.
    """

    name: str
    unit: str
    low: float
    high: float
    measured: Callable[[Laboratory], Estimate]


def _amplification(cell: Cell) -> Callable[[Laboratory], Estimate]:
    return lambda lab: ratio_less_one(*lab.amplification(cell))


def _effect(name: str, first: Cell, second: Cell) -> Callable[[Laboratory], Estimate]:
    return lambda lab: paired(lab.effect(name, first, second))


def _pi(name: str, book: str, to: float = 1.0, **setting: Any) -> Callable[[Laboratory], Estimate]:
    """Return the effect of pi from 0 at the same half-life: makers and background read that volatility too."""
    return _effect(name, Cell(book, pi=0.0, **setting), Cell(book, pi=to, **setting))


def _share_of_effect(name: str, book: str, more: tuple[str, ...]) -> Callable[[Laboratory], Estimate]:
    """Return the effect of pi with `more` over that without, ratio of means with its delta-method error."""

    def measured(lab: Laboratory) -> Estimate:
        changed = lab.effect(name, Cell(book, pi=0.0, more=more), Cell(book, pi=1.0, more=more))
        plain = lab.effect(name, Cell(book, pi=0.0), Cell(book, pi=1.0))
        if float(np.mean(plain)) == 0.0:
            return math.nan, math.nan
        less_one, error = ratio_less_one(changed, plain)
        return 1.0 + less_one, error

    return measured


def _depth_rows() -> list[Row]:
    stated = (("linear", 0.02, 8.0, 33.0), ("linear", 0.05, 0.1, 2.7), ("linear", 0.10, 0.04, 0.07),
              ("square root", 0.005, 0.8, 0.8), ("square root", 0.10, 0.1, 0.1))
    return [Row(f"amplification - 1, static 3 %, {book} {100 * share:g} %", "ratio", low, high,
                _amplification(Cell(book, share=share, maintenance=0.03)))
            for book, share, low, high in stated]


def _pi_rows() -> list[Row]:
    stated = (("square root", "liquidated", "fraction", 0.27, 0.27), ("square root", "drawdown", "pp", 3.7, 8.9),
              ("square root", "bad_debt", "bp", -32.0, -12.0), ("exponent 1.5", "drawdown", "pp", 8.0, 14.0),
              ("exponent 1.5", "bad_debt", "bp", -38.0, -18.0), ("linear", "drawdown", "pp", 0.9, 21.7),
              ("linear", "bad_debt", "bp", -1.0, 1.0))
    rows = [Row(f"pi 0 to 1: {name}, {book}", unit, low, high, _pi(name, book))
            for book, name, unit, low, high in stated]
    rows.append(Row("pi 0 to .25: drawdown, square root (U shape)", "pp", -4.1, 1.1,
                    _pi("drawdown", "square root", 0.25)))
    rows.append(Row("pi 0 to 1: bad_debt, linear, adapted book", "bp", 11.4, 33.8,
                    _pi("bad_debt", "linear", more=('population.opening_book="adapted"',
                                                    "population.reference_margin=0.03"))))
    return rows


def _half_life_rows() -> list[Row]:
    lives = ((60.0, "1 min"), (600.0, "10 min"), (1800.0, "30 min"), (7200.0, "2 h"), (86400.0, "1 d"))
    stated = {"linear": (77.0, 10.0, 0.9, -0.24, -0.31), "exponent 1.5": (16.0, 11.0, 6.6, 3.4, -0.7)}
    return [Row(f"pi 0 to 1: drawdown, {book}, half-life {text}", "pp", value, value,
                _pi("drawdown", book, half_life=seconds))
            for book, values in stated.items() for (seconds, text), value in zip(lives, values, strict=True)]


def _friction_rows() -> list[Row]:
    rows = [Row(f"amplification - 1, exponent 1.5, depth elasticity {elasticity:g}", "ratio", low, high,
                _amplification(Cell("exponent 1.5", elasticity=elasticity)))
            for elasticity, low, high in ((0.0, 0.05, 0.39), (0.5, 0.1, 1.4), (1.0, 3.0, 9.0))]
    rows.append(Row("effect of pi on liquidated with 60 s of grace, over that without", "ratio", 0.0, 0.5,
                    _share_of_effect("liquidated", "exponent 1.5", ("margin_calls.grace_seconds=60.0",))))
    rows.append(Row("effect of pi on liquidated with 30 % topping up, over that without", "ratio", 0.7, 1.3,
                    _share_of_effect("liquidated", "exponent 1.5", ("population.top_up=0.3",))))
    return rows


def _anchor_rows() -> list[Row]:
    """Rows that say why: the same fall, linear 2 %, with another pull to the index or another refill."""
    variants = {
        "pull to the index .5": ("background.index_weight=0.5", "background.far_index_weight=0.5"),
        "pull to the index .05": ("background.index_weight=0.05", "background.far_index_weight=0.05"),
        "refill 2 s at the touch": ("depth.fast_refill_seconds=2.0",),
        "index follows (kappa .5)": ("price_feed.index_feedback=0.5",),
        "two arbitrageurs": ("arbitrageurs.count=2",),
    }
    return [Row(f"amplification - 1, static 3 %, linear 2 %, {text}", "ratio", 8.0, 33.0,
                _amplification(Cell("linear", share=0.02, maintenance=0.03, more=more)))
            for text, more in variants.items()]


ROWS: tuple[Row, ...] = (*_depth_rows(), *_pi_rows(), *_half_life_rows(), *_friction_rows())
QUICK_ROWS: tuple[Row, ...] = (ROWS[0], ROWS[2], ROWS[5], ROWS[7])
WHY: tuple[Row, ...] = tuple(_anchor_rows())
WIDTH = max(len(row.name) for row in (*ROWS, *WHY))


def agrees(row: Row, estimate: float, error: float, n_seeds: int) -> bool:
    """Tell whether a value over so many seeds has the order of magnitude of the row (rule: module docstring)."""
    if math.isnan(estimate):
        return False
    reach = float(student.ppf(0.975, n_seeds - 1)) * error
    overlap = estimate - reach <= row.high and estimate + reach >= row.low
    if overlap and reach <= WIDEST * max(abs(row.low), abs(row.high)):
        return True
    end = row.low if estimate < row.low else row.high
    return estimate * end > 0.0 and 1.0 / FACTOR <= estimate / end <= FACTOR


def measure(market: str, rows: Iterable[Row], seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Yield one record per row: quantity, unit, stated range, measured value, error, agreement."""
    laboratory = Laboratory(market, seeds)
    for row in rows:
        estimate, error = row.measured(laboratory)
        yield {"market": market, "quantity": row.name, "unit": row.unit, "low": row.low, "high": row.high,
               "measured": estimate, "standard_error": error, "agrees": agrees(row, estimate, error, len(seeds))}


def text_line(one: dict[str, Any]) -> str:
    """Return a record as one line of the table."""
    stated = f"{one['low']:g}" if one["low"] == one["high"] else f"{one['low']:g} .. {one['high']:g}"
    return (f"{one['market']:<8} {one['quantity']:<{WIDTH}} {one['unit']:<8} {stated:>13} {one['measured']:>9.3g} "
            f"{one['standard_error']:>8.2g}  {'same' if one['agrees'] else 'DIFFERS'}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; the quick form has four rows, the full one all rows, both markets, and why."""
    parser = argparse.ArgumentParser(prog="python -m spirals.scenarios.experiments.magnitudes", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="all rows (about five minutes)")
    parser.add_argument("--seeds", type=int, default=0, help="runs per cell, at least 3")
    parser.add_argument("--market", choices=tuple(MARKETS), help="one of the two markets only")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    if options.seeds and not 3 <= options.seeds <= 1000:
        parser.error(f"--seeds must be from 3 to 1000, was {options.seeds}")
    seeds = range(1, 1 + (options.seeds or (4 if options.full else 3)))
    records = []
    if not options.json:
        print(f"{'market':<8} {'quantity':<{WIDTH}} {'unit':<8} {'section 5':>13} {'measured':>9} {'s.e.':>8}  order")
    for market in (options.market,) if options.market else MARKETS:
        rows = (*ROWS, *(WHY if market == "matched" else ())) if options.full else QUICK_ROWS
        for record in measure(market, rows, seeds):
            records.append(record)
            if not options.json:
                print(text_line(record), flush=True)
    if options.json:
        json.dump([{key: None if isinstance(value, float) and math.isnan(value) else value
                    for key, value in record.items()} for record in records], sys.stdout, indent=2)
        print()
        return 0
    same = sum(record["agrees"] for record in records)
    print(f"\n{same} of {len(records)} rows have the order of magnitude of section 5; seeds 1 to {max(seeds)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
