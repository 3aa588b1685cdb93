"""Study: a scenario, a design over it, replications and the outcomes of interest."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spirals.scenarios.inputs.blocks import Block, blocks_of, points_of_blocks
from spirals.scenarios.inputs.catalogue_index import find_file
from spirals.scenarios.inputs.design import (
    SAMPLERS,
    Axis,
    Point,
    Range,
    Setting,
    axes_of,
    design_points,
    label_of,
    replication_seed,
)
from spirals.scenarios.inputs.loader import Inputs, add_unknown, parsed_overrides, resolve_stated, take_version
from spirals.scenarios.inputs.overrides import Override
from spirals.scenarios.inputs.problems import Problems, Where, suggestion
from spirals.scenarios.inputs.resolve import Resolver
from spirals.scenarios.inputs.toml_source import read_extended
from spirals.scenarios.runs.study_paths import PathSearch, path_search, path_settings, refuse_other_worlds
from spirals.simulation.measures.catalogue import MEASURES, TWIN_MEASURES
from spirals.simulation.parameters import Part, parameter

__all__ = ["Cell", "Study", "load_study", "study_cells"]

TWIN_NAMES = ("T1", "T2", "T3")
CHANNEL_NAMES = ("mark", "margin", "depth", "index", "funding", "hedge")
SAFE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
TABLE_NAMES = ("steps", "totals", "calls", "liquidations", "adl")


@dataclasses.dataclass(frozen=True)
class Study(Part):
    """What a sweep is asked to do.

    Levers are what the designer of a venue chooses, uncertainties what nobody chooses; both are
    crossed. Replication r has the same seed at every point (common random numbers).

    With `blocks` only the points of the crossing that belong to one of them are run. With `deconvolve` the exogenous
    path whose simulation reproduces the scenario's bars is solved first, for each replication and each value of the
    columns named by ``by``, under the scenario as it stands otherwise; every point then runs on that path. Columns
    named ``policy``, ``depth``, ``book`` and ``cadence`` are known to the report.
    """

    name: str = parameter(help="label, and the folder below results/")
    scenario: str = parameter(help="name of the catalogue, or a TOML file beside the study")
    title: str = parameter("", help="of the report")
    summary: str = parameter("", help="one line for lists and reports")
    lever: str = parameter("", help="design column on the x axis of the report; empty: found by itself")
    conditional_on: str = parameter("", help="what the intervals are conditional on, for the report")
    left_out: str = parameter("", help="what the model leaves out, for the report")
    replications: int = parameter(20, unit="runs per point", low=1, high=1_000_000)
    seed: int = parameter(0, low=0, high=2**53, help="root of the seeds of all replications")
    twins: tuple[str, ...] = parameter((), choices=TWIN_NAMES, help="twins to run beside every run")
    attribution: tuple[str, ...] = parameter((), choices=CHANNEL_NAMES,
                                             help="channels to attribute every run to, 2^n + 1 runs each")
    outcomes: tuple[str, ...] = parameter((), help="outcomes that the report shows first")
    tables: tuple[str, ...] = parameter((), choices=TABLE_NAMES, help="tables to keep of every run")
    set: dict[str, object] = parameter({}, help="inputs of the scenario to replace, path = value")
    levers: dict[str, object] = parameter({}, help="path = [values]")
    uncertainties: dict[str, object] = parameter({}, help="path = [values], or {low, high}")
    points: tuple[dict[str, object], ...] = parameter((), help="further points, each path = value")
    blocks: tuple[dict[str, object], ...] = parameter((), help="parts of the crossing to run: name, only, replications")
    deconvolve: dict[str, object] = parameter({}, help="by, price, tolerance_bp, slack, iterations; empty: no paths")
    sampler: str = parameter("latin-hypercube", choices=SAMPLERS, help="for ranges {low, high}")
    samples: int = parameter(16, unit="points", low=1, high=1_000_000, help="drawn from the ranges")
    folder: str = dataclasses.field(default="", compare=False, repr=False)

    def axes(self) -> list[Axis | Range]:
        """Return levers, then uncertainties; raises InputError with every problem of the design."""
        problems = Problems()
        axes = design_axes(self.levers, self.uncertainties, problems)
        problems.raise_if_any()
        return axes

    def design(self) -> list[Point]:
        """Return the points of the study in a fixed order; raises InputError with every problem of the design."""
        axes, problems = self.axes(), Problems()
        blocks: list[Block] = blocks_of(self.blocks, axes, problems)
        problems.raise_if_any()
        crossed = design_points(axes, sampler=self.sampler, samples=self.samples, seed=self.seed)
        explicit = design_points((), self.points) if self.points else []
        return [*(points_of_blocks(crossed, blocks) if axes or not explicit else []), *explicit]

    def path_search(self) -> PathSearch | None:
        """Return how paths are solved first; None when the outside world is run as it is."""
        return path_search(self.deconvolve, self.axes(), Problems())

    @property
    def columns(self) -> list[str]:
        """Names of the design columns of the table of runs."""
        return list(dict.fromkeys(name for point in self.design() for name in point.columns))


@dataclasses.dataclass(frozen=True)
class Cell:
    """One run of a study: resolved inputs, replication and seed.

    `path` holds the inputs under which its exogenous path is to be solved, and `path_columns` what the path belongs
    to; None and empty where the outside world is run as it is.
    """

    inputs: Inputs
    columns: dict[str, Any]
    replication: int
    seed: int
    path: Inputs | None = None
    path_columns: dict[str, Any] = dataclasses.field(default_factory=dict)


def load_study(name_or_path: str | Path, *, replications: int | None = None) -> Study:
    """Return the study of a catalogue name or a TOML file; raises InputError with every problem.

    Parameters
    ----------
    replications : int, optional
        Instead of the number in the file.
    """
    problems = Problems()
    path = find_file(str(name_or_path), Path.cwd(), "study")
    if path is None:
        add_unknown(str(name_or_path), "study", problems)
        problems.raise_if_any()
    assert path is not None
    stated, places, folders = read_extended(path, problems, lambda name, folder: find_file(name, folder, "study"))
    problems.places = places
    problems.raise_if_any()
    take_version(stated, problems)
    kind = stated.pop("kind", "scenario" if "scenario" not in stated and "population" in stated else "study")
    if kind != "study":
        problems.add(f"a {kind}, not a study" if kind == "scenario" else "not a study", ("kind",),
                     allowed="kind = 'study'; for a scenario: spirals run", given=kind)
        problems.raise_if_any()
    if replications is not None:
        stated["replications"] = replications
        problems.places = {**places, ("replications",): Where("--replications")}
    table = Resolver(problems, folders).part(stated, "Study")
    problems.raise_if_any()
    assert table is not None
    table.pop("type")
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    study = Study(**values, folder=str(path.resolve().parent))
    check_study(study, problems)
    problems.raise_if_any()
    return study


def design_axes(
    levers: Mapping[str, Any], uncertainties: Mapping[str, Any], problems: Problems
) -> list[Axis | Range]:
    """Return levers, then uncertainties; faults, and what is varied twice, go to `problems`."""
    first = axes_of(levers, ("levers",), problems)
    second = axes_of(uncertainties, ("uncertainties",), problems)
    for axis in second:
        if any(axis.name == other.name or set(axis.paths) & set(other.paths) for other in first):
            problems.add("varied twice", ("uncertainties", axis.name), given=axis.name,
                         allowed="an input either under levers or under uncertainties")
    return [*first, *second]


def check_study(study: Study, problems: Problems) -> None:
    """Add every fault of a study that its fields alone do not show."""
    if not SAFE_NAME.fullmatch(study.name):
        problems.add("bad name", ("name",), given=study.name or "''",
                     allowed="letters, digits, '.', '_' and '-', not starting with '.' (it names the results folder)")
    before = len(problems)
    axes = design_axes(study.levers, study.uncertainties, problems)
    columns = dict.fromkeys([axis.name for axis in axes] + [path for point in study.points for path in point])
    if study.lever and study.lever not in columns and len(problems) == before:
        problems.add("not a column of the design" + suggestion(study.lever, columns), ("lever",),
                     allowed=", ".join(columns) or "(the design varies nothing)", given=study.lever)
    for name in study.outcomes:
        if name not in MEASURES:
            problems.add("unknown outcome" + suggestion(name, MEASURES), ("outcomes",),
                         allowed="names of `spirals list measures`", given=name)
        elif name in TWIN_MEASURES and "T1" not in study.twins:
            problems.add("an outcome that is measured against twin T1, which the study does not run", ("outcomes",),
                         allowed="twins = [\"T1\"], or an outcome of the run itself", given=name)
    if study.attribution and "T1" not in study.twins:
        problems.add("an attribution is held against twin T1, which the study does not run", ("attribution",),
                     allowed='twins = ["T1"], or no attribution', given=list(study.attribution))
    if len(set(study.attribution)) < len(study.attribution):
        problems.add("channel named twice", ("attribution",), allowed="each once", given=list(study.attribution))
    if len(problems) == before:
        blocks_of(study.blocks, axes, problems)
        search = path_search(study.deconvolve, axes, problems)
        if search is not None and search.by and study.points:
            problems.add("points have no column that their path could be solved by", ("points",),
                         allowed="no points beside deconvolve.by: axes and blocks", given=list(search.by))


def study_cells(
    study: Study, overrides: Sequence[str] | Mapping[str, Any] = (), *, allow_code: bool | None = None
) -> list[Cell]:
    """Return every run of a study with resolved inputs; raises InputError with every problem of all points.

    Parameters
    ----------
    overrides : sequence of "PATH=VALUE", or mapping of path to value
        Replaced inputs of the scenario, the same at every point.
    allow_code : bool, optional
        As for :func:`~spirals.scenarios.inputs.loader.resolve_scenario`.
    """
    problems = Problems()
    check_study(study, problems)
    problems.raise_if_any()
    path = find_file(study.scenario, Path(study.folder or "."))
    if path is None:
        add_unknown(study.scenario, "scenario", problems, ("scenario",))
        problems.raise_if_any()
    assert path is not None
    stated, places, folders = read_extended(path, problems, find_file)
    problems.raise_if_any()
    fixed = [Override(name, value, f"set of study {study.name}") for name, value in study.set.items()]
    fixed += parsed_overrides(overrides, problems)
    _refuse_levers(study, fixed, problems)

    def resolved(settings: Sequence[Setting]) -> Inputs | None:
        ordered = sorted(settings, key=lambda setting: setting[0].count("."))  # whole parts before their keys
        changes = [Override(name, value, f"study {study.name}: {name} = {label_of(value)}") for name, value in ordered]
        found = Problems()
        inputs = resolve_stated(stated, [*fixed, *changes], found, places, folders, allow_code)
        problems.found += [problem for problem in found if problem not in problems.found]
        return inputs

    search, paths = study.path_search(), {}
    cells: list[Cell] = []
    for point in study.design():
        inputs, columns = resolved(point.settings), {}
        if search is not None:
            columns = {name: point.columns[name] for name in search.by}
            key = tuple(map(str, columns.values()))
            if key not in paths:
                paths[key] = resolved(path_settings(study.axes(), columns))
                refuse_other_worlds(paths[key], problems)
        if inputs is not None:
            solved = paths[key] if search is not None else None
            cells += [Cell(inputs, point.columns, replication, replication_seed(study.seed, replication), solved,
                           columns)
                      for replication in range(min(study.replications, point.replications or study.replications))]
    problems.raise_if_any()
    return cells


def _refuse_levers(study: Study, fixed: Sequence[Override], problems: Problems) -> None:
    """An override of what the design varies would silently have no effect."""
    varied = {path for axis in study.axes() for path in axis.paths}
    for override in fixed:
        if override.path in varied:
            problems.add("override of a lever or uncertainty of the study", where=Where(override.place),
                         allowed="an input that the design does not vary", given=override.path)
