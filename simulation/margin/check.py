"""check_policy: what the engine asks of any margin policy, in one call that users can run on theirs.

The policy is run over a made-up market: calm, a crash with a hundredfold volatility, an empty book, extreme and zero
volatility. Looking ahead needs no check: the market object holds no future.
"""

import copy
import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.margin.policy import MarginPolicy
from spirals.simulation.margin.requirement import MarginRequirement
from spirals.simulation.margin.states import flatten_state, unflatten_state
from spirals.simulation.market.view import MarketState

__all__ = ["check_policy", "policy_problems"]

Rates = list[NDArray[np.float64]]

ROUNDING = 1e-9


def check_policy(
    policy: MarginPolicy, *, n_instruments: int = 2, steps: int = 48, step_seconds: float = 3600.0
) -> None:
    """Raise AssertionError, with one line per fault, when the engine cannot rely on `policy`.

    Parameters
    ----------
    policy : MarginPolicy
    n_instruments : int
        Number of instruments of the trial market.
    steps : int
        Number of steps of a trial run, at least 8.
    step_seconds : float
        [s] length of a step; choose it so that the policy's own clocks fall into the run.

    Notes
    -----
    Checked: rates in (0, 1], maintenance not above initial, shapes; the same run twice is the same bit for bit; two
    runs at once do not disturb each other; parameters, market and earlier requirements stay untouched; a copied
    state and a saved state continue identically; where ``monotone_in_volatility`` is True, more volatility never
    lowers a rate.

    Examples
    --------
    >>> from spirals.simulation.margin import Floor, VolatilityScaled
    >>> check_policy(Floor(VolatilityScaled(), floor=0.02))
    """
    found = policy_problems(policy, n_instruments=n_instruments, steps=steps, step_seconds=step_seconds)
    if found:
        raise AssertionError("\n".join(f"{type(policy).__name__}: {line}" for line in found))


def policy_problems(
    policy: MarginPolicy, *, n_instruments: int = 2, steps: int = 48, step_seconds: float = 3600.0
) -> list[str]:
    """Return every fault that :func:`check_policy` would raise, one line each; empty when there is none."""
    if not isinstance(policy, MarginPolicy):
        return [f"must be an instance of a subclass of MarginPolicy, was {policy!r}"]
    found = policy.problems()
    if found:
        return found
    trial = _Trial(policy, n_instruments, max(8, steps), step_seconds)
    for check in (trial.valid, trial.repeatable, trial.separate, trial.copied, trial.saved, trial.monotone):
        before = _values(policy)
        try:
            found = check()
        except Exception as error:  # whatever the user's code raises is a finding, not a crash of the check
            found = [f"raised {type(error).__name__}: {error}"]
        if not _same(before, _values(policy)):
            found.append("its parameters changed during a run; keep what changes in the state")
        if found:
            return found
    return []


class _Trial:
    """Runs of one policy over made-up markets; each method returns the faults of one kind."""

    def __init__(self, policy: MarginPolicy, n_instruments: int, steps: int, step_seconds: float) -> None:
        self.policy = policy
        self.n_instruments = n_instruments
        self.steps = steps
        self.step_seconds = step_seconds
        self.expected: Rates = []

    def market(self) -> MarketState:
        market = MarketState.constant(self.n_instruments, self.step_seconds)
        self.set_step(market, 0)
        return market

    def set_step(self, market: MarketState, step: int, factor: float = 1.0, extreme: bool = False) -> None:
        """Write step `step` of the made-up history: calm, a crash at a third, recovery; optionally absurd values."""
        market.step = step
        record = market.record
        crash = max(0.0, 1.0 - abs(3.0 * step / self.steps - 1.5))
        skew = 1.0 + 0.1 * np.arange(self.n_instruments)
        record["volatility"] = 0.03 * 100.0**crash * (1.0 + 0.2 * np.sin(0.7 * step + skew)) * skew * factor
        record["stressed_volatility"] = 0.2 * skew
        for name in ("exogenous", "index", "oracle", "mark", "mid", "last"):
            record[name] = 100.0 * skew * (1.0 - 0.3 * crash)
        empty = step % 7 == 3
        record["best_bid"] = np.nan if empty else record["mid"] * 0.999
        record["best_ask"] = np.nan if empty else record["mid"] * 1.001
        record["spread"] = record["best_ask"] - record["best_bid"]
        for name in ("depth_bid", "depth_ask"):
            record[name] = 0.0 if empty else 1e6 * np.array([1.0, 5.0, 10.0]) * (1.0 - 0.9 * crash)
        record["open_interest"] = 0 if empty else 1_000_000
        if extreme:
            record["volatility"] = (0.0, 1e-12, 1e3, 1e12)[step % 4]

    def run(self, set_step: Callable[[MarketState, int], None] | None = None) -> tuple[Rates, list[str]]:
        """Run once; return the requirement of every step (rates, floors and flag in one vector) and the faults met."""
        market = self.market()
        state = self.policy.start(market)
        seen, kept, found = [], [], []
        for step in range(self.steps):
            (set_step or self.set_step)(market, step)
            before = market.record.tobytes()
            state, requirement = _updated(self.policy, state, market)
            if market.record.tobytes() != before:
                found.append(f"update changed the market in step {step}; it must not")
            found += [f"{line} (step {step})" for line in requirement.problems(self.n_instruments)]
            if found:
                break
            seen.append(_vector(requirement))
            kept.append(requirement)
        if any(not _equal(vector, _vector(requirement)) for vector, requirement in zip(seen, kept, strict=True)):
            found.append("a requirement changed after it was returned; return new arrays instead of changing old ones")
        return seen, found

    def valid(self) -> list[str]:
        self.expected, found = self.run()
        if found:
            return found
        return self.run(partial(self.set_step, extreme=True))[1]

    def repeatable(self) -> list[str]:
        again, found = self.run()
        return found + self._compare(again, "a second run gave other rates; the policy must be deterministic")

    def separate(self) -> list[str]:
        """Run beside another run that turns away early on; it must make no difference."""
        ours, others = self.market(), self.market()
        our_state, other_state = self.policy.start(ours), self.policy.start(others)
        seen = []
        for step in range(self.steps):
            self.set_step(others, step, factor=3.0 if step > self.steps // 5 else 1.0)
            other_state, _ = _updated(self.policy, other_state, others)
            self.set_step(ours, step)
            our_state, requirement = _updated(self.policy, our_state, ours)
            seen.append(_vector(requirement))
        return self._compare(seen, "a run beside it changed its rates; nothing may be shared between runs")

    def copied(self) -> list[str]:
        def fork(state: Any) -> Any:
            twin = copy.deepcopy(state)
            market = self.market()
            for step in range(self.steps // 2, self.steps):  # the original goes on elsewhere
                self.set_step(market, step, factor=2.0)
                state, _ = _updated(self.policy, state, market)
            return twin

        return self._continued(fork, "a copied state continued with other rates; copy.deepcopy(state) must be complete")

    def saved(self) -> list[str]:
        def reload(state: Any) -> Any:
            return unflatten_state(self.policy.start(self.market()), flatten_state(state))

        return self._continued(reload, "a saved and restored state continued with other rates")

    def monotone(self) -> list[str]:
        if not self.policy.monotone_in_volatility:
            return []
        lower = self.expected
        for factor in (1.05, 2.0):
            higher, found = self.run(partial(self.set_step, factor=factor))
            if found:
                return found
            for step, (low, high) in enumerate(zip(lower, higher, strict=True)):
                if low.shape != high.shape or (high < low * (1.0 - ROUNDING)).any():
                    return [f"a rate fell in step {step} when volatility was {factor:g} times as high at all times; "
                            f"set monotone_in_volatility = False if this is meant"]
        return []

    def _continued(self, change: Callable[[Any], Any], message: str) -> list[str]:
        market = self.market()
        state = self.policy.start(market)
        seen = []
        for step in range(self.steps):
            if step in (1, self.steps // 2):
                state = change(state)
            self.set_step(market, step)
            state, requirement = _updated(self.policy, state, market)
            seen.append(_vector(requirement))
        return self._compare(seen, message)

    def _compare(self, seen: Rates, message: str) -> list[str]:
        for step, (expected, given) in enumerate(zip(self.expected, seen, strict=False)):
            if not _equal(expected, given):
                return [f"{message} (first in step {step})"]
        return []


def _updated(policy: MarginPolicy, state: Any, market: MarketState) -> tuple[Any, MarginRequirement]:
    result = policy.update(state, market)
    if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[1], MarginRequirement):
        raise TypeError(f"update must return (state, MarginRequirement), returned {result!r}")
    return result


def _vector(requirement: MarginRequirement) -> NDArray[np.float64]:
    # from the fields: the cached `rates` would hide arrays that were changed later
    parts = [requirement.initial_rates, requirement.maintenance_rates, np.array([float(requirement.grandfathered)])]
    parts += [] if requirement.floors is None else [requirement.floors]
    return np.concatenate([part.ravel() for part in parts])


def _equal(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    return first.shape == second.shape and first.tobytes() == second.tobytes()


def _values(policy: MarginPolicy) -> dict[str, Any]:
    return copy.deepcopy(vars(policy))


def _same(first: Any, second: Any) -> bool:
    """Compare nests of parameters; arrays by their bytes."""
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        return first.shape == second.shape and first.tobytes() == second.tobytes()
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(_same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(_same(a, b) for a, b in zip(first, second, strict=True))
    if dataclasses.is_dataclass(first) and type(first) is type(second):
        return _same(vars(first), vars(second))
    if hasattr(first, "__dict__") and type(first) is type(second):
        return _same(vars(first), vars(second))
    return bool(first == second)
