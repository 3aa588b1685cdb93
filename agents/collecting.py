"""What Mesa's DataCollector keeps of a model, and how `mesa.batch_run` finds the rows."""

from typing import Any

import mesa

from spirals.simulation.errors import InputError

__all__ = ["AGENT_REPORTERS", "BY_POSITION", "REPORTED", "collector"]

REPORTED = (
    "tick", "mark", "mid", "index", "spread", "volatility", "open_interest", "liquidations", "bad_debt",
    "insurance_fund", "seed",
)

# Mesa 3.3 notes no step with a row: its batch_run takes row number k for the state after k steps, and reads
# up to the last `step()` call but one. Later versions keep the steps of the rows.
BY_POSITION = not hasattr(mesa.DataCollector(), "_collection_steps")


def position(agent: Any) -> float:
    """Return the position in the first instrument [base]."""
    return float(agent.position)


def equity(agent: Any) -> float:
    """Return the equity [quote]."""
    return float(agent.equity)


def leverage(agent: Any) -> float:
    """Return gross notional over equity."""
    return float(agent.leverage)


# Functions of a module, not names: a model with reporters by name cannot be pickled.
AGENT_REPORTERS = {"position": position, "equity": equity, "leverage": leverage}


class Rows(list[Any]):
    """Values of one reporter on Mesa 3.3 when not every step has a row."""

    def __getitem__(self, key: Any) -> Any:
        """Return a value; a row that was never collected is told in our words, not as IndexError."""
        try:
            return super().__getitem__(key)
        except IndexError:
            raise InputError([
                f"collect_every must be 1 under mesa.batch_run of Mesa {mesa.__version__}, which needs a row for "
                f"every step; row {key} is missing. Mesa 3.5 takes any value"
            ]) from None


def collector(every: Any, agent_data: bool) -> mesa.DataCollector:
    """Return the DataCollector of a model with a row every so many steps; InputError for a bad number."""
    if isinstance(every, bool) or not isinstance(every, int) or every < 0:
        raise InputError([f"collect_every must be a whole number of at least 0, was {every!r}"])
    made = mesa.DataCollector(
        model_reporters={name: name for name in REPORTED},
        agent_reporters=AGENT_REPORTERS if agent_data else None,
    )
    if BY_POSITION and every != 1:
        made.model_vars = {name: Rows() for name in REPORTED}
    return made
