"""Agents: everybody who trades, in fixed rows, behind the interface that the venue calls.

Order of rows: the fixed rows of the ledger, the background's takers, arbitrageurs, makers, traders
(newcomers last), basis traders, users' agents. Decisions are a few compiled calls over structured arrays;
each loop calls the rule of its kind, the same compiled function that one agent's ``step()`` calls.
"""

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.agents.arbitrageur import Arbitrageurs, arbitrageur_rows, decide_arbitrageurs, hedge_outside
from spirals.agents.background import BackgroundFlow, decide_background, flow_rows, place_rows
from spirals.agents.basis_trader import BasisTraders, basis_rows, decide_basis_traders
from spirals.agents.entry import Entries, decide_entries
from spirals.agents.hedging import (
    OutsideHedges,
    decide_rehedges,
    follow_outside,
    hedge_rows,
    note_cuts,
    note_restored,
    outside_value,
)
from spirals.agents.ledger_opening import open_ledger
from spirals.agents.leveraged_trader import MOST_ORDERS, decide_traders
from spirals.agents.margin_response import margin_response
from spirals.agents.market_maker import MarketMakers, decide_makers, maker_rows
from spirals.agents.orders import NO_ORDER, note_resting
from spirals.agents.population import Population
from spirals.agents.queue import OrderQueue
from spirals.simulation.contracts import Instrument
from spirals.simulation.kernel import lean
from spirals.simulation.market.depth import Depth
from spirals.simulation.randomness import stream_key
from spirals.simulation.state import FIRST_ROW, ORDER, Kind, OrderKind, OrderStatus

__all__ = ["Agents"]

GROUPS = ("background", "arbitrageurs", "makers", "traders", "basis_traders")
MAKERS, TRADERS, BASIS_TRADERS = 2, 3, 4
NOT_AT_OPENING = (1, 3, 4)   # step 0 only seeds the book: the opening positions are exactly those that were drawn
PURPOSES = ("background.limits", "background.market", "arbitrageurs", "makers", "traders", "entries", "basis_traders",
            "hedges", "users")
RESTING, REJECTED = OrderStatus.RESTING, OrderStatus.REJECTED
IOC = OrderKind.IOC


class Agents:
    """The population of a run: state of all agents, compiled decisions, users' orders.

    Parameters
    ----------
    instruments : tuple of Instrument
    depth : Depth or sequence of Depth
        One for all instruments, or one each.
    background : BackgroundFlow
    makers : MarketMakers
    arbitrageurs : Arbitrageurs
    population : Population
    users : tuple of UserAgents
    entries : Entries
    basis_traders : BasisTraders
    hedges : OutsideHedges

    Attributes
    ----------
    n_accounts, max_orders : int
    top_up_requests : ndarray of shape (n_accounts,), int64
        [atoms] Read and zeroed by the venue.
    takers, first_arbitrageur, first_maker, first_trader, first_basis, first_user : int
        Ledger rows.
    queue : OrderQueue
        Orders of users' agents and of anyone who uses the Mesa face.
    stepper : callable or None
        Called in the middle of :meth:`decide` with the simulation: lets Python agents step.
    driven : bool
        True when `stepper` also steps the built-in agents (one compiled call each).
    user_agents : list of UserAgent
        Python agents whose memory belongs to the saved state.
    """

    def __init__(
        self, instruments: tuple[Instrument, ...], depth: Depth | tuple[Depth, ...],
        background: BackgroundFlow | None = None, makers: MarketMakers | None = None,
        arbitrageurs: Arbitrageurs | None = None, population: Population | None = None, users: tuple[Any, ...] = (),
        entries: Entries | None = None, basis_traders: BasisTraders | None = None,
        hedges: OutsideHedges | None = None,
    ) -> None:
        self.instruments = tuple(instruments)
        n = len(self.instruments)
        self.depths = [depth] * n if isinstance(depth, Depth) else list(depth)
        self.background = background or BackgroundFlow()
        self.makers = makers or MarketMakers()
        self.arbitrageurs = arbitrageurs or Arbitrageurs()
        self.population = population or Population()
        self.users = tuple(users)
        self.entries = entries or Entries()
        self.basis_traders = basis_traders or BasisTraders()
        self.outside = hedges or OutsideHedges()
        self.positions_table = self.population.table(self.instruments)
        n_traders = len(self.positions_table.labels) if self.positions_table else self.population.traders
        n_traders += self.entries.newcomers
        self.takers = FIRST_ROW
        self.first_arbitrageur = self.takers + 1
        self.first_maker = self.first_arbitrageur + self.arbitrageurs.count
        self.first_trader = self.first_maker + self.makers.count
        self.first_basis = self.first_trader + n_traders
        self.first_user = self.first_basis + self.basis_traders.count
        self.n_accounts = self.first_user + sum(user.count for user in self.users)
        holdings = len(self.positions_table.holdings) + self.entries.newcomers if self.positions_table else n_traders
        built_in = self.background.max_orders(n) + self.makers.max_orders(n) + self.arbitrageurs.max_orders(n)
        self.hedging = bool(self.basis_traders.count or self.outside.shorts or self.outside.maker_share)
        built_in += (MOST_ORDERS + self.entries.active + self.hedging) * holdings
        built_in += (self.basis_traders.count + self.makers.count) * 2 * n
        self.queue = OrderQueue(limit=max(4096, 64 * (self.n_accounts - self.first_user)))
        self.max_orders = built_in + self.queue.limit
        self.top_up_requests = np.zeros(self.n_accounts, np.int64)
        self.stepper: Callable[[Any], None] | None = None
        self.driven = False
        self.user_agents: list[Any] = []
        self._owners = np.zeros(self.max_orders, np.int32)
        self._orders: NDArray[Any] | None = None
        self._n = 0
        self._ends = np.zeros(len(GROUPS) + 1, np.int64)
        self._keys: tuple[Any, ...] = ()
        self._keyed: tuple[int, int] = (-1, -1)

    def open(self, simulation: Any) -> None:
        """Draw the opening, write it into the ledger and set up the agents' own state."""
        opening = open_ledger(self, simulation)
        self.depths = [depth.resolved(interest) for depth, interest in
                       zip(self.depths, opening.open_interest, strict=True)]
        prices = [float(mark) for mark in simulation.market.record["mark"]]
        lots = [instrument.lot_size for instrument in self.instruments]
        share = self.makers.depth_share if self.makers.count else 0.0
        self.places = np.stack([place_rows(self.background, depth, share, self.makers.reach(depth))
                                for depth in self.depths])
        self.flows = flow_rows(self.background, self.depths)
        self.maker_state, self.quotes = maker_rows(self.makers, self.depths, prices, lots, self.first_maker)
        self.arbitrageur_state = arbitrageur_rows(
            self.arbitrageurs, opening.arbitrageur_capital, prices, lots, self.first_arbitrageur
        )
        near = [float(depth.cumulative(0.001)) / (price * lot) for depth, price, lot in
                zip(self.depths, prices, lots, strict=True)]
        self.traders = self.population.trader_rows(
            opening.holdings, simulation.market.record["mark"], near, self.first_trader
        )
        if self.entries.active:
            self._open_entries(simulation, opening, near)
        self.basis_state = basis_rows(self.basis_traders, opening.interest_lots, self.first_basis)
        self._basis_rule = self.basis_traders.rule()
        if self.hedging:
            self._open_hedges(simulation, near)
        # A part that differs between instruments (volatility elasticity, say) is one row per instrument.
        self._background_rules = np.concatenate([self.background.rule(depth) for depth in self.depths])
        self._maker_rules = np.concatenate([self.makers.rule(depth, self.outside.maker_share) for depth in self.depths])
        self._arbitrageur_rule = self.arbitrageurs.rule()
        self._trader_rules = np.repeat(self.population.rule(), len(self.instruments))

    def _open_entries(self, simulation: Any, opening: Any, near: list[float]) -> None:
        """Add the newcomers to the traders and set up who may come (back)."""
        people, part = self.population, self.entries
        marks = simulation.market.record["mark"]
        before = self.first_basis - self.first_trader - part.newcomers
        new = part.newcomer_holdings(people, simulation.seed, opening.interest_lots, before)
        self.traders = np.concatenate([self.traders, people.trader_rows(new, marks, near, self.first_trader)])
        wealth = np.abs(new["lots"]) * (marks * simulation.contracts["lot_value"])[new["instrument"]]
        simulation.accounts["outside_wealth"][self.first_trader + new["account"]] = np.floor(wealth).astype(np.int64)
        stops = np.concatenate([opening.holdings["stop_distance"], new["stop_distance"]])
        slices = np.maximum(np.array(near)[self.traders["instrument"]] * people.order_cap, 1.0).astype(np.int64)
        self.entry_state = part.entry_rows(self.traders, part.newcomers, stops, slices, simulation.seed)
        self._entry_rule, self._rounds = part.rule(), np.array(sorted(people.round_leverages), np.float64)
        self._leverage_rules = self._leverage_by_margin(simulation)

    def _open_hedges(self, simulation: Any, near: list[float]) -> None:
        """Set up the outside legs of hedged shorts, makers and basis traders."""
        part = self.outside
        owners = [(self.basis_state, 1.0)]
        if part.shorts:
            owners.append((self.traders[self.traders["hedged"] == 1], 1.0))
        if part.maker_share > 0.0:
            owners.append((self.maker_state, part.maker_share))
        self.hedge_state, self._hedge_of = hedge_rows(
            owners, simulation.positions, simulation.market.record, simulation.contracts,
            [part.order_share * lots for lots in near],
        )
        self._hedge_rule = part.rule()

    def _leverage_by_margin(self, simulation: Any) -> NDArray[Any]:
        """Return how whoever enters chooses leverage under the margin of this step, one row per instrument."""
        return np.concatenate([self.population.opening_rule(float(brackets[0]["initial_rate"]))
                               for brackets in simulation.margin.table])

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
                first, last, self._background_rules, self.flows, self.places, market.record, sim.contracts, book.slots,
                book.pool, sim.step_index, sim.step_seconds, keys[:2], market.depth_factor, market.flow_notional,
                self.takers, orders, n, owners,
            )
        if group == 1:
            return decide_arbitrageurs(
                first, last, self._arbitrageur_rule, self.arbitrageur_state, sim.accounts, sim.positions, market.record,
                sim.contracts, sim.margin.table, sim.step_index, sim.step_seconds, keys[2], orders, n, owners,
            )
        if group == MAKERS:
            n = decide_makers(
                first, last, self._maker_rules, self.maker_state, self.quotes, sim.accounts, sim.positions,
                market.record, sim.contracts, sim.margin.table, book.slots, book.pool, sim.step_index, sim.step_seconds,
                keys[3], market.depth_factor, orders, n, owners,
            )
            return self._rehedge(sim, first, last, self.maker_state, Kind.MAKER, orders, n)
        if group == BASIS_TRADERS:
            n = decide_basis_traders(
                first, last, self._basis_rule, self.basis_state, self.hedge_state, self._hedge_of, sim.accounts,
                sim.positions, market.record, sim.contracts, sim.margin.table, sim.step_index, keys[6],
                self.top_up_requests, orders, n,
            )
            return self._rehedge(sim, first, last, self.basis_state, Kind.BASIS_TRADER, orders, n)
        n = decide_traders(
            first, last, self._trader_rules, self.traders, sim.accounts, sim.positions, market.record, sim.contracts,
            sim.margin.table, book.slots, book.pool, sim.step_index, sim.step_seconds, keys[4], self.top_up_requests,
            orders, n, owners,
        )
        if self.entries.active:
            n = decide_entries(
                first, last, self._entry_rule, self._leverage_rules, self._rounds, self._trader_rules, self.entry_state,
                self.traders, sim.accounts, sim.positions, market.record, sim.contracts, sim.margin.table,
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
            sim.market.record, sim.contracts, sim.step_index, self._keys[7], orders, n,
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

    def react(self, simulation: Any, orders: NDArray[Any], round_: int) -> int:
        """Let makers renew their quotes between liquidation rounds, if they are that fast; return how many orders."""
        if self.makers.maker_reaction_rounds == 0 or round_ < self.makers.maker_reaction_rounds:
            return 0
        n = self.decide_group(simulation, MAKERS, 0, len(self.maker_state), orders, 0)
        self._ends[: MAKERS + 1], self._ends[MAKERS + 1:] = 0, n
        return n

    def after_trading(self, simulation: Any, orders: NDArray[Any]) -> None:
        """Learn which of the orders rest, and hedge the arbitrageurs' fills outside."""
        learn(
            orders, self._ends, self._owners, self.places, self.quotes, self.traders, self.arbitrageur_state,
            simulation.market.record, simulation.contracts,
        )
        if self.hedging:
            note_restored(orders, len(orders), self._hedge_of, self.hedge_state)
            follow_outside(self.hedge_state, simulation.positions, simulation.market.record, simulation.contracts)

    def after_deleveraging(self, simulation: Any, cuts: NDArray[Any]) -> None:
        """See whose hedges auto-deleveraging has stripped; makers among them leave for a while."""
        if not self.hedging:
            return
        note_cuts(cuts, self.outside.rehedge_share, self._hedge_of, self.hedge_state)
        if self.outside.maker_away_seconds > 0.0 and self.outside.maker_share > 0.0:
            steps = math.ceil(self.outside.maker_away_seconds / simulation.step_seconds)
            cut = np.isin(self.maker_state["account"], cuts["counterparty"])
            back = self.maker_state["away_until"][cut]
            self.maker_state["away_until"][cut] = np.maximum(back, simulation.step_index + 1 + steps)

    def outside_profit(self, simulation: Any) -> NDArray[np.float64]:
        """Return the profit of legs held elsewhere, at the index [quote], shape (n_accounts,)."""
        record, contracts = simulation.market.record, simulation.contracts
        profit = outside_value(self.arbitrageur_state, record, contracts, self.n_accounts)
        if self.hedging:
            profit += outside_value(self.hedge_state, record, contracts, self.n_accounts)
        return profit

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

    def kinds(self) -> list[int]:
        """Return the Kind of every row from the takers on."""
        return (
            [Kind.BACKGROUND] + [Kind.ARBITRAGEUR] * self.arbitrageurs.count + [Kind.MAKER] * self.makers.count
            + [Kind.TRADER] * (self.first_basis - self.first_trader)
            + [Kind.BASIS_TRADER] * self.basis_traders.count + [Kind.USER] * (self.n_accounts - self.first_user)
        )


@lean
def learn(orders, ends, owners, places, quotes, traders, arbitrageurs, record, contracts):
    """Store ids of resting orders with the places, quotes and traders that sent them."""
    for k in range(ends[0], ends[1]):
        if owners[k] >= 0:
            order = orders[k]
            place = places[order["instrument"], owners[k]]
            if order["status"] == RESTING:
                place["order_id"] = order["order_id"]
                place["lots"] = order["resting_lots"]
            elif order["status"] != REJECTED:
                place["order_id"] = NO_ORDER
    for k in range(ends[1], ends[2]):
        order = orders[k]
        if order["filled_lots"] > 0:
            i = order["instrument"]
            hedge_outside(arbitrageurs[owners[k]], order, record[i]["index"], contracts[i]["lot_size"])
    per_maker = quotes.shape[1]
    for k in range(ends[2], ends[3]):
        if orders[k]["kind"] == IOC:  # restores a hedge: no quote
            continue
        quote = quotes[owners[k] // per_maker, owners[k] % per_maker]
        note_resting(quote, orders[k])
    for k in range(ends[3], ends[4]):
        if orders[k]["kind"] != IOC:  # an IOC says nothing about the order that rests
            note_resting(traders[owners[k]], orders[k])
