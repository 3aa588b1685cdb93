"""Speed: the compiled loop beside the plain reference, the book, a user's agent, a crash, the start-up.

Everything is measured in one process on one core with everything on: pre-trade check, margin, ledger,
waterfall, recorder, makers, background flow, arbitrageurs. Each figure is the best of several
repetitions after a warm-up (other work on the machine only ever slows a measurement down), with the
median beside it. What needs a fresh process (start-up, memory) runs in one.
"""

import argparse
import dataclasses
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from spirals.scenarios.results.identity import library_versions

__all__ = ["Row", "main", "run_bench"]

TRADERS = {100: 3000, 1000: 1000, 10_000: 120}     # steps of one repetition
REFERENCE = {100: 12, 1000: 4}
USERS = {1000: 100}
BOOK_EVENTS = (100_000, 1_000_000, 10_000_000)
REPETITIONS = 7
AGENT_STEPS, SECONDS = "agent-steps/s", "s"
CRASH = "black-thursday-2020"
COPIED = 10_000
DAY_STEPS, DAY_TRADERS = 86_400, 10_000
CHILD_SECONDS = 1800


@dataclasses.dataclass(frozen=True)
class Row:
    """One measured figure.

    Attributes
    ----------
    name : str
    value, median : float or None
        [unit] Best and median of the repetitions; None when it could not be measured (`note` says why).
    unit : str
    target : float or None
        What the project asks of `value`: at least, where more is better, else at most.
    agents : int or None
    agent_steps_per_second, ratio_to_reference : float or None
        `value` again where it is a rate of agent-steps, and its ratio to the plain reference of this run.
    note : str
    """

    name: str
    value: float | None
    unit: str
    median: float | None = None
    target: float | None = None
    more_is_better: bool = True
    agents: int | None = None
    agent_steps_per_second: float | None = None
    ratio_to_reference: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.target is None or self.value is None:
            return None
        return self.value >= self.target if self.more_is_better else self.value <= self.target


def main(as_json: bool = False, full: bool = False) -> int:
    """Measure, print a table (or one JSON document), return 0."""
    found = run_bench(full=full)
    print(json.dumps(found, indent=2) if as_json else _table(found["rows"]))
    return 0


def run_bench(full: bool = False) -> dict[str, Any]:
    """Measure and return ``{"rows": [...], "versions": {...}, ...}``; rows hold the fields of :class:`Row`.

    Parameters
    ----------
    full : bool
        Also the first compilation in an empty cache and the memory of a day (minutes).
    """
    from tqdm import tqdm

    parts: list[Callable[[], Iterator[Row]]] = [_traders, _book, _users, _crash, _copies, _starts]
    if full:
        parts += [_first_compilation, _memory]
    rows = []
    for part in tqdm(parts, desc="bench", unit="part", file=sys.stderr, leave=False, disable=not sys.stderr.isatty()):
        rows += [dataclasses.asdict(row) | {"met": row.met} for row in part()]
    return {
        "rows": rows, "repetitions": REPETITIONS, "cores_of_the_machine": os.cpu_count(), "machine": platform.machine(),
        "versions": {"python": platform.python_version(), **library_versions(("mesa", "numba", "numpy"))},
    }


def busy_market(traders: int, steps: int, **parts: Any) -> Any:
    """Return the default market with `traders` that all replace their limit order in every step."""
    from spirals.agents.population import Population
    from spirals.agents.setup import Setup

    habits = Population(traders=traders, order_kind="limit", order_rate=1.0)
    return Setup(population=habits, steps=steps, **parts)


def rates(work: Callable[[], object], amount: float, repetitions: int = REPETITIONS) -> tuple[float, float]:
    """Return best and median of `amount` per second over repetitions of `work`."""
    found = []
    for _ in range(repetitions):
        started = time.perf_counter()
        work()
        found.append(amount / (time.perf_counter() - started))
    return max(found), statistics.median(found)


def _traders() -> Iterator[Row]:
    """Compiled loop and plain reference, the same traders with the same rules."""
    plain = {agents: _reference_rate(agents, steps) for agents, steps in REFERENCE.items()}
    for agents, steps in TRADERS.items():
        best, median = _compiled_rate(agents, steps)
        target = 1.5e6 if agents < 1000 else 6e6
        ratio = best / plain[agents][0] if agents in plain else None
        yield Row("traders that replace their order in every step", best, AGENT_STEPS, median, target, agents=agents,
                  agent_steps_per_second=best, ratio_to_reference=ratio)
        if ratio is not None:
            yield Row("times as fast as the plain reference", ratio, "x", target=20.0, agents=agents,
                      ratio_to_reference=ratio)
    for agents, (best, median) in plain.items():
        yield Row("the same in plain Python and Mesa", best, AGENT_STEPS, median, agents=agents,
                  agent_steps_per_second=best, ratio_to_reference=1.0)


def _compiled_rate(agents: int, steps: int) -> tuple[float, float]:
    from spirals.agents.model import SpiralModel

    warm_up = 20
    model = SpiralModel(busy_market(agents, warm_up + REPETITIONS * steps), rng=1, collect_every=0)
    model.run(warm_up)
    return rates(lambda: model.run(steps), agents * steps)


def _reference_rate(agents: int, steps: int) -> tuple[float, float]:
    from spirals.agents.reference import ReferenceModel

    repetitions = 3
    model = ReferenceModel(busy_market(agents, 1 + repetitions * steps), rng=1)
    model.step()

    def work() -> None:
        for _ in range(steps):
            model.step()

    return rates(work, agents * steps, repetitions)


def _book() -> Iterator[Row]:
    """Events of the book; the rate must not fall with their number."""
    from spirals.simulation.order_book.streams import measure_events

    for events in BOOK_EVENTS:
        found = [measure_events(events) for _ in range(3 if events <= 1_000_000 else 1)]
        yield Row(f"order book, {events:.0e} events", max(found), "events/s", statistics.median(found), 8e6)


def _users() -> Iterator[Row]:
    """A trader written by a user in plain Python, who sends an order in every step."""
    from spirals.agents.model import SpiralModel
    from spirals.agents.user import UserAgents
    from spirals.agents.user_agent import UserAgent

    class Rebalancer(UserAgent):
        """Trades toward a position that follows the gap between mid and index."""

        scale = 1000.0

        def step(self) -> None:
            wanted = self.scale * (1.0 - self.mid / self.index)
            if wanted > self.position:
                self.buy(0.001, price=self.mid * 0.999)
            elif self.leverage < 2.0 or self.position > 0.0:
                self.sell(0.001, price=self.mid * 1.001)

    for agents, steps in USERS.items():
        warm_up, group = 3, (UserAgents(agent=Rebalancer, count=agents),)
        setup = dataclasses.replace(busy_market(100, warm_up + REPETITIONS * steps), agents=group)
        model = SpiralModel(setup, rng=1, collect_every=0)
        model.run(warm_up)
        best, median = rates(lambda model=model, steps=steps: model.run(steps), agents * steps)  # type: ignore[misc]
        yield Row("a user's agent in plain Python", best, AGENT_STEPS, median, 2e5, agents=agents,
                  agent_steps_per_second=best)


def _crash() -> Iterator[Row]:
    """A whole run of the crash scenario, without its opening."""
    from spirals.agents.model import SpiralModel
    from spirals.scenarios.inputs.loader import load_scenario
    from spirals.simulation.errors import InputError

    try:
        scenario = load_scenario(CRASH)
    except InputError as error:
        yield Row(CRASH, None, SECONDS, target=0.5, more_is_better=False, note=str(error))
        return
    SpiralModel(scenario, rng=0, collect_every=0).run(10)
    seconds = []
    for seed in range(REPETITIONS):
        model = SpiralModel(scenario, rng=seed, collect_every=0)
        started = time.perf_counter()
        model.run()
        seconds.append(time.perf_counter() - started)
    yield Row(f"{CRASH}, {scenario.steps} steps", min(seconds), SECONDS, statistics.median(seconds), 0.5, False,
              agents=scenario.population.traders)


def _copies() -> Iterator[Row]:
    """Copies of a state with its book: into an existing run, and a fork into a fresh one."""
    from spirals.agents.model import SpiralModel
    from spirals.simulation.copying import copy_into, fork

    core = SpiralModel(busy_market(COPIED, 100), rng=1, collect_every=0).core
    core.run(20)
    target = fork(core)
    for name, copied, limit in (("copy of a state into an existing one", lambda: copy_into(core, target), 1e-3),
                                ("fork of a state", lambda: fork(core), 5e-3)):
        found = rates(copied, 1.0, 5 * REPETITIONS)
        yield Row(name, 1.0 / found[0], SECONDS, 1.0 / found[1], limit, False, agents=COPIED)


def _starts() -> Iterator[Row]:
    """Start of the command in a fresh process, once compiled."""
    for words, target in ((["list"], 1.0), (["run", "calm", "--steps", "1"], 4.0)):
        seconds = [_child(["-m", "spirals", *words])[0] for _ in range(4)][1:]  # the first one warms files and cache
        yield Row(f"start of `spirals {' '.join(words)}`", min(seconds), SECONDS, statistics.median(seconds), target,
                  False)


def _first_compilation() -> Iterator[Row]:
    """The same in an empty cache of compiled code."""
    with tempfile.TemporaryDirectory() as folder:
        seconds, _ = _child(["-m", "spirals", "run", "calm", "--steps", "1"], NUMBA_CACHE_DIR=folder)
    yield Row("first `spirals run`, compilation included", seconds, SECONDS, target=60.0, more_is_better=False)


def _memory() -> Iterator[Row]:
    """Peak memory of a synthetic day in a process of its own."""
    _, printed = _child(["-c", f"from {__name__} import _day; _day()"])
    yield Row(f"memory of {DAY_STEPS} steps", float(printed) / 2**30, "GiB", target=1.0, more_is_better=False,
              agents=DAY_TRADERS)


def _day() -> None:
    """Run a synthetic day and print the peak memory of this process [bytes]."""
    import resource

    from spirals.agents.model import SpiralModel

    SpiralModel(traders=DAY_TRADERS, steps=DAY_STEPS, rng=1, collect_every=0).run()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak * (1 if sys.platform == "darwin" else 1024))


def _child(arguments: list[str], **environment: str) -> tuple[float, str]:
    """Run Python with `arguments`; return seconds and standard output.

    Raises
    ------
    RuntimeError
        The process failed; with what it said.
    """
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], env={**os.environ, **environment}, capture_output=True, text=True,
        timeout=CHILD_SECONDS,
    )
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)} failed: {done.stderr.strip()[-500:]}")
    return seconds, done.stdout


def _table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as text, targets beside what was measured."""
    lines = [f"{'':<50}{'agents':>8}  {'best':>9}{'median':>10}  {'unit':<14}{'target':>9}"]
    for row in rows:
        target = "" if row["target"] is None else f"{'≥' if row['more_is_better'] else '≤'} {_short(row['target'])}"
        verdict = {True: "met", False: "MISSED", None: row["note"]}[row["met"]]
        lines.append(
            f"{row['name']:<50}{row['agents'] or '':>8}  {_short(row['value']):>9}{_short(row['median']):>10}  "
            f"{row['unit']:<14}{target:>9}  {verdict}".rstrip()
        )
    return "\n".join(lines)


def _short(value: float | None) -> str:
    """Return a number in three digits, with k or M for thousands and millions."""
    if value is None:
        return "-"
    for scale, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= scale:
            return f"{value / scale:.3g}{letter}"
    return f"{value:.3g}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--full", action="store_true", help="also first compilation and memory of a day (minutes)")
    options = parser.parse_args()
    sys.exit(main(as_json=options.json, full=options.full))
