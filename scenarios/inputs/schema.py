"""Read the parameters of a part from its source text, without importing it.

``spirals list`` and ``spirals show`` must answer in under a second and must not run code that a file
names, so names, units, ranges, defaults and help texts are read from the syntax tree of the class:
annotated fields made with ``parameter(...)`` or ``dataclasses.field(...)``, own and inherited. What
cannot be read that way (a default that is no constant expression) is left to the class itself.
"""

import ast
import dataclasses
import importlib.util
import math
import operator
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["MISSING", "UNKNOWN", "FieldSchema", "Schema", "module_file", "read_schema", "summary_of"]

PACKAGE_ROOT = Path(__file__).resolve().parents[2]
MISSING = dataclasses.MISSING
RANGE_KEYS = ("unit", "low", "high", "above", "below", "choices", "help")
EMPTY_BASES = {"Part", "ABC", "object", "Protocol", "Generic"}
OPERATORS = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: lambda base, power: base**power if abs(power) <= 64 else math.nan,
}


@dataclasses.dataclass(frozen=True)
class Unknown:
    """A value that the source text alone does not give."""

    text: str = ""


UNKNOWN = Unknown()


@dataclasses.dataclass(frozen=True)
class FieldSchema:
    """One parameter: `default` is MISSING when required, Unknown when not a constant expression."""

    name: str
    annotation: str
    default: Any
    metadata: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Schema:
    """The parameters of one class; `complete` is False when a base class could not be found."""

    name: str
    file: Path
    summary: str
    fields: tuple[FieldSchema, ...]
    bases: tuple[str, ...]
    complete: bool

    @property
    def field_names(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields)

    def field(self, name: str) -> FieldSchema | None:
        return next((field for field in self.fields if field.name == name), None)


def module_file(module: str) -> Path | None:
    """Return the source file of a dotted module without importing any package on the way."""
    first, *rest = module.split(".")
    if first == "spirals":
        return _below(PACKAGE_ROOT, rest) if rest else PACKAGE_ROOT / "simulation" / "_top" / "__init__.py"
    try:
        spec = importlib.util.find_spec(first)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not rest:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    for folder in spec.submodule_search_locations or ():
        found = _below(Path(folder), rest)
        if found is not None:
            return found
    return None


@cache
def read_schema(file: Path, name: str) -> Schema | None:
    """Return the schema of class `name` of source `file`; None when there is no such class.

    Raises
    ------
    OSError, SyntaxError
        The file cannot be read or parsed.
    """
    found = _find_class(file, name)
    if found is None:
        if name not in _module(file).imported:
            return None
        return Schema(name, file, "", (), (), complete=False)  # its import tells what is wrong
    home, node = found
    source = _module(home)
    fields: dict[str, FieldSchema] = {}
    bases: list[str] = []
    complete = True
    for base in reversed(node.bases):
        base_name = _base_name(base)
        if base_name in EMPTY_BASES:
            continue
        parent = read_schema(home, base_name) if base_name else None
        if parent is None:
            complete = False
            bases.append(base_name)
            continue
        complete = complete and parent.complete
        bases += [base_name, *parent.bases]
        fields.update((field.name, field) for field in parent.fields)
    fields.update((field.name, field) for field in _own_fields(node, source.constants))
    summary = (ast.get_docstring(node) or "").strip().split("\n\n")[0]
    return Schema(name, home, " ".join(summary.split()), tuple(fields.values()), tuple(dict.fromkeys(bases)), complete)


def summary_of(file: Path) -> str:
    """Return the first sentence or line of the docstring of a source file."""
    text = ast.get_docstring(_module(file).tree) or ""
    return text.strip().split("\n")[0]


@dataclasses.dataclass(frozen=True)
class _Module:
    tree: ast.Module
    classes: Mapping[str, ast.ClassDef]
    imported: Mapping[str, tuple[str, str]]
    constants: Mapping[str, Any]


@cache
def _module(file: Path) -> _Module:
    tree = ast.parse(file.read_bytes(), filename=str(file))
    classes: dict[str, ast.ClassDef] = {}
    imported: dict[str, tuple[str, str]] = {}
    constants: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            classes[node.name] = node
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            imported.update((alias.asname or alias.name, (node.module, alias.name)) for alias in node.names)
        elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            value = _evaluate(node.value, constants)
            if not isinstance(value, Unknown):
                constants[node.targets[0].id] = value
    return _Module(tree, classes, imported, constants)


def _find_class(file: Path, name: str, depth: int = 5) -> tuple[Path, ast.ClassDef] | None:
    """Return the class and its file, following re-exports."""
    source = _module(file)
    if name in source.classes:
        return file, source.classes[name]
    if name in source.imported and depth:
        module, original = source.imported[name]
        home = module_file(module)
        return _find_class(home, original, depth - 1) if home is not None else None
    return None


def _below(folder: Path, names: list[str]) -> Path | None:
    path = folder.joinpath(*names)
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _base_name(node: ast.expr) -> str:
    if isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Attribute):
        return node.attr if node.attr in EMPTY_BASES else ""
    return node.id if isinstance(node, ast.Name) else ""


def _own_fields(node: ast.ClassDef, constants: Mapping[str, Any]) -> Iterator[FieldSchema]:
    for item in node.body:
        if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name):
            continue
        annotation = ast.unparse(item.annotation)
        if "ClassVar" in annotation:
            continue
        default, metadata = _default(item.value, constants)
        if metadata is not None:
            yield FieldSchema(item.target.id, annotation, default, metadata)


def _default(value: ast.expr | None, constants: Mapping[str, Any]) -> tuple[Any, dict[str, Any] | None]:
    """Return default and metadata of a field; metadata None for fields that are no argument."""
    if value is None:
        return MISSING, {}
    called = _call_name(value)
    if called not in ("parameter", "field") or not isinstance(value, ast.Call):
        return _evaluate(value, constants), {}
    words = {word.arg: word.value for word in value.keywords if word.arg}
    if any(_evaluate(words[word], constants) is False for word in ("init", "compare") if word in words):
        return MISSING, None  # set by the code, no input
    given = _evaluate(words["metadata"], constants) if "metadata" in words else {}
    metadata = dict(given) if isinstance(given, dict) else {}
    for key in RANGE_KEYS:
        if key in words:
            metadata[key] = _evaluate(words[key], constants)
    metadata = {key: item for key, item in metadata.items() if not isinstance(item, Unknown)}
    if value.args:
        return _evaluate(value.args[0], constants), metadata
    if "default" in words:
        return _evaluate(words["default"], constants), metadata
    if "default_factory" in words:
        return _factory(words["default_factory"]), metadata
    return MISSING, metadata


def _factory(node: ast.expr) -> Any:
    name = node.id if isinstance(node, ast.Name) else ""
    plain: dict[str, Any] = {"dict": {}, "list": [], "tuple": ()}
    if name in plain:
        return plain[name]
    return {"type": name} if name[:1].isupper() else Unknown(ast.unparse(node))


def _call_name(node: ast.expr) -> str:
    if not isinstance(node, ast.Call):
        return ""
    function = node.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _evaluate(node: ast.expr, constants: Mapping[str, Any]) -> Any:
    """Return the value of a constant expression, a part written as ``Class(...)`` as a table, or Unknown."""
    try:
        return _constant(node, constants)
    except (ValueError, TypeError, ArithmeticError, KeyError):
        return Unknown(ast.unparse(node))


def _constant(node: ast.expr, constants: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return constants[node.id]
    if isinstance(node, ast.Tuple | ast.List):
        items = [_constant(item, constants) for item in node.elts]
        return tuple(items) if isinstance(node, ast.Tuple) else items
    if isinstance(node, ast.Dict):
        return {_constant(key, constants): _constant(item, constants)
                for key, item in zip(node.keys, node.values, strict=True) if key is not None}
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_constant(node.operand, constants)
    if isinstance(node, ast.BinOp):
        left, right = _constant(node.left, constants), _constant(node.right, constants)
        if isinstance(left, int | float) and isinstance(right, int | float):
            return OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        words = {word.arg: _constant(word.value, constants) for word in node.keywords if word.arg}
        if node.func.id == "dict" and not node.args:
            return words
        if node.func.id[:1].isupper() and not node.args:
            return {"type": node.func.id, **words}
    raise ValueError("not a constant expression")
