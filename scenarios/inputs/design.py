"""Design: which points of levers and uncertainties a study runs.

Lists of values are crossed with each other (full factorial); ranges, and words under ``any``, are sampled
together by Latin hypercube or Sobol points and crossed with the lists; explicit points are added as they are.
"""

import dataclasses
import hashlib
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from spirals.scenarios.inputs.problems import Key, Problems, suggestion

__all__ = [
    "SAMPLERS", "Axis", "Point", "Range", "Setting", "axes_of", "design_points", "flat_entries", "label_of",
    "replication_seed",
]

RANGE_KEYS = ("low", "high", "scale", "whole", "path")
ANY_KEYS = ("any", "path")
SAMPLERS = ("latin-hypercube", "sobol")
Setting = tuple[str, Any]


@dataclasses.dataclass(frozen=True)
class Axis:
    """A lever or uncertainty with listed values: each a label and the settings that it stands for."""

    name: str
    values: tuple[tuple[Any, tuple[Setting, ...]], ...]

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(path for _, settings in self.values for path, _ in settings))


@dataclasses.dataclass(frozen=True)
class Range:
    """A lever or uncertainty that is sampled between two bounds."""

    name: str
    path: str
    low: float
    high: float
    logarithmic: bool = False
    whole: bool = False
    choices: tuple[Any, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path,)

    def at(self, share: float) -> Any:
        """Return the value at a share in [0, 1] of the range; every choice has the same share."""
        if self.choices:
            return self.choices[min(len(self.choices) - 1, math.floor(share * len(self.choices)))]
        if self.whole:  # every whole number has the same share
            return min(int(self.high), int(self.low) + math.floor(share * (self.high - self.low + 1)))
        if self.logarithmic:
            return self.low * (self.high / self.low) ** share
        return self.low + share * (self.high - self.low)


@dataclasses.dataclass(frozen=True)
class Point:
    """One point of the design: its columns in the table, its settings, its replications (0: the study's number)."""

    columns: dict[str, Any]
    settings: tuple[Setting, ...]
    replications: int = 0


def design_points(
    axes: Sequence[Axis | Range],
    explicit: Sequence[Mapping[str, Any]] = (),
    *,
    sampler: str = "latin-hypercube",
    samples: int = 1,
    seed: int = 0,
) -> list[Point]:
    """Return the points of a design in a fixed order.

    Parameters
    ----------
    axes : sequence of Axis or Range
    explicit : sequence of mapping
        Further points as tables of path to value.
    sampler : str
        One of :data:`SAMPLERS`; used when there is a range.
    samples : int
        Points drawn from the ranges; for Sobol points a power of two is best.
    seed : int
        Of the sampler (scrambling).
    """
    crossed = [_crossed(choice) for choice in itertools.product(*(_choices(axis) for axis in axes
                                                                  if isinstance(axis, Axis)))]
    ranges = [axis for axis in axes if isinstance(axis, Range)]
    points = crossed if axes else []
    if ranges:
        sampled = _sampled(ranges, sampler, samples, seed)
        points = [Point({**a.columns, **b.columns}, a.settings + b.settings) for a in crossed for b in sampled]
    points += [Point({path: label_of(value) for path, value in point.items()}, tuple(point.items()))
               for point in explicit]
    return points or [Point({}, ())]


def replication_seed(root_seed: int, replication: int) -> int:
    """Return the seed of a replication (48 bits): the same at every point of the design.

    Common random numbers: points are compared on the same noise, so differences between them have
    less variance than the points themselves.
    """
    digest = hashlib.blake2b(f"{root_seed}|{replication}".encode(), digest_size=6).digest()
    return int.from_bytes(digest, "little")


def axes_of(table: Mapping[str, Any], key: Key, problems: Problems) -> list[Axis | Range]:
    """Read a table of levers or uncertainties.

    Each entry is ``path = [values]``, ``path = {low = .., high = .., scale = "log", whole = true}``,
    ``path = {any = [values]}`` (sampled like a range),
    or ``name = {path = "..", values = [..]}``. A value may be ``{label = "..", set = {path = value}}``,
    which sets several inputs together. Dotted paths may be written with or without quotes.
    """
    found: list[Axis | Range] = []
    for name, tokens, stated in flat_entries(table):
        place = (*key, *tokens)
        path, given = name, stated
        if isinstance(stated, Mapping):
            path = stated.get("path", name)
            given = stated.get("values", stated)
        if not isinstance(path, str) or not path:
            problems.add("wrong type", (*place, "path"), allowed="dotted path of an input", given=path)
        elif isinstance(given, list) and given:
            axis = Axis(name, tuple(_value(path, value) for value in given))
            _refuse_twice(axis, given, place, problems)
            found.append(axis)
        elif isinstance(given, Mapping) and "any" in given:
            sampled = _any(name, path, given, place, problems)
            found += [sampled] if sampled is not None else []
        elif isinstance(given, Mapping) and {"low", "high"} & set(given):
            sampled = _range(name, path, given, place, problems)
            found += [sampled] if sampled is not None else []
        else:
            problems.add("no values", place, given=given,
                         allowed="an array of values, or a table with low and high, with any, or with path and values")
    return found


def label_of(value: Any) -> Any:
    """Return what stands for a value in the table of runs: itself, or the label or class of a part."""
    if isinstance(value, Mapping):
        return str(value.get("label") or str(value.get("type", "")).rpartition(":")[2] or dict(value))
    return str(value) if isinstance(value, list) else value


def _refuse_twice(axis: Axis, given: Sequence[Any], key: Key, problems: Problems) -> None:
    """Points are told apart by their labels in the table of runs."""
    labels = [label for label, _ in axis.values]
    for position, label in enumerate(labels):
        if label in labels[:position]:
            problems.add("the same value or label twice", key, allowed="values that differ, with labels that differ",
                         given=given)
            return


def _value(path: str, value: Any) -> tuple[Any, tuple[Setting, ...]]:
    if isinstance(value, Mapping) and isinstance(value.get("set"), Mapping):
        settings = tuple(_settings(value["set"]))
        return value.get("label") or ", ".join(f"{name}={item}" for name, item in settings), settings
    return label_of(value), ((path, value),)


def _settings(table: Mapping[str, Any]) -> list[Setting]:
    """Return dotted paths and values; a table with ``type`` is the value of a part."""
    found: list[Setting] = []
    for name, value in table.items():
        if isinstance(value, Mapping) and "type" not in value:
            found += [(f"{name}.{path}", item) for path, item in _settings(value)]
        else:
            found.append((name, value))
    return found


def flat_entries(table: Mapping[str, Any]) -> list[tuple[str, Key, Any]]:
    """Return name, key and value of entries; TOML has turned unquoted dotted names into nested tables."""
    found: list[tuple[str, Key, Any]] = []
    for name, value in table.items():
        inner = isinstance(value, Mapping) and not {"values", "low", "high", "path", "any"} & set(value)
        if inner and value:
            found += [(f"{name}.{rest}", (name, *tokens), item) for rest, tokens, item in flat_entries(value)]
        else:
            found.append((name, (name,), value))
    return found


def _any(name: str, path: str, given: Mapping[str, Any], key: Key, problems: Problems) -> Range | None:
    """Read words or numbers that are sampled like a range."""
    before, choices = len(problems), given["any"]
    for word in sorted(set(given) - set(ANY_KEYS)):
        problems.add("unknown key" + suggestion(word, ANY_KEYS), (*key, word), allowed=", ".join(ANY_KEYS),
                     given=given[word])
    if not isinstance(choices, list) or not choices or any(not isinstance(one, str | int | float) for one in choices):
        problems.add("wrong type", (*key, "any"), allowed="an array of words or numbers", given=choices)
    elif len(set(choices)) < len(choices):
        problems.add("the same value twice", (*key, "any"), allowed="values that differ", given=choices)
    return Range(name, path, 0.0, 1.0, choices=tuple(choices)) if len(problems) == before else None


def _range(name: str, path: str, given: Mapping[str, Any], key: Key, problems: Problems) -> Range | None:
    numbers: list[Any] = [given.get("low"), given.get("high")]
    scale, whole = given.get("scale", "linear"), given.get("whole", False)
    before = len(problems)
    for word in sorted(set(given) - set(RANGE_KEYS)):
        problems.add("unknown key" + suggestion(word, RANGE_KEYS), (*key, word), allowed=", ".join(RANGE_KEYS),
                     given=given[word])
    for word in sorted({"low", "high"} - set(given)):
        problems.add("missing key", (*key, word), allowed="a finite number")
    if len(problems) > before:
        return None
    if not all(type(item) in (int, float) and math.isfinite(item) for item in numbers):
        problems.add("wrong type", key, allowed="finite numbers low and high", given=numbers)
    elif not numbers[0] < numbers[1]:
        problems.add("empty range", key, allowed="low below high", given=numbers)
    elif scale == "log" and numbers[0] <= 0:
        problems.add("out of range", (*key, "low"), allowed="above 0 for scale = 'log'", given=numbers[0])
    elif whole is True and any(item != int(item) for item in numbers):
        problems.add("not a whole number", key, allowed="whole numbers low and high for whole = true", given=numbers)
    if not isinstance(whole, bool):
        problems.add("wrong type", (*key, "whole"), allowed="true or false", given=whole)
    if scale not in ("linear", "log"):
        problems.add("unknown word", (*key, "scale"), allowed="linear, log", given=scale)
    if len(problems) > before:
        return None
    return Range(name, path, numbers[0], numbers[1], scale == "log", whole)


def _choices(axis: Axis) -> list[tuple[str, Any, tuple[Setting, ...]]]:
    return [(axis.name, label, settings) for label, settings in axis.values]


def _crossed(choice: Sequence[tuple[str, Any, tuple[Setting, ...]]]) -> Point:
    return Point({name: label for name, label, _ in choice},
                 tuple(setting for _, _, settings in choice for setting in settings))


def _sampled(ranges: Sequence[Range], sampler: str, samples: int, seed: int) -> list[Point]:
    from scipy.stats import qmc

    make = qmc.Sobol if sampler == "sobol" else qmc.LatinHypercube
    shares = make(d=len(ranges), seed=seed).random(samples)
    points = []
    for row in shares:
        values = [axis.at(float(share)) for axis, share in zip(ranges, row, strict=True)]
        points.append(Point({axis.name: value for axis, value in zip(ranges, values, strict=True)},
                            tuple((axis.path, value) for axis, value in zip(ranges, values, strict=True))))
    return points
