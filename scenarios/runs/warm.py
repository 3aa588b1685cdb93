"""Compile before other processes start: they would all do it at once."""

import contextlib
import logging
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from spirals.scenarios.results.first_use import announced
from spirals.scenarios.runs.one_run import run_scenario

if TYPE_CHECKING:
    from spirals.scenarios.inputs.loader import Inputs

__all__ = ["compile_now"]

STEPS = 3
log = logging.getLogger("spirals")


def compile_now(inputs: "Inputs", seed: int = 0, twins: Sequence[str] = ("T1",)) -> None:
    """Run a few steps of a scenario in this process, and meet faults of the user's files here.

    Raises
    ------
    InputError
        Code of the user's with which the run does not open.
    """
    from spirals.scenarios.inputs.loader import Inputs, build_scenario

    with announced():
        scenario = build_scenario(Inputs(inputs.tree))
        try:
            with contextlib.redirect_stdout(sys.stderr):
                run_scenario(scenario, seed, twins=twins, steps=min(STEPS, scenario.steps))
        except RuntimeError:  # a fault during the run belongs to that run; the others go on
            log.debug("the first run failed", exc_info=True)
