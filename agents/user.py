"""UserAgents: agents written by the user, named in a scenario or given as a class."""

import dataclasses
import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from spirals.simulation.errors import InputError
from spirals.simulation.parameters import Part, parameter, problems_of

__all__ = ["UserAgents", "called", "load_agent_class"]


@dataclasses.dataclass(frozen=True)
class UserAgents(Part):
    """A group of agents of one class of the user's.

    Nothing is imported before a run starts. The class subclasses :class:`spirals.agents.UserAgent`.

    Examples
    --------
    >>> group = UserAgents(file="my_agent.py", agent="MyAgent", count=10, capital=1e6, params={"threshold": 0.01})
    """

    file: str = parameter("", help="Python file that holds the class")
    agent: Any = parameter("", help="name of the class in the file (may be left out when there is one), "
                                    "or 'module:Class', or in Python the class itself")
    count: int = parameter(1, unit="agents", low=1, high=1_000_000)
    capital: float = parameter(1e6, unit="quote each", above=0, help="opening deposit")
    latency_us: int = parameter(50_000, unit="us", low=0, high=900_000,
                                help="orders arrive between one and two latencies after the start of the step")
    params: dict[str, Any] = parameter({}, help="attributes set on every agent before `start`")

    def problems(self) -> list[str]:
        found = problems_of(self)
        if not self.file and not isinstance(self.agent, type) and ":" not in str(self.agent):
            found.append(f"file or agent must say where the class is ('my_agent.py', or 'module:Class'), "
                         f"were {self.file!r} and {self.agent!r}")
        return found


def load_agent_class(group: UserAgents) -> type[Any]:
    """Import the class of a group.

    Raises
    ------
    InputError
        No such file, module or class, several candidates, or not a subclass of `UserAgent`.
    """
    from spirals.agents.user_agent import UserAgent

    if isinstance(group.agent, type):
        found: Any = group.agent
    else:
        module, name = _module(group)
        own = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, UserAgent)
               and value.__module__ == module.__name__]
        if not name and len(own) != 1:
            raise InputError([f"UserAgents: agent must name one of the classes of {group.file}: "
                              f"{', '.join(c.__name__ for c in own) or 'there is no subclass of UserAgent'}"])
        found = getattr(module, name, None) if name else own[0]
        if found is None:
            raise InputError([f"UserAgents: agent must name a class of {group.file or module.__name__}, was {name!r}"])
    if not (isinstance(found, type) and issubclass(found, UserAgent)):
        raise InputError([f"UserAgents: agent must be a subclass of UserAgent, was {found!r}"])
    return found


def called(agent: Any, method: str, step: int) -> None:
    """Call ``start`` or ``step`` of a user's agent; a fault of its code names class, file and step."""
    try:
        getattr(agent, method)()
    except (Exception, SystemExit) as error:
        kind = type(agent)
        file = getattr(sys.modules.get(kind.__module__), "__file__", None) or kind.__module__
        place = f"{method} of agent {kind.__name__} ({file}), row {agent.row}, at step {step}"
        if isinstance(error, InputError):
            raise InputError([f"{place}: {line}" for line in error.problems]) from error
        raise RuntimeError(f"{place} failed ({type(error).__name__}: {error})") from error


def _module(group: UserAgents) -> tuple[ModuleType, str]:
    """Import the module of a group; return it with the wanted class name ("" when not given)."""
    place, _, name = str(group.agent).rpartition(":")
    try:
        if place and not place.endswith(".py"):
            return importlib.import_module(place), name
        return _load_file(Path(place or group.file)), name
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        fault = f"{type(error).__name__}: {error}"
        raise InputError([f"UserAgents: cannot import {place or group.file} ({fault})"]) from error


def _load_file(path: Path) -> ModuleType:
    """Load a file under a name made from its content, once per process."""
    if not path.is_file():
        raise InputError([f"UserAgents: file must exist, was {str(path)!r}"])
    digest = hashlib.blake2b(str(path.resolve()).encode() + path.read_bytes(), digest_size=6).hexdigest()
    name = f"spirals_user_{path.stem}_{digest}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise InputError([f"UserAgents: file must be Python source, was {str(path)!r}"])
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # pickle and dataclasses look their module up
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]
