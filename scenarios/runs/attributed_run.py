"""One run with its attribution and its family tree; the run, its twins and the game share their simulations."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from spirals.scenarios.results.progress import progress_bar
from spirals.scenarios.runs.attribution import check_groups, extra_runs, share_out
from spirals.scenarios.runs.channels import check_causes, check_channels, default_causes, default_channels
from spirals.scenarios.runs.genealogy import family
from spirals.scenarios.runs.one_run import RunResult, attribution, finished_core, twin_setup
from spirals.simulation.errors import InputError
from spirals.simulation.measures.outcomes import outcomes
from spirals.simulation.open_loop import Taping
from spirals.simulation.phase_log import PhaseLog

if TYPE_CHECKING:
    from spirals.scenarios.inputs.scenario import Scenario
    from spirals.simulation.measures.record import RunRecord

__all__ = ["attributed_run"]


def attributed_run(
    scenario: "Scenario", seed: int, twins: Sequence[str], channels: Sequence[str] | None,
    causes: Sequence[str] | None, groups: Sequence[Sequence[str]], progress: bool,
    trace: bool = True,
) -> RunResult:
    """Run a scenario and its twins, share the outcomes out, and trace the liquidations.

    Parameters
    ----------
    scenario, seed, twins, channels, causes, groups, progress
        As of :func:`~spirals.scenarios.runs.one_run.run_scenario`; twin T1 is run in any case.
    trace : bool
        Whether to trace the liquidations as well, which takes about as long as a run.

    Raises
    ------
    InputError
        A channel or cause that does not exist or that the scenario lacks, or groups that are no partition.
    """
    by_channel = channels is None or len(channels) > 0
    channels = default_channels(scenario) if channels is None else tuple(channels)
    causes = default_causes(scenario) if causes is None else tuple(causes)
    problems = [*check_channels(scenario, channels), *check_causes(scenario, causes), *check_groups(channels, groups)]
    if problems:
        raise InputError(problems)
    twins = tuple(dict.fromkeys(("T1", *twins)))
    log, tape = PhaseLog(), Taping()
    runs = 1 + len(twins) + extra_runs(len(channels)) + (extra_runs(len(causes)) if causes else 0)
    with progress_bar(scenario.steps * runs, 0, "step", progress) as advance:
        run = finished_core(scenario, seed, advance, **({"trades": True, "loop": log} if trace else {}))
        own = run.record()
        records: dict[str, RunRecord] = {}
        for name in twins:
            options: dict[str, Any] = {"loop": tape} if name == "T1" else {}
            records[name] = finished_core(twin_setup(scenario, name), seed, advance, **options).record()

        def finish(setup: Any, loop: Any) -> "RunRecord":
            record: RunRecord = finished_core(setup, seed, advance, loop=loop).record()
            return record

        known: dict[str, Any] = {"twin": records["T1"], "tape": tape.tape, "finish": finish, "full": own}
        shares = share_out(scenario, channels, **known, groups=groups) if by_channel else None
        by_cause = share_out(scenario, causes, **known) if causes else None
    measured = outcomes(own, records)
    levels = shares.levels() if shares is not None else attribution(measured)
    return RunResult(scenario.name, seed, own.stop_reason, measured, levels, own, records, shares, by_cause,
                     family(run, log, records["T1"], tape.tape) if trace else None)
