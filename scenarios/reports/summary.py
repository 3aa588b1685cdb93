"""One report over several studies of policies, one for each event: the signs side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from spirals.scenarios.analysis.effects import completed
from spirals.scenarios.analysis.policy_effects import policy_runs
from spirals.scenarios.reports.html import Section, escape, note, page, table
from spirals.scenarios.reports.inputs import printed_fields, scenario_name
from spirals.scenarios.reports.policies import main_outcomes, policy_sections
from spirals.scenarios.reports.reading import policy_reading_body
from spirals.scenarios.reports.study_tables import replications

__all__ = ["summary_page"]

CONDITIONAL = (
    "Intervals on an event are conditional on its bars: they cover population, flow and the draws inside the bars. "
    "Intervals on an ensemble of shocks cover the draw of the crash as well. Replications of different events share "
    "their seeds."
)


def summary_page(studies: Sequence[tuple[Mapping[str, Any], pd.DataFrame]], folders: Sequence[str]) -> str:
    """Return the report of several studies of policies as one HTML document.

    Parameters
    ----------
    studies : sequence of (manifest, runs)
        At least one with policies that differ in pi.
    folders : sequence of str
        Where each study's own report is, for links, relative to the page.
    """
    found = policy_runs(studies)
    if found is None:
        raise ValueError("a summary needs a study whose policies differ in pi")
    stated = list(dict.fromkeys(name for manifest, _ in studies for name in manifest.get("outcomes") or ()))
    sections = [
        Section("reading", "How to read this", policy_reading_body()),
        *policy_sections(found, main_outcomes(found, stated)),
        Section("conditional", "What the intervals are conditional on", note(CONDITIONAL)),
        Section("printed", "Rules that every result depends on", _printed(studies)),
        Section("studies", "The studies", _studies(studies, folders)),
    ]
    events = ", ".join(map(str, found.levels["event"]))
    runs = sum(len(runs) for _, runs in studies)
    return page(
        kicker="Summary of several studies",
        title="How the procyclicality of margin changes the damage of a crash",
        lead=f"Effects of margin policies on {events}: where each sign holds, and what it depends on.",
        meta=[("Events", events), ("Runs", runs), ("Depth models", len(found.levels["depth"])),
              ("Base cadence", found.base)],
        sections=sections,
        foot="Written by spirals report from the manifests and tables of runs of the studies alone.",
    )


def _printed(studies: Sequence[tuple[Mapping[str, Any], pd.DataFrame]]) -> str:
    titles: list[str] = []
    columns = []
    for manifest, _ in studies:
        rows = printed_fields(manifest, {})
        titles = [title for title, _ in rows]
        columns.append([text for _, text in rows])
    headers = ("Field", *(scenario_name(manifest) for manifest, _ in studies))
    return table(headers, list(zip(titles, *columns, strict=True)))


def _studies(studies: Sequence[tuple[Mapping[str, Any], pd.DataFrame]], folders: Sequence[str]) -> str:
    rows = [(manifest.get("name", ""), scenario_name(manifest), len(completed(runs)), len(runs), replications(runs),
             manifest.get("table_digest", ""), str(manifest.get("commit") or "")[:10])
            for manifest, runs in studies]
    links = "".join(f'<li><a href="{escape(folder)}/report.html">{escape(manifest.get("title") or folder)}</a></li>'
                    for (manifest, _), folder in zip(studies, folders, strict=True))
    headers = ("Study", "Scenario", "Complete", "Runs", "Replications\nat most", "Table", "Commit")
    return table(headers, rows, numeric=(2, 3, 4)) + f"<p>Reports of the studies:</p><ul>{links}</ul>"
