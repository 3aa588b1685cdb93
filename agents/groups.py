"""Agents: the population behind the interface that the venue calls; here its state is saved and restored.

Who it is stands in `members`, who decides when in `order_of_play`, what it learns from the venue in `hooks`.
"""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.agents.hooks import Hooks

__all__ = ["Agents"]


class Agents(Hooks):
    """The population of a run; parameters and attributes are those of `Members`."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the state by name: live references."""
        found = {
            "flows": self.flows, "places": self.places, "makers": self.maker_state, "quotes": self.quotes,
            "arbitrageurs": self.arbitrageur_state, "traders": self.traders, "top_up_requests": self.top_up_requests,
        }
        if self.entries.active:
            found["entries"] = self.entry_state
        if self.hedging:
            found["hedges"] = self.hedge_state
        if self.queue.numbers:
            found["queue"] = np.array(self.queue.numbers, np.int64)
        if self.user_agents:
            memories = json.dumps([agent.memory() for agent in self.user_agents])
            found["users"] = np.frombuffer(memories.encode(), np.uint8)
        return found

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Copy saved arrays into the own ones."""
        for name, array in self.arrays().items():
            if name not in ("users", "queue"):
                np.copyto(array, arrays[name])
        self.queue.numbers = arrays["queue"].tolist() if "queue" in arrays else []
        if self.user_agents:
            memories = json.loads(arrays["users"].tobytes().decode())
            for agent, memory in zip(self.user_agents, memories, strict=True):
                agent.recall(memory)
