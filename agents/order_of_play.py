"""Order of play: who decides when, and with which draws.

Decisions are a few compiled calls over structured arrays; each loop calls the rule of its kind, the same
compiled function that one agent's ``step()`` calls.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.agents.arbitrageur import decide_arbitrageurs
from spirals.agents.background import decide_background
from spirals.agents.basis_trader import decide_basis_traders
from spirals.agents.entry import decide_entries
from spirals.agents.hedging import decide_rehedges
from spirals.agents.leveraged_trader import decide_traders
from spirals.agents.margin_response import margin_response
from spirals.agents.market_maker import decide_makers
from spirals.agents.members import Members
from spirals.simulation.randomness import stream_key
from spirals.simulation.state import ORDER, Kind

__all__ = ["BASIS_TRADERS", "GROUPS", "MAKERS", "TRADERS", "OrderOfPlay"]

GROUPS = ("background", "arbitrageurs", "makers", "traders", "basis_traders")
MAKERS, TRADERS, BASIS_TRADERS = 2, 3, 4
NOT_AT_OPENING = (1, 3, 4)   # step 0 only seeds the book: the opening positions are exactly those that were drawn
PURPOSES = ("background.limits", "background.market", "arbitrageurs", "makers", "traders", "entries", "basis_traders",
            "hedges", "users")


class OrderOfPlay(Members):
    """Members who decide, group after group; users' agents and queued orders come last."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._owners = np.zeros(self.max_orders, np.int32)
        self._orders: NDArray[Any] | None = None
        self._n = 0
        self._ends = np.zeros(len(GROUPS) + 1, np.int64)
        self._keys: tuple[Any, ...] = ()
        self._keyed: tuple[int, int] = (-1, -1)

    def decide(self, simulation: Any, orders: NDArray[Any]) -> int:
        """Write the orders of this step to `orders`; return how many."""
        self._derive_keys(simulation)
        self._respond_to_margin(simulation)
        if self.driven and self.stepper is not None:
            self._orders, self._n = orders, 0
            self._ends[:] = 0
            self.stepper(simulation)
            n, self._orders = self._n, None
        else:
            n = 0
            for group in range(len(GROUPS)):
                self._ends[group] = n
                n = self.decide_group(simulation, group, 0, self.group_size(group), orders, n)
            self._ends[len(GROUPS)] = n
            if self.stepper is not None:
                self.stepper(simulation)
        if self.queue.n:
            n = self.queue.write(orders, n, simulation)
        return n

    def decide_group(self, simulation: Any, group: int, first: int, last: int, orders: NDArray[Any], n: int) -> int:
        """Let actors `first` .. `last` - 1 of one group act; return the next free order row."""
        if first >= last or (simulation.step_index == 0 and group in NOT_AT_OPENING):
            return n
        sim, keys = simulation, self._keys
        market, book, owners = sim.market, sim.book, self._owners
        if group == 0:
            return decide_background(
                first, last, self._background_rules, self.flows, self.places, sim.loop.seen, sim.contracts, book.slots,
                book.pool, sim.step_index, sim.step_seconds, keys[:2], market.depth_factor, market.flow_notional,
                self.takers, orders, n, owners,
            )
        if group == 1:
            return decide_arbitrageurs(
                first, last, self._arbitrageur_rule, self.arbitrageur_state, sim.accounts, sim.positions, sim.loop.seen,
                sim.contracts, sim.margin.table, sim.step_index, keys[2], orders, n, owners,
            )
        if group == MAKERS:
            n = decide_makers(
                first, last, self._maker_rules, self.maker_state, self.quotes, sim.accounts, sim.positions,
                sim.loop.seen, sim.contracts, sim.margin.table, book.slots, book.pool, sim.step_index, sim.step_seconds,
                keys[3], market.depth_factor, orders, n, owners,
            )
            return self._rehedge(sim, first, last, self.maker_state, Kind.MAKER, orders, n)
        if group == BASIS_TRADERS:
            n = decide_basis_traders(
                first, last, self._basis_rule, self.basis_state, self.hedge_state, self._hedge_of, sim.accounts,
                sim.positions, sim.loop.seen, sim.contracts, sim.margin.table, sim.step_index, keys[6],
                self.top_up_requests, orders, n,
            )
            return self._rehedge(sim, first, last, self.basis_state, Kind.BASIS_TRADER, orders, n)
        n = decide_traders(
            first, last, self._trader_rules, self.traders, sim.accounts, sim.positions, sim.loop.seen, sim.contracts,
            sim.margin.table, book.slots, book.pool, sim.step_index, sim.step_seconds, keys[4], self.top_up_requests,
            orders, n, owners,
        )
        if self.entries.active:
            n = decide_entries(
                first, last, self._entry_rule, self._leverage_rules, self._rounds, self._trader_rules, self.entry_state,
                self.traders, sim.accounts, sim.positions, sim.loop.seen, sim.contracts, sim.margin.table,
                sim.step_index, sim.step_seconds, keys[5], self.top_up_requests, orders, n,
            )
        return self._rehedge(sim, first, last, self.traders, Kind.TRADER, orders, n)

    def _rehedge(
        self, sim: Any, first: int, last: int, owners: NDArray[Any], origin: int, orders: NDArray[Any], n: int
    ) -> int:
        """Let hedged actors of a group restore what auto-deleveraging took; return the next free order row."""
        if not self.hedging:
            return n
        return decide_rehedges(
            first, last, self._hedge_rule, owners, origin, self.hedge_state, self._hedge_of, sim.accounts,
            sim.loop.seen, sim.contracts, sim.step_index, self._keys[7], orders, n,
        )

    def group_size(self, group: int) -> int:
        """Return the number of actors of a group: instruments, or rows of its state."""
        return len((self.flows, self.arbitrageur_state, self.maker_state, self.traders, self.basis_state)[group])

    def act(self, simulation: Any, group: int, first: int, last: int) -> NDArray[Any]:
        """Let actors of one group apply their rule; return the rows they wrote. `agent.step()` ends here.

        Inside a driven step the orders are sent. Otherwise this is a preview: nothing is sent and the
        actors' state stays as it was.
        """
        if first >= last:  # no state of its own: another account of the group acts for it
            return np.zeros(0, ORDER)
        if self._orders is not None:
            before = self._n
            if first == 0:
                self._ends[group] = before
            self._n = self.decide_group(simulation, group, first, last, self._orders, before)
            self._ends[group + 1:] = self._n
            return self._orders[before: self._n]
        self._derive_keys(simulation)
        touched = [array[first:last] for array in self._group_state(group)] + [self.top_up_requests]
        saved = [array.copy() for array in touched]
        scratch, owners = np.zeros(self.max_orders - self.queue.limit, ORDER), self._owners.copy()
        n = self.decide_group(simulation, group, first, last, scratch, 0)
        for array, copy in zip(touched, saved, strict=True):
            array[...] = copy
        self._owners[:] = owners
        return scratch[:n]

    def _group_state(self, group: int) -> tuple[NDArray[Any], ...]:
        traders = (self.traders, self.entry_state) if self.entries.active else (self.traders,)
        return ((self.flows, self.places), (self.arbitrageur_state,), (self.maker_state, self.quotes), traders,
                (self.basis_state,))[group]

    def _respond_to_margin(self, simulation: Any) -> None:
        """Set what follows the initial margin of this step: the rate of own orders, leverage of those who enter."""
        people = self.population
        if self.entries.active and people.opening_book == "adapted":
            self._leverage_rules = self._leverage_by_margin(simulation)
        if people.entry_elasticity > 0.0:
            for rule, brackets in zip(self._trader_rules, simulation.margin.table, strict=True):
                rate = float(brackets[0]["initial_rate"])
                rule["activity"] = margin_response(people.reference_margin, rate, people.entry_elasticity)

    def _derive_keys(self, simulation: Any) -> None:
        wanted = (simulation.seed, simulation.branch)
        if self._keyed != wanted:
            self._keys = tuple(stream_key(simulation.seed, purpose, simulation.branch) for purpose in PURPOSES)
            self._keyed = wanted

    @property
    def user_key(self) -> np.uint64:
        """Stream of the users' agents."""
        return self._keys[-1]
