"""Problem: one fault of an input as one line, and the collector that lets all of them be told at once."""

import dataclasses
import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from spirals.simulation.errors import InputError

__all__ = ["Problem", "Problems", "Where", "shorten", "suggestion"]

Key = tuple[str | int, ...]


@dataclasses.dataclass(frozen=True)
class Where:
    """Place of an input: a file (or ``-s PATH=VALUE``) and, where known, the line."""

    source: str = ""
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.source}:{self.line}" if self.line else self.source


@dataclasses.dataclass(frozen=True)
class Problem:
    """What is wrong, where, what is allowed and what was given."""

    what: str
    where: Where = Where()
    key: str = ""
    allowed: str = ""
    given: str = ""
    path: Key = dataclasses.field(default=(), compare=False, repr=False)

    def __str__(self) -> str:
        place = " ".join(text for text in (str(self.where), self.key) if text)
        line = f"{self.what} in {place}" if place else self.what
        if self.allowed:
            line += f"; allowed: {self.allowed}"
        if self.given:
            line += f"; given: {self.given}"
        return " ".join(line.split())


class Problems:
    """Collects problems and raises them together.

    Parameters
    ----------
    places : mapping of key path to Where, optional
        Where each key was stated; a key without an entry is looked up by its nearest parent.
    """

    def __init__(self, places: Mapping[Key, Where] | None = None) -> None:
        self.places = places or {}
        self.found: list[Problem] = []

    def where(self, key: Key) -> Where:
        """Return the place of `key` or of its nearest stated parent."""
        for length in range(len(key), -1, -1):
            if key[:length] in self.places:
                return self.places[key[:length]]
        return Where()

    def add(self, what: str, key: Key = (), *, allowed: str = "", given: Any = "", where: Where | None = None) -> None:
        """Add one problem; `given` is shown as a short literal unless it is text that is empty."""
        shown = "" if isinstance(given, str) and given == "" else shorten(given)
        problem = Problem(what, where or self.where(key), dotted(key), allowed, shown, key)
        if problem not in self.found:
            self.found.append(problem)

    def extend(self, lines: Iterable[str]) -> None:
        """Add problems that are already lines of text."""
        self.found.extend(Problem(line) for line in lines)

    def raise_if_any(self) -> None:
        """Raise :class:`InputError` with every problem found so far."""
        if self.found:
            raise InputError([str(problem) for problem in self.found])

    def __iter__(self) -> Iterator[Problem]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)


def dotted(key: Key) -> str:
    """Return a key path as text, array positions in brackets: ``shocks[0].size``."""
    text = ""
    for token in key:
        text += f"[{token}]" if isinstance(token, int) else f".{token}" if text else str(token)
    return text


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return `` (did you mean ...?)`` when a known word is close, otherwise nothing."""
    names = {name.lower(): name for name in known}
    close = difflib.get_close_matches(str(word).lower(), list(names), n=1, cutoff=0.6)
    return f" (did you mean {names[close[0]]!r}?)" if close else ""


def shorten(value: Any, width: int = 60) -> str:
    """Return `value` as a literal of limited length."""
    text = repr(value)
    return text if len(text) <= width else text[: width - 4] + " ..."
