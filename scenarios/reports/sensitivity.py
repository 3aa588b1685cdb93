"""Ranking of sampled inputs in a study's report: a bar figure, a table, and what is below the noise."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spirals.scenarios.analysis.effects import Layout, completed
from spirals.scenarios.analysis.sensitivity import Ranking, rank_inputs
from spirals.scenarios.reports.figures import GREY, INK, PALETTE, axis_title, new_figure, style, to_svg
from spirals.scenarios.reports.figures_study import value_text
from spirals.scenarios.reports.html import figure, note, paragraph, table
from spirals.scenarios.reports.numbers import plain_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["pooled_over", "ranking_body", "ranking_figure", "rankings_of", "sampled_levels"]

LEAST_POINTS = 16
MOST_WORDS = 8
NOISE = "below the noise"


def pooled_over(runs: pd.DataFrame, sampled: Sequence[str], rest: Sequence[str]) -> pd.DataFrame:
    """Return complete runs with every sampled point as one replication of the rest of the design, mean over seeds.

    What the lever does is then averaged over the sample of assumptions, and its intervals cover them. Seeds are
    averaged first, because runs of one point are not independent of each other.
    """
    done = completed(runs)
    done = done.assign(replication=done.groupby(list(sampled), sort=False, dropna=False).ngroup())
    columns = {name: "mean" if pd.api.types.is_float_dtype(done[name]) else "first" for name in done
               if name not in (*sampled, *rest, "replication")}
    done = done.copy()   # in one piece: the table of runs has hundreds of columns
    return done.groupby([*rest, "replication"], sort=False, dropna=False).agg(columns).copy().reset_index()


def sampled_levels(column: pd.Series) -> list[str]:
    """Return what was sampled of one input as text: both ends of numbers, every word."""
    if pd.api.types.is_numeric_dtype(column) and column.nunique() > MOST_WORDS:
        return [f"sampled from {value_text(column.min())}", f"to {value_text(column.max())}"]
    return [value_text(value) for value in column.dropna().unique()]


def rankings_of(
    done: pd.DataFrame, sampled: Sequence[str], outcomes: Sequence[str], layout: Layout
) -> dict[str, Ranking]:
    """Return a ranking per outcome, and one of the effect of the lever on it, by title.

    The level of an outcome is its mean over everything that was crossed with the sample. Effects are the last less
    the first level of the lever with the same seed.
    """
    pair = [*sampled, "replication"]
    found: dict[str, Ranking] = {}
    for name in outcomes:
        level = done.groupby(pair, sort=False)[name].mean().reset_index()
        if level[list(sampled)].drop_duplicates().shape[0] < LEAST_POINTS:
            return {}
        found[plain_name(name)] = rank_inputs(level, sampled, name)
    if layout.lever:
        ends = [done[done[layout.lever] == value] for value in (layout.levels[0], layout.levels[-1])]
        for name in outcomes:
            low, high = (part.groupby(pair, sort=False)[name].mean() for part in ends)
            effect = (high - low).dropna().rename(name).reset_index()
            if len(effect):
                found[f"effect on {plain_name(name).lower()}"] = rank_inputs(effect, sampled, name)
    return found


def ranking_body(rankings: Mapping[str, Ranking], lever: str, ends: tuple[object, object]) -> str:
    """Return findings, figure and table of the rankings; a remark where the sample is too small."""
    if not rankings:
        return note(f"Fewer than {LEAST_POINTS} sampled points: nothing can be ranked.", warning=True)
    what = f"{lever} {value_text(ends[1])} less {lever} {value_text(ends[0])}, same seed"
    caption = (
        "Share of the variance of the ranked outcome that one input explains alone, with 95 % bootstrap interval over "
        f"points; effect: {what}. Dashed: the share that the largest of inputs without effect stays below in 95 of "
        "100 shuffles; hollow bars are below it. Inputs in the order of their mean share."
    )
    drawn = figure(to_svg(ranking_figure(rankings)), "Which assumption matters.", caption,
                   "Bars of the share of every sampled input, a panel per outcome")
    return _findings(rankings) + drawn + _table(rankings)


def ranking_figure(rankings: Mapping[str, Ranking]) -> "Figure":
    """Return horizontal bars: a panel per ranking, a row per input, the same order in all panels."""
    order = _order(rankings)
    titles = list(rankings)
    columns = min(3, len(titles))
    lines = math.ceil(len(titles) / columns)
    with style():
        canvas_figure, axes = new_figure(11.2, lines * (0.19 * len(order) + 0.75), lines, columns, sharey=True)
        for k, title in enumerate(titles):
            panel: Axes = axes[k // columns, k % columns]
            _bars(panel, rankings[title], order)
            axis_title(panel, title[0].upper() + title[1:], "share of variance")
        for unused in range(len(titles), lines * columns):
            axes[unused // columns, unused % columns].set_visible(False)
        for line in range(lines):
            axes[line, 0].set_yticks(range(0, -len(order), -1), order)
            axes[line, 0].tick_params(axis="y", labelcolor=INK, labelsize=8.0)
            axes[line, 0].set_ylim(-len(order) + 0.4, 0.6)
    return canvas_figure


def _bars(panel: "Axes", ranking: Ranking, order: Sequence[str]) -> None:
    by_name = {one.name: one for one in ranking.factors}
    panel.grid(axis="x")
    panel.grid(axis="y", visible=False)
    panel.spines["left"].set_visible(False)
    for row, name in enumerate(order):
        one = by_name[name]
        panel.barh(-row, max(one.share, 0.0), height=0.62, color=PALETTE[0] if one.above_noise else "none",
                   edgecolor=PALETTE[0], linewidth=0.8)
        panel.plot([max(one.low, 0.0), max(one.high, 0.0)], [-row, -row], color=INK, linewidth=0.9)
    panel.axvline(ranking.floor, color=GREY, linewidth=0.9, linestyle=(0, (4, 3)))
    panel.set_xlim(left=0.0)


def _order(rankings: Mapping[str, Ranking]) -> list[str]:
    shares: dict[str, list[float]] = {}
    for ranking in rankings.values():
        for one in ranking.factors:
            shares.setdefault(one.name, []).append(max(one.share, 0.0))
    return sorted(shares, key=lambda name: -float(np.mean(shares[name])))


def _findings(rankings: Mapping[str, Ranking]) -> str:
    lines = []
    for title, ranking in rankings.items():
        above = [one for one in ranking.factors if one.above_noise]
        first = ", ".join(f"{one.name} ({100 * one.share:.0f} %)" for one in above[:3])
        rest = f"{len(ranking.factors) - len(above)} of {len(ranking.factors)} inputs are {NOISE}"
        noise = "" if math.isnan(ranking.seed_noise) else f", seeds alone {100 * min(ranking.seed_noise, 1.0):.0f} %"
        lines.append(f"{title[0].upper() + title[1:]}: {first or 'no input stands out'}; {rest}{noise}; interactions "
                     f"and what classes miss {100 * max(ranking.unexplained, 0.0):.0f} %.")
    return "".join(paragraph(line) for line in lines)


def _table(rankings: Mapping[str, Ranking]) -> str:
    rows: list[list[str]] = []
    for name in _order(rankings):
        cells = [name]
        for ranking in rankings.values():
            one = next(factor for factor in ranking.factors if factor.name == name)
            sign = "" if math.isnan(one.trend) else " ↑" if one.trend > 0.0 else " ↓"
            cells.append(f"{100 * one.share:.0f} [{100 * one.low:.0f}, {100 * one.high:.0f}]{sign}"
                         if one.above_noise else NOISE)
        rows.append(cells)
    any_one = next(iter(rankings.values()))
    caption = (f"In % of the variance of the ranked outcome, over {any_one.n_points} points and {any_one.n_runs} pairs "
               "of point and seed. Arrow: direction (Spearman); none for words.")
    return table(("Input", *(f"{title[0].upper() + title[1:]}\n%" for title in rankings)), rows,
                 numeric=range(1, 1 + len(rankings)), caption=caption)
