"""HTML of the reports: escaping, tables, figures, one self-contained page. No script, no link outside."""

import dataclasses
import html
from collections.abc import Sequence

__all__ = ["Section", "details", "escape", "figure", "note", "page", "paragraph", "table"]

STYLE = """
:root { color-scheme: light; --ink: #1c2024; --soft: #5b6570; --rule: #d9dde1; --paper: #fdfdfb; --tint: #f4f5f2;
  --accent: #1f5a8a; --sans: system-ui, "Segoe UI", "Helvetica Neue", Arial, "DejaVu Sans", sans-serif;
  --serif: Charter, "Bitstream Charter", "Sitka Text", Cambria, Georgia, "DejaVu Serif", serif; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 17px/1.55 var(--serif); }
main, header, footer { max-width: 66rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 3.2rem; }
p, li, nav, dl { max-width: 43rem; }
h1 { font-size: 2.1rem; line-height: 1.15; margin: .2rem 0 .5rem; font-weight: 600; letter-spacing: -.01em; }
h2 { font-size: 1.32rem; line-height: 1.25; margin: 2.9rem 0 .7rem; font-weight: 600; }
h3 { font: 600 .95rem/1.35 var(--sans); margin: 1.7rem 0 .4rem; }
.kicker { font: 600 .76rem/1.3 var(--sans); letter-spacing: .09em; text-transform: uppercase;
  color: var(--accent); margin: 0; }
.lead { font-size: 1.13rem; line-height: 1.5; color: #343b42; margin: 0 0 1rem; }
.meta { font: .84rem/1.55 var(--sans); color: var(--soft); border: solid var(--rule); border-width: 1px 0;
  padding: .6rem 0; margin: 1.2rem 0 0; display: flex; flex-wrap: wrap; gap: .15rem 1.6rem; max-width: none; }
.meta b { font-weight: 600; color: var(--ink); }
nav { font: .92rem/1.7 var(--sans); margin: 1.5rem 0 0; }
nav ol { margin: .2rem 0 0; padding-left: 1.3rem; columns: 2; column-gap: 2.2rem; }
nav a, a { color: var(--accent); text-decoration: none; }
nav a:hover, a:hover { text-decoration: underline; }
figure { margin: 1.4rem 0 1.6rem; }
.scroll { max-width: 100%; overflow-x: auto; -webkit-overflow-scrolling: touch; }
figure svg { display: block; width: 100%; height: auto; min-width: 56rem; }
figure svg text { font-family: var(--sans) !important; }
figcaption { font: .86rem/1.5 var(--sans); color: var(--soft); max-width: 46rem; margin-top: .55rem; }
figcaption b { color: var(--ink); }
table { border-collapse: collapse; font: .86rem/1.4 var(--sans); font-variant-numeric: tabular-nums; margin: .4rem 0; }
caption { caption-side: top; text-align: left; font-size: .86rem; color: var(--soft); padding-bottom: .45rem; }
th, td { text-align: left; vertical-align: top; padding: .34rem .95rem .34rem 0; border-bottom: 1px solid var(--rule); }
thead th { font-weight: 600; border-bottom: 1.5px solid var(--ink); vertical-align: bottom; }
tbody tr:hover { background: var(--tint); }
td.n, th.n { text-align: right; }
td.n, .unit { white-space: nowrap; }
td:first-child { min-width: 6.5rem; }
td { overflow-wrap: break-word; }
td:last-child, th:last-child { padding-right: .2rem; }
small, .unit { color: var(--soft); font-weight: 400; }
code { font: .88em/1.4 ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
pre { font: .8rem/1.45 ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; background: var(--tint);
  padding: .8rem 1rem; overflow-x: auto; max-width: none; }
.note { border-left: 3px solid var(--accent); padding: .1rem 0 .1rem 1rem; margin: 1.1rem 0; color: #343b42;
  max-width: 43rem; }
.box { background: var(--tint); border: 1px solid var(--rule); padding: .8rem 1.1rem; margin: 1rem 0;
  max-width: 46rem; font: .9rem/1.5 var(--sans);
  display: grid; grid-template-columns: max-content 1fr; gap: .4rem 1rem; }
.box dt { font-weight: 600; }
.box dd { margin: 0; }
.warn { border-color: #b3501c; }
.findings { list-style: none; padding: 0; margin: 1rem 0; max-width: none; display: grid; gap: 1rem 1.6rem;
  grid-template-columns: repeat(auto-fit, minmax(13.5rem, 1fr)); }
.findings li { border-top: 2px solid var(--ink); padding-top: .55rem; font: .9rem/1.5 var(--sans); color: #343b42; }
.findings .big { display: block; font: 600 1.35rem/1.3 var(--sans); color: var(--ink);
  font-variant-numeric: tabular-nums; }
.findings .name { display: block; font-weight: 600; color: var(--ink); }
details { margin: .8rem 0; }
summary { font: 600 .92rem/1.5 var(--sans); cursor: pointer; color: var(--accent); }
footer { font: .82rem/1.5 var(--sans); color: var(--soft); border-top: 1px solid var(--rule); margin-top: 3.5rem;
  padding-top: .9rem; padding-bottom: 3rem; }
@media (max-width: 40rem) { body { font-size: 16px; } header { padding-top: 1.8rem; } h1 { font-size: 1.65rem; }
  nav ol { columns: 1; } main, header, footer { padding-left: 1rem; padding-right: 1rem; } }
@media print { body { font-size: 10.5pt; background: #fff; } nav { display: none; } figure, tr { break-inside: avoid; }
  figure svg { min-width: 0; } .scroll { overflow: visible; } }
"""


@dataclasses.dataclass(frozen=True)
class Section:
    """One section of a report: anchor, title as text, body as HTML."""

    anchor: str
    title: str
    body: str


def escape(text: object) -> str:
    """Return text that is safe in HTML content and attributes."""
    return html.escape(str(text), quote=True)


def paragraph(text: str) -> str:
    """Return a paragraph of plain text, escaped."""
    return f"<p>{escape(text)}</p>"


def note(text: str, warning: bool = False) -> str:
    """Return a set-off remark of plain text, escaped."""
    return f'<p class="note{" warn" if warning else ""}">{escape(text)}</p>'


def table(
    headers: Sequence[str], rows: Sequence[Sequence[object]], numeric: Sequence[int] = (), caption: str = ""
) -> str:
    """Return a table that scrolls sideways on narrow screens.

    Parameters
    ----------
    headers : sequence of str
        Escaped; the part after the first line break is set as a unit.
    rows : sequence of sequences
        Cells, escaped.
    numeric : sequence of int
        Columns set flush right.
    caption : str
        Escaped.
    """
    right = set(numeric)

    def cell(tag: str, column: int, text: str) -> str:
        side = ' class="n"' if column in right else ""
        return f"<{tag}{side}>{text}</{tag}>"

    head = "".join(cell("th", column, _header(text)) for column, text in enumerate(headers))
    lines = [
        "<tr>" + "".join(cell("td", column, escape(value)) for column, value in enumerate(row)) + "</tr>"
        for row in rows
    ]
    above = f"<caption>{escape(caption)}</caption>" if caption else ""
    body = "\n".join(lines)
    return f'<div class="scroll"><table>{above}<thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def figure(svg: str, title: str, caption: str, alternative: str) -> str:
    """Return a figure with caption; `svg` comes from :mod:`spirals.scenarios.reports.figures`, texts are escaped."""
    labelled = svg.replace("<svg ", f'<svg role="img" aria-label="{escape(alternative)}" ', 1)
    return (
        f'<figure><div class="scroll" tabindex="0">{labelled}</div>'
        f"<figcaption><b>{escape(title)}</b> {escape(caption)}</figcaption></figure>"
    )


def details(summary: str, body: str) -> str:
    """Return a part that the reader opens; `body` is HTML."""
    return f"<details><summary>{escape(summary)}</summary>{body}</details>"


def page(
    kicker: str, title: str, lead: str, meta: Sequence[tuple[str, object]], sections: Sequence[Section], foot: str
) -> str:
    """Return the whole document; every text but the bodies of the sections is escaped."""
    facts = "".join(f"<span>{escape(name)} <b>{escape(value)}</b></span>" for name, value in meta)
    contents = "".join(f'<li><a href="#{one.anchor}">{escape(one.title)}</a></li>' for one in sections)
    body = "\n".join(
        f'<section id="{one.anchor}"><h2>{escape(one.title)}</h2>\n{one.body}</section>' for one in sections
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<p class="kicker">{escape(kicker)}</p>
<h1>{escape(title)}</h1>
<p class="lead">{escape(lead)}</p>
<p class="meta">{facts}</p>
<nav aria-label="Contents"><ol>{contents}</ol></nav>
</header>
<main>
{body}
</main>
<footer>{escape(foot)}</footer>
</body>
</html>
"""


def _header(text: str) -> str:
    name, _, unit = text.partition("\n")
    return escape(name) + (f'<br><span class="unit">{escape(unit)}</span>' if unit else "")
