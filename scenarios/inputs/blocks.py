"""Blocks: a design as a union of parts of one crossing, so that a study need not run all of it.

Axes are stated once. A block names the labels that it runs of some axes and takes all of the others; the design is
every point that belongs to a block, once, however many blocks hold it.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from spirals.scenarios.inputs.design import Axis, Point, Range, flat_entries
from spirals.scenarios.inputs.problems import Problems, suggestion

__all__ = ["Block", "blocks_of", "points_of_blocks"]

KEYS = ("name", "only", "replications")


@dataclasses.dataclass(frozen=True)
class Block:
    """One part of a crossing.

    Attributes
    ----------
    name : str
    only : dict of str to tuple
        Labels by axis; an axis that is not named is run in full.
    replications : int
        Of its points at most; 0 for the study's number.
    """

    name: str
    only: dict[str, tuple[Any, ...]]
    replications: int = 0

    def holds(self, columns: Mapping[str, Any]) -> bool:
        """Return whether a point of the crossing belongs to this block."""
        return all(columns[name] in labels for name, labels in self.only.items())


def points_of_blocks(points: Sequence[Point], blocks: Sequence[Block]) -> list[Point]:
    """Return the points that belong to at least one block, with the largest number of replications that one asks for.

    All points when there is no block; the order is kept.
    """
    if not blocks:
        return list(points)
    found = []
    for point in points:
        asked = [block.replications for block in blocks if block.holds(point.columns)]
        if asked:
            found.append(dataclasses.replace(point, replications=0 if 0 in asked else max(asked)))
    return found


def blocks_of(tables: Sequence[Mapping[str, Any]], axes: Sequence[Axis | Range], problems: Problems) -> list[Block]:
    """Read ``[[blocks]]``; every fault goes to `problems`. Labels that no block names are not run."""
    listed = {axis.name: [label for label, _ in axis.values] for axis in axes if isinstance(axis, Axis)}
    blocks = [_block(table, listed, place, problems) for place, table in enumerate(tables)]
    names = [block.name for block in blocks]
    for place, name in enumerate(names):
        if name in names[:place]:
            problems.add("the same block twice", ("blocks", place, "name"), allowed="names that differ", given=name)
    return blocks


def _block(table: Mapping[str, Any], listed: Mapping[str, Sequence[Any]], place: int, problems: Problems) -> Block:
    key = ("blocks", place)
    for word in sorted(set(table) - set(KEYS)):
        problems.add("unknown key" + suggestion(word, KEYS), (*key, word), allowed=", ".join(KEYS), given=table[word])
    name, stated, replications = table.get("name"), table.get("only", {}), table.get("replications", 0)
    if not isinstance(name, str) or not name:
        problems.add("missing key" if name is None else "wrong type", (*key, "name"), allowed="text", given=name)
    if type(replications) is not int or replications < ("replications" in table):
        problems.add("wrong number", (*key, "replications"), allowed="a whole number of at least 1",
                     given=replications)
        replications = 0
    if not isinstance(stated, Mapping):
        problems.add("wrong type", (*key, "only"), allowed="a table: axis = [labels]", given=stated)
        stated = {}
    only = {}
    for axis, tokens, labels in flat_entries(stated):
        where = (*key, "only", *tokens)
        if axis not in listed:
            problems.add("not a listed axis of the design" + suggestion(axis, listed), where, given=axis,
                         allowed=", ".join(listed) or "(the design lists no values)")
        elif not isinstance(labels, list) or not labels or any(label not in listed[axis] for label in labels):
            problems.add("not labels of this axis", where, given=labels,
                         allowed=", ".join(map(str, listed[axis])))
        else:
            only[axis] = tuple(labels)
    return Block(str(name), only, replications)
