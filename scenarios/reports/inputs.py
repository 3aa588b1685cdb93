"""What a result rests on, read from its manifest: printed fields, inputs with sources, provenance.

A manifest holds the resolved inputs as plain tables in which every part names its class as ``type``.
Nothing named there is imported.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spirals.scenarios.inputs.resolve import part_schema
from spirals.scenarios.inputs.schema import MISSING, Unknown
from spirals.scenarios.reports.html import details, escape, note, table

__all__ = [
    "PRINTED_FIELDS", "depth_models", "inputs_of", "inputs_section", "printed_fields", "provenance_section",
    "scenario_name",
]

NOT_STATED = "not stated in the manifest"
ASSUMPTION = "assumption"

#: Printed in every report: key of the manifest's `printed` table, title, and the part of the inputs
#: that shows it otherwise, with the parameters that decide it (none: the whole part).
PRINTED_FIELDS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("mark_rule", "Mark rule", "price_feed", ("mark", "basis_half_life_seconds", "oracle_latency_seconds")),
    ("volatility", "Volatility that the policy reads: source and sampling", "volatility", ()),
    ("index_feedback", "Index feedback", "price_feed", ("index_feedback", "feedback_seconds")),
    ("depth_models", "Depth models", "depth", ()),
    ("policy", "Margin policy", "margin", ()),
    ("normalisation", "Normalisation of the policies compared", "margin",
     ("normalisation", "through_the_cycle_volatility", "scale")),
    ("opening_book", "Opening book, given or adapted", "population", ("opening_book",)),
)


def inputs_of(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the resolved inputs of the scenario; empty when the manifest has none."""
    for key in ("inputs", "scenario", "base"):
        value = manifest.get(key)
        if isinstance(value, Mapping):
            inner = value.get("scenario")
            return inner if isinstance(inner, Mapping) else value
    return {}


def printed_fields(manifest: Mapping[str, Any], design: Mapping[str, Sequence[Any]]) -> list[tuple[str, str]]:
    """Return title and text of every mandatory field.

    The text is the manifest's ``printed`` entry if there is one, else the part of the inputs that
    decides it, with the levels of the design that vary below it.
    """
    stated = manifest.get("printed") or {}
    inputs = inputs_of(manifest)
    rows = []
    for key, title, part, names in PRINTED_FIELDS:
        text = _text(stated[key]) if key in stated else ""
        if not text and part in inputs:
            found = dict(_named(inputs[part], names))
            parts = [f"{name} = {value}" for name, value in found.items()]
            text = ", ".join(parts) if names else _part_line(inputs[part])
        varied = [
            f"the study varies {path}: {', '.join(_text(value) for value in values)}"
            for path, values in design.items()
            if path.split(".")[0] == part and len(values) > 1 and (not names or path.split(".")[-1] in names)
        ]
        rows.append((title, "; ".join([text, *varied] if text else varied) or NOT_STATED))
    return rows


def depth_models(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the resolved parameters of every depth model that the study ran, in the order of its points.

    A point with its own ``inputs`` is read from there. Otherwise the inputs of the manifest are those of
    the first point, and another class takes, as the sweep does, every value that the scenario states and
    its own default elsewhere; defaults are read from source text, nothing is imported.
    """
    base = inputs_of(manifest).get("depth")
    found: dict[str, Mapping[str, Any]] = {}
    for point in manifest.get("points") or ():
        own = inputs_of(point).get("depth") if isinstance(point, Mapping) else None
        settings = point.get("settings") or point.get("columns") or {} if isinstance(point, Mapping) else {}
        model = own or _with_settings(base, settings)
        if isinstance(model, Mapping):
            found.setdefault(json.dumps(model, sort_keys=True, default=str), model)
    if isinstance(base, Mapping) and not found:
        return [base]
    return list(found.values())


def _with_settings(base: Any, settings: Mapping[str, Any]) -> Any:
    """Return a part with the settings of one point that go to ``depth``."""
    changes = {path.split(".")[-1]: value for path, value in settings.items() if path.split(".")[0] == "depth"}
    if not isinstance(base, Mapping) or not changes:
        return base
    name = changes.get("type", base.get("type"))
    if name == base.get("type"):
        return {**base, **changes}
    return {"type": name, **_taken_over(base, str(name)), **changes}


def _taken_over(base: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the parameters of class `name` where `base` states the values that differ from its own defaults."""
    before, after = (_defaults(kind) for kind in (str(base.get("type")), name))
    stated = {key: value for key, value in base.items() if key in before and value != before[key]}
    return {key: stated.get(key, value) for key, value in after.items()}


def _defaults(name: str) -> dict[str, Any]:
    schema = None if ":" in name else part_schema({"type": name})  # a user's file may have changed since
    fields = schema.fields if schema is not None else ()
    return {one.name: list(one.default) if isinstance(one.default, tuple) else one.default for one in fields
            if one.default is not MISSING and not isinstance(one.default, Unknown)}


def scenario_name(manifest: Mapping[str, Any]) -> str:
    """Return the name of the scenario; empty when the manifest has none."""
    scenario = manifest.get("scenario")
    return scenario if isinstance(scenario, str) else str(inputs_of(manifest).get("name", ""))


def inputs_section(manifest: Mapping[str, Any]) -> str:
    """Return the table of inputs with their sources; numbers without a source are marked."""
    inputs = inputs_of(manifest)
    if not inputs:
        return note("The manifest holds no inputs.", warning=True)
    sources = inputs.get("sources") or manifest.get("sources") or {}
    rows = []
    for path, value in _leaves({key: value for key, value in inputs.items() if key != "sources"}):
        rows.append((path, _text(value), _source(path, sources)))
    assumed = [row for row in rows if row[2].startswith(ASSUMPTION)]
    sourced = [row for row in rows if row[2] and row not in assumed]
    text = (
        f"<p>{len(rows)} inputs: {len(sourced)} carry a source, {len(assumed)} are marked as assumptions, "
        f"{len(rows) - len(sourced) - len(assumed)} are names and defaults of the program.</p>"
    )
    stated = [(path, source, sum(1 for row in rows if _covers(path, row[0]))) for path, source in sources.items()]
    listed = table(("Input", "Source or assumption", "Values\ncovered"), stated, numeric=(2,)) if stated else ""
    return text + listed + details("All inputs with their values", table(("Input", "Value", "Source"), rows))


def provenance_section(manifest: Mapping[str, Any]) -> str:
    """Return how the result was made: everything in the manifest besides inputs and results."""
    skipped = {"points", "inputs", "scenario", "base", "printed", "targets", "outcomes", "attribution", "sources",
               "twins", "attribution_detail", "attribution_by_cause", "attribution_by_cause_detail", "genealogy",
               "stability"}
    rows = []
    for key, value in manifest.items():
        if key in skipped and not isinstance(value, str | int | float):
            continue
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        rows.append((key.replace("_", " "), text if len(text) <= 600 else text[:600] + " …"))
    return table(("Field", "Value"), rows) if rows else f"<p>{escape(NOT_STATED)}</p>"


def _leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted path, value); lists of plain values are one value, lists of parts are numbered."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _leaves(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(node, list | tuple) and any(isinstance(item, Mapping) for item in node):
        for position, item in enumerate(node):
            yield from _leaves(item, f"{prefix}[{position}]")
    else:
        yield prefix, node


def _source(path: str, sources: Mapping[str, Any]) -> str:
    """Return the source of the longest stated path that covers `path`."""
    covering = [key for key in sources if _covers(key, path)]
    return str(sources[max(covering, key=len)]) if covering else ""


def _covers(key: str, path: str) -> bool:
    plain = path.replace("[", ".").replace("]", "")
    return plain == key or plain.startswith(f"{key}.")


def _named(node: Any, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the plain values of these names anywhere below a part."""
    for key, value in node.items() if isinstance(node, Mapping) else ():
        if isinstance(value, Mapping):
            yield from _named(value, names)
        elif key in names:
            yield key, _text(value)


def _part_line(part: Any) -> str:
    """Return a part as one line: its class with its plain values, nested parts in brackets."""
    if not isinstance(part, Mapping):
        return _text(part)
    values = [
        f"{key} = {_part_line(value) if isinstance(value, Mapping) else _text(value)}"
        for key, value in part.items()
        if key != "type" and value not in ("", None, [], ())
    ]
    name = str(part.get("type", ""))
    return f"{name} ({', '.join(values)})" if name and values else name or ", ".join(values)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, list | tuple):
        shown = [_part_line(item) if isinstance(item, Mapping) else _text(item) for item in value]
        return ", ".join(shown[:12]) + (f", … ({len(shown)} values)" if len(shown) > 12 else "")
    return "" if value is None else str(value)
