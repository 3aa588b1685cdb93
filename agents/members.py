"""Members: who is in the population, in fixed rows of the ledger, and with what they open.

Order of rows: the fixed rows of the ledger, the background's takers, arbitrageurs, makers, traders
(newcomers last), basis traders, users' agents.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.agents.arbitrageur import Arbitrageurs, arbitrageur_rows
from spirals.agents.background import BackgroundFlow, flow_rows, place_rows
from spirals.agents.basis_trader import BasisTraders, basis_rows
from spirals.agents.entry import Entries
from spirals.agents.hedging import OutsideHedges, hedge_rows
from spirals.agents.ledger_opening import open_ledger
from spirals.agents.leveraged_trader import MOST_ORDERS
from spirals.agents.market_maker import MarketMakers, maker_rows
from spirals.agents.population import Population
from spirals.agents.queue import OrderQueue
from spirals.simulation.contracts import Instrument
from spirals.simulation.market.depth import Depth
from spirals.simulation.state import FIRST_ROW, Kind

__all__ = ["Members"]


class Members:
    """Everybody who trades: their rows in the ledger, their state and the rules they follow.

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

    def kinds(self) -> list[int]:
        """Return the Kind of every row from the takers on."""
        return (
            [Kind.BACKGROUND] + [Kind.ARBITRAGEUR] * self.arbitrageurs.count + [Kind.MAKER] * self.makers.count
            + [Kind.TRADER] * (self.first_basis - self.first_trader)
            + [Kind.BASIS_TRADER] * self.basis_traders.count + [Kind.USER] * (self.n_accounts - self.first_user)
        )
