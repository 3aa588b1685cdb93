"""Answers that are made of parts: runs, probes, populations of forks, each kept as soon as it is finished.

A *part* is a pure function of plain data: resolved inputs, a seed, and what is asked of them. What needs many of them
takes a :class:`Parts`: :func:`parts_here` makes them one after the other, :func:`kept_parts` on several processes and
in a folder, so that an interrupted answer goes on where it stopped, as a study does.
"""

import contextlib
import dataclasses
import importlib
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from spirals.scenarios.inputs.loader import Inputs
from spirals.scenarios.results.documents import plain
from spirals.scenarios.results.identity import feedback_code_digest, run_id
from spirals.scenarios.results.manifest import now, provenance
from spirals.scenarios.results.store import Store
from spirals.scenarios.results.task_driver import Task, TaskDriver
from spirals.scenarios.results.workers import SameProcess, process_pool
from spirals.scenarios.runs.warm import compile_now

__all__ = ["RUN", "Part", "Parts", "Question", "answer_folder", "kept_parts", "parts_here"]

log = logging.getLogger("spirals")
#: The part that is one run with the twins asked for; its result holds all outcomes.
RUN = "spirals.scenarios.runs.one_run:run_cell"


@dataclasses.dataclass(frozen=True)
class Part:
    """What a part is made from.

    Attributes
    ----------
    inputs : Inputs
        Of its scenario.
    seed : int
    asked : dict
        Everything else that decides the result; plain data.
    """

    inputs: Inputs
    seed: int
    asked: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def payload(self) -> dict[str, Any]:
        """The argument of the function that makes it."""
        return {"inputs": self.inputs.tree, "seed": self.seed, **self.asked}


class Parts(Protocol):
    """Makes parts: ``parts("package.module:function", [part, ...])`` returns their results in order."""

    def __call__(self, function: str, parts: Sequence[Part]) -> list[dict[str, Any]]:
        """Return what `function` returns for the payload of every part; NaN and infinities as None."""


def parts_here(function: str, parts: Sequence[Part]) -> list[dict[str, Any]]:
    """Make parts one after the other in this process, and keep nothing."""
    module, _, name = function.partition(":")
    made = getattr(importlib.import_module(module), name)
    return [plain(made(part.payload)) for part in parts]


@dataclasses.dataclass(frozen=True)
class Question:
    """What a folder of an answer belongs to.

    Attributes
    ----------
    kind : str
        The verb that asks.
    inputs : Inputs
        Of the scenario that it asks about.
    stated : mapping
        What else decides which question it is, plain data. Left out is how much effort goes into it: a folder may be
        asked again with more replications, and takes over the parts that it holds.
    """

    kind: str
    inputs: Inputs
    stated: Mapping[str, Any]

    @property
    def owner(self) -> dict[str, Any]:
        """The keys of the manifest by which the folder is told from another's."""
        return {"kind": self.kind, "name": self.inputs.name, "overrides": sorted(self.inputs.overrides),
                "question": dict(self.stated)}


@contextlib.contextmanager
def answer_folder(folder: str | Path | None, question: Question) -> Iterator[Store]:
    """Open the folder of an answer, and say in its manifest how it was left.

    Parameters
    ----------
    folder : str or Path, optional
        New, or of the same question; None: one that is gone afterwards.
    question : Question

    Raises
    ------
    InputError
        The folder belongs to something else or cannot be written; nothing in it is changed.
    """
    with contextlib.ExitStack() as stack:
        place = folder or stack.enter_context(tempfile.TemporaryDirectory())
        store = stack.enter_context(Store(Path(place), question.owner))
        manifest = {"started": now(), "inputs": {"scenario": question.inputs.tree}, "files": question.inputs.files(),
                    **provenance()}
        store.write_manifest({**manifest, "status": "running"})
        try:
            yield store
        except BaseException as error:
            status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            store.write_manifest({**manifest, "status": status, "finished": now()})
            raise
        store.write_manifest({**manifest, "status": "done", "finished": now()})


@contextlib.contextmanager
def kept_parts(
    folder: str | Path | None, question: Question, *, workers: int = 1,
    told: Callable[[int], Any] = lambda done: None,
) -> Iterator[Parts]:
    """Yield the :class:`Parts` of an answer that is kept in a folder, and not made again if it is asked again.

    Parameters
    ----------
    folder : str or Path, optional
        As of :func:`answer_folder`.
    question : Question
    workers : int
        Processes; the answer does not depend on it.
    told : callable
        Called with the number of parts that have become known.

    Raises
    ------
    InputError
        As of :func:`answer_folder`.
    RuntimeError
        A part failed, which its line in the journal explains; the others are kept.
    """
    with answer_folder(folder, question) as store:
        compile_now(question.inputs)
        with TaskDriver(store, workers, process_pool if workers > 1 else SameProcess) as driver:
            yield lambda function, parts: _made(driver, function, parts, told)


def _made(
    driver: TaskDriver, function: str, parts: Sequence[Part], told: Callable[[int], Any]
) -> list[dict[str, Any]]:
    files = {id(inputs): inputs.files() for inputs in {id(part.inputs): part.inputs for part in parts}.values()}
    tasks = []
    for part in parts:
        identity = run_id(part.inputs.tree, files[id(part.inputs)], part.seed, code=feedback_code_digest(),
                          extra={"function": function, **part.asked})
        tasks.append(Task(identity, part.payload))
    rows, _ = driver.run(tasks, function, told=told)
    failed = [row for row in rows if row["status"] != "done"]
    if failed:
        log.debug("%s", failed[0]["traceback"])
        raise RuntimeError(f"{len(failed)} of {len(rows)} parts failed, the first with {failed[0]['error']}")
    return [plain(row) for row in rows]   # as those of the journal
