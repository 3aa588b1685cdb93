"""Impulse responses in the report of a run: what a sale and a purchase set off, early and at the narrowest point."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spirals.scenarios.feedback.impulse import Impulse
from spirals.scenarios.feedback.probe import RESPONSES
from spirals.scenarios.reports.figures import to_svg
from spirals.scenarios.reports.figures_impulse import impulse_figure
from spirals.scenarios.reports.html import figure, paragraph, table
from spirals.scenarios.reports.numbers import format_number
from spirals.simulation.measures.intervals import Interval

__all__ = ["impulse_body", "impulses_of"]


def impulses_of(rows: Sequence[Mapping[str, Any]]) -> list[Impulse]:
    """Return the answers from their plain data, as ``spirals probe --json`` and ``run.json`` hold them."""
    return [Impulse(
        str(row["side"]), float(row["at_seconds"]), float(row["size"]), np.array(row["seconds"], np.float64),
        {name: np.array(row[name], np.float64) for name in RESPONSES},
        {name: np.array(row[f"{name}_error"], np.float64) for name in RESPONSES},
        _interval(row, "opened"), _interval(row, "closed")) for row in rows]


def _interval(row: Mapping[str, Any], name: str) -> Interval:
    middle, low, high = (math.nan if row[key] is None else float(row[key])
                         for key in (name, f"{name}_low", f"{name}_high"))
    return Interval(middle, low, high, math.nan, 0)


def impulse_body(document: Mapping[str, Any]) -> str:
    """Return figure and table of the answers as HTML; "" without any."""
    if not document.get("responses"):
        return ""
    found = impulses_of(document["responses"])
    text = (
        f"{100.0 * float(document['share']):g} % of the opening open interest sold or bought within "
        f"{float(document['seconds']):g} s, from the state at the first point and from the one with the smallest "
        f"margin, while the outside price stands still; difference of {document['branches']} pairs of forks with the "
        "same draws. One state of one run: spirals probe averages over seeds.")
    drawn = figure(
        to_svg(impulse_figure(found)), "What a sale and a purchase set off.",
        "Difference to the fork without the probe; bands of two standard errors over forks. Forced orders are counted "
        "in the probe's direction: above zero they push the price on.", "Impulse responses of a run")
    rows = [(f"{one.at_seconds / 60.0:.3g}", one.side, format_number(one.opened.estimate),
             format_number(one.closed.estimate), format_number(1e4 * float(max(one.mean["mark"], key=abs))),
             format_number(float(one.mean["forced"][-1]) / one.size)) for one in found]
    headers = ("Moment\nmin", "Probe", "Gain, open loop", "Gain, closed loop", "Mark, furthest\nbp",
               "Forced orders\nper unit")
    return paragraph(text) + drawn + table(headers, rows, numeric=(0, 2, 3, 4, 5))
