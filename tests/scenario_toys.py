"""Toy parts, a toy task, and small helpers for the tests of scenarios; nothing here needs the simulation."""

import dataclasses
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from spirals.simulation.parameters import Part, parameter, problems_of

HERE = Path(__file__).resolve().parent


@dataclasses.dataclass(frozen=True)
class ToyPolicy(Part):
    """Base of the toy policies."""


@dataclasses.dataclass(frozen=True)
class Plain(ToyPolicy):
    """A rate and its maintenance part."""

    rate: float = parameter(0.05, unit="fraction of notional", above=0, high=1, help="initial rate")
    maintenance: float = parameter(0.02, unit="fraction of notional", above=0, high=1)

    def problems(self) -> list[str]:
        found = problems_of(self)
        if not found and self.maintenance > self.rate:
            found.append(f"maintenance must not exceed rate {self.rate:g}, was {self.maintenance:g}")
        return found


@dataclasses.dataclass(frozen=True)
class Wrap(ToyPolicy):
    """A toy wrapper."""

    inner: ToyPolicy = parameter(help="what is wrapped")
    floor: float = parameter(0.01, low=0, high=1)


@dataclasses.dataclass(frozen=True)
class Lag(Wrap):
    """A toy wrapper of a wrapper, to inherit fields."""

    seconds: float = parameter(60 * 60.0, unit="s", low=0)


@dataclasses.dataclass(frozen=True)
class Fund(Part):
    """A slot that only one class fills."""

    size: float = parameter(1e6, unit="quote", low=0)
    file: str = parameter("", help="a user's file")


@dataclasses.dataclass(frozen=True)
class Jolt(Part):
    """A toy shock."""

    at: float = parameter(0.0, unit="s", low=0)
    size: float = parameter(-0.1, high=0)


@dataclasses.dataclass(frozen=True)
class ToyScenario(Part):
    """A toy scenario."""

    name: str = parameter(help="label")
    policy: ToyPolicy = parameter()
    steps: int = parameter(10, unit="steps", low=1, high=1000)
    mode: str = parameter("fast", choices=("fast", "slow"))
    weights: tuple[float, ...] = parameter((0.5, 0.5), low=0, high=1)
    switch: bool = parameter(True)
    fund: Fund = dataclasses.field(default_factory=Fund)
    shocks: tuple[Jolt, ...] = parameter(())
    summary: str = parameter("")
    sources: dict[str, str] = parameter({})


TOY_SLOTS = {
    "Study": {"Study": "spirals.scenarios.inputs.study"},
    "Scenario": {"ToyScenario": "scenario_toys"},
    "ToyPolicy": {"Plain": "scenario_toys", "Wrap": "scenario_toys", "Lag": "scenario_toys"},
    "Fund": {"Fund": "scenario_toys"},
    "Jolt": {"Jolt": "scenario_toys"},
}
TOY_BASES = {"ToyPolicy": "scenario_toys"}

GOOD = """
name = "toy"
summary = "a toy"
[policy]
type = "Lag"
seconds = 30
[policy.inner]
type = "Wrap"
floor = 0.03
inner = {type = "Plain", rate = 0.1}
[[shocks]]
at = 5
"""


STUDY = """
kind = "study"
name = "small"
scenario = "toy.toml"
replications = 3
seed = 11
[levers]
policy.Plain.rate = [0.1, 0.2]
[levers.fund]
path = "fund.size"
values = [1.0, {label = "deep", set = {fund = {type = "Fund", size = 9.0}, mode = "slow"}}]
"""


def use_toy_catalogue() -> None:
    """Put the toy parts in the place of the real ones, for the rest of this process."""
    from spirals.scenarios.inputs.parts import BASES, SLOTS

    for table, content in ((SLOTS, TOY_SLOTS), (BASES, TOY_BASES)):
        table.clear()
        table.update(content)


def toy_cell(payload: dict[str, Any]) -> dict[str, Any]:
    """Stand in for the run of a cell; the draw depends on the seed alone."""
    inputs = payload["inputs"]
    if inputs["steps"] == 13:
        raise ValueError("an unlucky number of steps")
    time.sleep(inputs["steps"] / 1000.0)
    noise = payload["seed"] % 1000 / 1000.0
    return {"stop_reason": "completed", "noise": noise, "loss": inputs["fund"]["size"] * (1.0 + noise)}


def toy_task(payload: dict[str, Any]) -> dict[str, Any]:
    """Return a pure function of the payload, after whatever the payload asks for."""
    once = payload.get("once")
    if payload.get("die") or (once and _first(Path(once))):
        os.kill(os.getpid(), signal.SIGKILL)
    if payload.get("leave"):
        sys.exit()
    if payload.get("fail"):
        raise ValueError(f"no result for\n{payload['x']}")
    time.sleep(payload.get("sleep", 0.0))
    return {"double": payload["x"] * 2.0, "stop_reason": "completed"}


def _first(marker: Path) -> bool:
    """Whether this is the first process to come by."""
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def processes_with(marker: str) -> list[int]:
    """Return the processes whose environment holds `marker`, without this one (Linux)."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                environment = (folder / "environ").read_bytes()
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if marker.encode() in environment and state != "Z":
                found.append(int(folder.name))
    return found


def wait_for(condition: Any, seconds: float = 30.0) -> bool:
    """Wait until `condition()` holds; False when it did not within the time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())
