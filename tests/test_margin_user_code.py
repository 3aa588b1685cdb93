"""Faults of a policy or an agent of the user's: the message names class, file and step."""

import dataclasses
import sys

import numpy as np
import pytest

from spirals.agents.user import called
from spirals.simulation.errors import InputError
from spirals.simulation.margin import Floor, MarginPolicy, MarginRequirement
from spirals.simulation.margin.stage import MarginStage
from spirals.simulation.market.view import MarketState


@dataclasses.dataclass(frozen=True)
class Odd(MarginPolicy):
    """Answers as a rule should, then with whatever it is told."""

    answer: object = None

    def update(self, state, market):
        if market.step:
            return sys.exit() if self.answer == "exit" else self.answer
        rate = np.full(market.n_instruments, 0.1)
        return state, MarginRequirement(rate, rate / 2)


def fault(policy):
    market = MarketState.constant()
    stage = MarginStage(policy, market)
    market.step = 7
    with pytest.raises((InputError, RuntimeError)) as caught:
        stage.update(market)
    return str(caught.value)


@pytest.mark.parametrize("answer", [None, "text", (), (None, None), (None, 0.1)])
def test_a_policy_that_returns_something_else_is_named_with_file_and_step(answer):
    text = fault(Odd(answer))
    assert text.startswith(f"Odd ({__file__}) returned the wrong thing at step 7; allowed: (state, MarginRequirement)")


def test_a_policy_that_fails_or_leaves_is_named_also_inside_a_wrapper():
    assert "Odd" in fault(Odd("exit")) and "failed at step 7 (SystemExit" in fault(Odd("exit"))
    assert fault(Floor(inner=Odd())).startswith(f"Floor around Odd ({__file__}) failed at step 7 (TypeError")


def test_an_agent_that_fails_or_leaves_is_named_with_file_row_and_step():
    class Clumsy:
        row = 12

        def start(self):
            raise KeyError("price")

        def step(self):
            sys.exit()

    with pytest.raises(RuntimeError, match=r"step of agent Clumsy \(.*\), row 12, at step 3 failed \(SystemExit"):
        called(Clumsy(), "step", 3)
    with pytest.raises(RuntimeError, match=r"start of agent Clumsy .* failed \(KeyError: 'price'\)"):
        called(Clumsy(), "start", 0)
