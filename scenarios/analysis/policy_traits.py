"""What tells the margin policies of a study apart, read from resolved inputs: pi, normalisation, half-life."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spirals.scenarios.inputs.study import Cell

__all__ = ["POLICY", "policy_traits", "traits_of"]

POLICY = "policy"


def traits_of(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``pi``, ``normalisation`` and ``half_life_seconds`` of resolved inputs.

    A chain of policies without ``Procyclicality`` does not respond: its `pi` is None.
    """
    node, found = inputs.get("margin"), {}
    while isinstance(node, Mapping):
        if node.get("type") == "Procyclicality":
            found = {"pi": node.get("pi"), "normalisation": node.get("normalisation")}
            break
        node = node.get("inner")
    volatility = inputs.get("volatility")
    half_life = volatility.get("half_life_seconds") if isinstance(volatility, Mapping) else None
    return {"pi": found.get("pi"), "normalisation": found.get("normalisation"), "half_life_seconds": half_life}


def policy_traits(cells: Sequence["Cell"]) -> dict[str, dict[str, Any]]:
    """Return the traits of every label of the column ``policy``; empty for a study without that column."""
    found: dict[str, dict[str, Any]] = {}
    for cell in cells:
        if POLICY in cell.columns:
            found.setdefault(str(cell.columns[POLICY]), traits_of(cell.inputs.tree))
    return found
