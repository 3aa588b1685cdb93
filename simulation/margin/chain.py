"""Chains of policies: find the parts of a nest of wrappers, and set its procyclicality."""

import dataclasses
from typing import Any

from spirals.simulation.errors import InputError
from spirals.simulation.margin.applies_to import AppliesTo
from spirals.simulation.margin.policy import MarginPolicy
from spirals.simulation.margin.procyclicality import Procyclicality

__all__ = ["horizon_hours", "parts_of", "procyclicality_of", "scaled_chain"]


def parts_of(policy: MarginPolicy) -> list[MarginPolicy]:
    """Return a policy and every policy inside it, outermost first."""
    inner = [value for value in _fields(policy).values() if isinstance(value, MarginPolicy)]
    return [policy, *(part for one in inner for part in parts_of(one))]


def procyclicality_of(policy: MarginPolicy) -> Procyclicality:
    """Return the one ``Procyclicality`` in a chain of policies; InputError when there is none or more."""
    found = [part for part in parts_of(policy) if isinstance(part, Procyclicality)]
    if len(found) != 1:
        raise InputError([f"the policy must hold exactly one Procyclicality, held {len(found)}"])
    return found[0]


def horizon_hours(policy: MarginPolicy) -> float:
    """Return the closing-out horizon of the first part that states one [h]; 24 where none does."""
    return next((part.horizon_hours for part in parts_of(policy) if hasattr(part, "horizon_hours")), 24.0)


def scaled_chain(policy: MarginPolicy, pi: float, scale: float) -> MarginPolicy:
    """Return `policy` with `pi` and the factor `scale` in its ``Procyclicality``, acting on both rates.

    What is normalised is the design, so ``AppliesTo`` lets it give both rates here, whatever the run charges.
    """
    if isinstance(policy, Procyclicality):
        return dataclasses.replace(policy, pi=pi, normalisation="equal_mean", scale=scale)
    given: Any = policy
    changes: dict[str, Any] = {name: scaled_chain(value, pi, scale) for name, value in _fields(policy).items()
                               if isinstance(value, MarginPolicy)}
    if isinstance(policy, AppliesTo):
        changes["which"] = "both"
    return dataclasses.replace(given, **changes) if changes else policy


def _fields(policy: Any) -> dict[str, Any]:
    return {field.name: getattr(policy, field.name) for field in dataclasses.fields(policy)}
