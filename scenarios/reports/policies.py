"""Sections of a report on margin policies: where each sign holds, the static alternatives, cadence, speed, paths."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from spirals.scenarios.analysis.policy_conditions import (
    Condition,
    conditions,
    crash_bins,
    crash_points,
    outcome_scale,
    path_fits,
)
from spirals.scenarios.analysis.policy_effects import (
    FACTORS,
    PairedCell,
    PolicyRuns,
    cadence_effects,
    group_interval,
    pi_effects,
    static_effects,
)
from spirals.scenarios.reports.figures import to_svg
from spirals.scenarios.reports.figures_policies import duration_figure, shown_depth, sign_map
from spirals.scenarios.reports.figures_study import value_text
from spirals.scenarios.reports.html import Section, details, figure, note, paragraph, table
from spirals.scenarios.reports.numbers import Scale, format_interval, format_number, interval_column, plain_name
from spirals.simulation.measures.amplification import ratio_of_means
from spirals.simulation.measures.intervals import Interval

__all__ = ["MAIN_OUTCOMES", "main_outcomes", "policy_sections"]

MAIN_OUTCOMES = ("excess_drawdown", "forced_notional", "bad_debt_gross", "bad_debt_net", "margin_locked")
COUNTS = "Behind each: cells higher / lower / undetermined."


def main_outcomes(found: PolicyRuns, stated: Sequence[str] = ()) -> list[str]:
    """Return the outcomes of the report: those of the study that were measured, else the usual five."""
    return [name for name in stated or MAIN_OUTCOMES if name in found.runs and name != "amplification"]


def policy_sections(found: PolicyRuns, outcomes: Sequence[str]) -> list[Section]:
    """Return the sections on one or several studies of policies."""
    effects = {name: pi_effects(found, name) for name in outcomes}
    scales = {name: outcome_scale(found, name, [cell.difference for cell in cells])
              for name, cells in effects.items()}
    listed = conditions(found, outcomes)
    sections = [
        Section("conditions", "Where each sign holds", _conditions_body(found, listed, scales)),
        Section("map", f"Effect of {_rise(found)}, cell by cell", _map_body(found, effects, scales)),
    ]
    if "twin_drawdown_mark" in found.runs:
        sections.append(Section("amplification", "Amplification", _amplification_body(found)))
    if found.statics:
        sections.append(Section("static", "Against static policies", _static_body(found, outcomes, scales)))
    if len(found.levels["cadence"]) > 1:
        sections.append(Section("cadence", "How often, and which rate", _cadence_body(found, outcomes, scales)))
    if "crash_seconds" in found.runs and found.runs["crash_seconds"].notna().any():
        sections.append(Section("speed", "Half-life against the duration of the crash", _speed_body(found, outcomes)))
    if "path_fits" in found.runs and found.runs["path_fits"].notna().any():
        sections.append(Section("paths", "Exogenous paths", _paths_body(found, effects, scales)))
    return sections


def _rise(found: PolicyRuns) -> str:
    return f"π {value_text(found.pis[0])} → {value_text(found.pis[-1])}"


def _cell_name(factor: str, value: object) -> str:
    return shown_depth(value) if factor == "depth" else str(value).replace("_", " ")


def _cell_names(cell: PairedCell) -> tuple[str, ...]:
    return tuple(_cell_name(factor, cell.cell[factor]) for factor in FACTORS[:4])


def _conditions_body(found: PolicyRuns, listed: Sequence[Condition], scales: Mapping[str, Scale]) -> str:
    rows = []
    for outcome in scales:
        here = [one for one in listed if one.outcome == outcome]
        named = [one for one in here if one.factor]
        texts = []
        for sign in (1, -1, 0):
            kept = [one for one in named if one.mean.sign == sign]
            listing = ", ".join(_cell_name(one.factor, one.value) for one in kept)
            texts.append("everywhere" if kept and len(kept) == len(named) else listing or "–")
        rows.append((plain_name(outcome), *texts))
    verdicts = table(
        ("Outcome", "Higher", "Lower", "Undetermined"), rows,
        caption=f"Mean effect of {_rise(found)} over all cells with one property, by the side of zero on which its "
                "95 % interval lies. Not corrected for the number of comparisons.")
    groups = list(dict.fromkeys((one.factor, one.value) for one in listed))
    columns = []
    for outcome, scale in scales.items():
        by_group = {(one.factor, one.value): one for one in listed if one.outcome == outcome}
        texts = interval_column([by_group[group].mean for group in groups], scale, symmetric=True)
        columns.append([f"{text}  {_counts(by_group[group])}" for text, group in zip(texts, groups, strict=True)])
    names = [f"{factor}: {_cell_name(factor, value)}" if factor else "all cells" for factor, value in groups]
    headers = ("Cells with", *(f"{plain_name(name)}\n{scale.unit}" for name, scale in scales.items()))
    numbers = table(headers, list(zip(names, *columns, strict=True)), numeric=range(1, len(headers)),
                    caption=f"Effect of {_rise(found)}: mean over cells with equal weight ± half-width of the 95 % "
                            f"interval, replications as clusters. {COUNTS} Cadences other than {found.base} were run "
                            "on a part of the cells; a rate that does not respond is the same at every cadence.")
    return verdicts + numbers


def _counts(one: Condition) -> str:
    return f"({one.higher}/{one.lower}/{one.undetermined})"


def _map_body(found: PolicyRuns, effects: Mapping[str, Sequence[PairedCell]], scales: Mapping[str, Scale]) -> str:
    drawn = figure(
        to_svg(sign_map(effects, scales, found.levels)), f"Effect of {_rise(found)}.",
        f"Paired by replication, cadence {found.base}. Orange: the 95 % interval lies above zero; blue: below; grey: "
        "on both sides. Hatched: no exogenous path reproduces the bars there, all runs counted.",
        "Map of the signs of the effect of pi")
    cells = next(iter(effects.values()))
    names = [_cell_names(cell) for cell in cells]
    headers = ("Event", "Depth", "Normalisation", "Book", "Pairs", "Path fits")
    columns: list[Sequence[object]] = [[cell.difference.n for cell in cells],
                                       ["yes" if cell.fits else "no" for cell in cells]]
    for outcome, rows in effects.items():
        columns.append(interval_column([one.difference for one in rows], scales[outcome]))
        columns.append([format_number(one.variance_ratio, 2) for one in rows])
    titles = [title for name, scale in scales.items()
              for title in (f"{plain_name(name)}\n{scale.unit}", "Variance\nratio")]
    every = table((*headers, *titles), [(*name, *row) for name, *row in zip(names, *columns, strict=True)],
                  numeric=range(4, len(headers) + len(titles)),
                  caption="Variance ratio: independent over paired; 1 means that pairing bought nothing.")
    return drawn + details("Every cell with its interval and variance ratio", every)


def _amplification_body(found: PolicyRuns) -> str:
    rows = []
    base = found.runs[(found.runs["cadence"] == found.base) & found.runs["pi"].notna()]
    ends = (found.pis[0], found.pis[-1])
    for (event, depth, normalisation, book), part in _grouped(found, base):
        texts = []
        for pi in ends:
            one = part[part["pi"] == pi]
            one = one[one["fits"]] if one["fits"].sum() > 1 else one
            texts += [_ratio(one, method) for method in ("fieller", "bootstrap")]
        rows.append((event, shown_depth(depth), str(normalisation).replace("_", " "), book, *texts))
    headers = ("Event", "Depth", "Normalisation", "Book",
               *(f"π = {value_text(pi)}\n{method}" for pi in ends for method in ("Fieller", "bootstrap")))
    text = ("Mean drawdown over that of twin T1, with Fieller's and the percentile bootstrap interval; "
            "n/a where the twin falls by less than 1 %. The difference, above, comes first: a ratio also moves with "
            "its denominator.")
    return paragraph(text) + details("Amplification in every cell",
                                     table(headers, rows, numeric=range(4, 8))) + _amplification_ranges(found, base)


def _amplification_ranges(found: PolicyRuns, base: pd.DataFrame) -> str:
    rows = []
    for event in found.levels["event"]:
        for pi in found.pis:
            part = base[(base["event"] == event) & (base["pi"] == pi) & base["fits"]]
            ratios = [ratio_of_means(one["drawdown_mark"], one["twin_drawdown_mark"]).estimate
                      for _, one in part.groupby(["depth", "normalisation", "book"], sort=False) if len(one) > 1]
            ratios = [ratio for ratio in ratios if math.isfinite(ratio)]
            text = f"{min(ratios):.3f} to {max(ratios):.3f}" if ratios else "n/a"
            rows.append((event, value_text(pi), text, len(ratios)))
    return table(("Event", "π", "Lowest to highest cell", "Cells"), rows, numeric=(1, 2, 3),
                 caption="Range of the ratio of means over depth, normalisation and book, where a path fits.")


def _grouped(found: PolicyRuns, runs: pd.DataFrame) -> list[tuple[tuple[Any, ...], pd.DataFrame]]:
    groups = dict(iter(runs.groupby(list(FACTORS[:4]), sort=False)))
    place = [{value: k for k, value in enumerate(found.levels[name])} for name in FACTORS[:4]]
    return sorted(groups.items(),
                  key=lambda item: [rank.get(one, len(rank)) for rank, one in zip(place, item[0], strict=True)])


def _ratio(runs: pd.DataFrame, method: str) -> str:
    one = ratio_of_means(runs["drawdown_mark"].to_numpy(), runs["twin_drawdown_mark"].to_numpy(), method=method)
    return format_interval(one, Scale(1.0, ""), signed=False)


def _static_body(found: PolicyRuns, outcomes: Sequence[str], scales: Mapping[str, Scale]) -> str:
    rows = []
    for pi in found.pis[-1:]:
        cells = {name: static_effects(found, name, pi) for name in outcomes}
        for static in found.statics:
            for normalisation in found.levels["normalisation"][:1]:   # the policy whose mean and peak they hold
                kept = {name: [cell for cell in one if cell.fits and cell.cell["static"] == static
                               and cell.cell["normalisation"] == normalisation] for name, one in cells.items()}
                if kept[outcomes[0]]:
                    first = (f"π = {value_text(pi)}, {_cell_name('', normalisation)}", static)
                    rows.append((*first, *_group_texts(kept, scales)))
    headers = ("Responsive", "less the static", *(f"{plain_name(name)}\n{scales[name].unit}" for name in outcomes))
    return table(headers, rows, numeric=range(2, len(headers)),
                 caption="Responsive policy less static ones at its own mean and peak over the event, same draws: "
                         f"mean over events, depth models and books ± half-width of the 95 % interval. {COUNTS}")


def _cadence_body(found: PolicyRuns, outcomes: Sequence[str], scales: Mapping[str, Scale]) -> str:
    rows = []
    for cadence in found.levels["cadence"]:
        if cadence == found.base:
            continue
        cells = {name: cadence_effects(found, name, cadence) for name in outcomes}
        for pi in found.pis:
            kept = {name: [cell for cell in one if cell.cell["pi"] == pi and cell.fits] for name, one in cells.items()}
            if kept[outcomes[0]]:
                rows.append((cadence, value_text(pi), *_group_texts(kept, scales)))
    headers = ("Cadence", "π", *(f"{plain_name(name)}\n{scales[name].unit}" for name in outcomes))
    return table(headers, rows, numeric=range(1, len(headers)),
                 caption=f"Difference to cadence {found.base} at the same π: mean over events, depth models and "
                         f"normalisations ± half-width of the 95 % interval. {COUNTS} Repricing "
                         "every second is a limit that no venue practises.")


def _group_texts(kept: Mapping[str, Sequence[PairedCell]], scales: Mapping[str, Scale]) -> list[str]:
    texts = []
    for name, cells in kept.items():
        signs = [cell.difference.sign for cell in cells]
        counts = f"({signs.count(1)}/{signs.count(-1)}/{signs.count(0)})"
        texts.append(f"{interval_column([group_interval(cells)], scales[name], symmetric=True)[0]}  {counts}")
    return texts


def _speed_body(found: PolicyRuns, outcomes: Sequence[str]) -> str:
    points = {name: crash_points(found, name) for name in outcomes[:4]}
    points = {name: one for name, one in points.items() if one}
    if not points:
        return note("No crash was run at both ends of π.", warning=True)
    bins = {name: crash_bins(one) for name, one in points.items()}
    scales = {name: outcome_scale(found, name, [Interval(y, y, y, 0.0, 1) for _, y in one])
              for name, one in points.items()}
    n = len(next(iter(points.values())))
    drawn = figure(
        to_svg(duration_figure(points, bins, scales)), f"Effect of {_rise(found)} by the speed of the crash.",
        f"{n} crashes, each with the effect averaged over depth models at book and normalisation as run. Bars: mean of "
        "a bin with its 95 % interval; coloured where it excludes zero. Half-life of the volatility that the policy "
        "reads over the duration of the exogenous move; here the duration varies and the half-life stands.",
        "Effect of pi against half-life over duration")
    first = next(iter(bins.values()))
    columns: Sequence[Sequence[object]] = [interval_column([one for *_, one in bins[name]], scales[name])
                                           for name in points]
    names = [f"{low:.2g} to {high:.2g}" for low, high, _ in first]
    headers = ("Half-life / duration", "Crashes", *(f"{plain_name(name)}\n{scales[name].unit}" for name in points))
    return drawn + table(headers, list(zip(names, [one.n for *_, one in first], *columns, strict=True)),
                         numeric=range(1, len(headers)))


def _paths_body(
    found: PolicyRuns, effects: Mapping[str, Sequence[PairedCell]], scales: Mapping[str, Scale]
) -> str:
    text = ("Runs on bars stand on an exogenous path that was solved first: the one whose simulation, under the policy "
            "of the scenario, reproduces the bars. It is the same for every policy. A path fits when high, low and "
            "close of every bar are met within the tolerance.")
    rows = [(one["event"], shown_depth(one["depth"]), f"{one['fits']} of {one['paths']}",
             format_number(one["median_bp"], 2), format_number(one["max_bp"], 2), one["missed"])
            for one in path_fits(found)]
    headers = ("Event", "Depth", "Paths that fit", "Median bar\nbp, largest", "Worst bar\nbp", "Bars missed\nat most")
    missing = {name: [cell for cell in cells if not cell.fits] for name, cells in effects.items()}
    body = paragraph(text) + table(headers, rows, numeric=range(2, 6))
    if not any(missing.values()):
        return body + paragraph("In every cell at least two replications have a path that fits; the others are left "
                                "out of all comparisons.")
    return body + _apart(missing, scales)


def _apart(missing: Mapping[str, Sequence[PairedCell]], scales: Mapping[str, Scale]) -> str:
    names = [_cell_names(cell) for cell in next(iter(missing.values()))]
    columns = [interval_column([cell.difference for cell in found], scales[outcome])
               for outcome, found in missing.items()]
    headers = ("Event", "Depth", "Normalisation", "Book",
               *(f"{plain_name(outcome)}\n{scales[outcome].unit}" for outcome in missing))
    rows = [(*name, *row) for name, *row in zip(names, *columns, strict=True)]
    return note("No path fits in the cells below: what is measured there does not start from the bars. They are in no "
                "mean and in no count.", warning=True) + table(headers, rows, numeric=range(4, len(headers)))
