"""Flatten the state of a policy into named arrays and back, to save, restore and hash it. No pickle.

Every node of the nest becomes one array named ``path:kind``: ``inner.held:requirement``, ``seconds:float``. The kind
tells how to rebuild it; classes are taken from a template, never imported by name, so a file cannot run code.
"""

import dataclasses
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.margin.requirement import MarginRequirement

__all__ = ["flatten_state", "unflatten_state"]

Arrays = dict[str, NDArray[Any]]

ALLOWED = "dataclasses, named tuples, tuples, lists, dicts (keys text or int), arrays, numbers, text, bytes and None"


def flatten_state(state: Any) -> Arrays:
    """Return `state` as named arrays (copies).

    Parameters
    ----------
    state : Any
        A nest of dataclasses, named tuples, tuples, lists, dicts with text or whole-number keys, arrays, numbers,
        text, bytes, None and MarginRequirement.

    Raises
    ------
    TypeError
        When something else is in the nest; the message says where.
    """
    arrays: Arrays = {}
    _flatten("state", state, arrays)
    return arrays


def unflatten_state(template: Any, arrays: Arrays) -> Any:
    """Return the state that `flatten_state` turned into `arrays`.

    Parameters
    ----------
    template : Any
        A state of the same policy, e.g. ``policy.start(market)``: tells the classes of the records. Values, None
        and the lengths of lists may differ.
    arrays : dict of str to ndarray

    Returns
    -------
    Any
        Equal requirements become one object again, so that wrappers see what has not changed.
    """
    classes: dict[str, type] = {}
    _collect(template, classes)
    nodes = {}
    for name, array in arrays.items():
        path, _, kind = name.rpartition(":")
        nodes[path] = (kind, array)
    if "state" not in nodes:
        raise ValueError("no policy state in these arrays")
    return _Reader(nodes, classes).read("state")


def _flatten(path: str, value: Any, out: Arrays) -> None:
    if value is None:
        out[f"{path}:none"] = np.zeros(0)
    elif isinstance(value, MarginRequirement):
        out[f"{path}:requirement"] = np.array(value.grandfathered)
        _flatten(f"{path}.rates", value.rates, out)
        _flatten(f"{path}.floors", value.floors, out)
    elif isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise TypeError(f"{path} is an array of Python objects, which cannot be saved; allowed are {ALLOWED}")
        out[f"{path}:array"] = value.copy()
    elif isinstance(value, np.generic):
        out[f"{path}:scalar"] = np.array(value)
    elif isinstance(value, bool | int | float | str):
        kind = type(value).__name__
        if kind not in ("bool", "int", "float", "str"):
            raise TypeError(f"{path} is a {kind}, which cannot be saved; allowed are {ALLOWED}")
        # whole numbers as text: Python's have no bound
        out[f"{path}:{kind}"] = np.array(str(value) if kind == "int" else value)
    elif isinstance(value, bytes):
        out[f"{path}:bytes"] = np.frombuffer(value, np.uint8).copy()
    else:
        _flatten_nest(path, value, out)


def _flatten_nest(path: str, value: Any, out: Arrays) -> None:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        out[f"{path}:dataclass"] = np.array(_class_name(type(value)))
        items = [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        out[f"{path}:namedtuple"] = np.array(_class_name(type(value)))
        items = list(zip(value._fields, value, strict=True))
    elif type(value) in (tuple, list):
        out[f"{path}:{type(value).__name__}"] = np.array(len(value))
        items = [(str(index), item) for index, item in enumerate(value)]
    elif type(value) is dict and all(type(key) in (str, int) for key in value):
        out[f"{path}:dict"] = np.array(json.dumps(list(value)))
        items = [(str(index), item) for index, item in enumerate(value.values())]
    else:
        raise TypeError(f"{path} is a {type(value).__name__}, which cannot be saved; allowed are {ALLOWED}")
    for name, item in items:
        _flatten(f"{path}.{name}", item, out)


class _Reader:
    def __init__(self, nodes: dict[str, tuple[str, NDArray[Any]]], classes: dict[str, type]) -> None:
        self.nodes = nodes
        self.classes = classes
        self.requirements: list[MarginRequirement] = []

    def read(self, path: str) -> Any:
        kind, array = self.nodes[path]
        if kind == "none":
            return None
        if kind == "array":
            return array.copy()
        if kind == "scalar":
            return array[()]
        if kind in ("bool", "float", "str"):
            return array.item()
        if kind == "int":
            return int(array.item())
        if kind == "bytes":
            return array.tobytes()
        if kind == "requirement":
            return self._requirement(path, bool(array))
        if kind in ("tuple", "list"):
            items = [self.read(f"{path}.{index}") for index in range(int(array))]
            return items if kind == "list" else tuple(items)
        if kind == "dict":
            return {key: self.read(f"{path}.{index}") for index, key in enumerate(json.loads(array.item()))}
        if kind in ("dataclass", "namedtuple"):
            return self._record(path, kind, array.item())
        raise ValueError(f"{path} has the unknown kind {kind!r}; the state was saved by another version")

    def _record(self, path: str, kind: str, name: str) -> Any:
        if name not in self.classes:
            raise ValueError(f"{path} is a {name}, which the template lacks: start() must return every record type")
        cls: Any = self.classes[name]
        if kind == "namedtuple":
            return cls(*(self.read(f"{path}.{field}") for field in cls._fields))
        record = object.__new__(cls)
        for field in dataclasses.fields(cls):
            object.__setattr__(record, field.name, self.read(f"{path}.{field.name}"))
        return record

    def _requirement(self, path: str, grandfathered: bool) -> MarginRequirement:
        rates, floors = self.read(f"{path}.rates"), self.read(f"{path}.floors")
        new = MarginRequirement.of(rates, floors, grandfathered)
        for known in self.requirements:
            if known.equals(new):
                return known
        self.requirements.append(new)
        return new


def _class_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _collect(value: Any, classes: dict[str, type]) -> None:
    """Note the classes of all records in the nest `value`."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        classes[_class_name(type(value))] = type(value)
        children = [getattr(value, field.name) for field in dataclasses.fields(value)]
    elif isinstance(value, tuple | list):
        if hasattr(value, "_fields"):
            classes[_class_name(type(value))] = type(value)
        children = list(value)
    elif isinstance(value, dict):
        children = list(value.values())
    else:
        return
    for child in children:
        _collect(child, classes)
