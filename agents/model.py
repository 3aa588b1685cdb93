"""SpiralModel: the Mesa face of a run. The compiled core does the work; agents are views of its rows."""

from typing import Any

import mesa
import numpy as np
import pandas as pd

from spirals.agents.collecting import BY_POSITION, collector
from spirals.agents.groups import Agents
from spirals.agents.participant import (
    Arbitrageur,
    BackgroundTrader,
    BasisTrader,
    BuiltIn,
    LeveragedTrader,
    Liquidator,
    MarketMaker,
    Participant,
)
from spirals.agents.setup import resolved, seed_of, with_keywords
from spirals.agents.user import called, load_agent_class
from spirals.agents.user_agent import UserAgent, UserView
from spirals.simulation.errors import InputError
from spirals.simulation.measures.record import RunRecord
from spirals.simulation.open_loop import ClosedLoop
from spirals.simulation.simulation import Simulation
from spirals.simulation.state import BACKGROUND_ROW, Kind

__all__ = ["ACTIVATIONS", "SpiralModel"]

ACTIVATIONS = ("compiled", "agents")


class SpiralModel(mesa.Model):
    """A venue with its traders as a Mesa model.

    Parameters
    ----------
    setup : str, path or object, optional
        The scenario: a name of the catalogue, the path of a TOML file, or an object with the attributes
        of :class:`Setup`; a quiet hour by default. (Mesa 3.5 keeps the word `scenario` for itself.)
    rng, seed : int, optional
        Seed, under either name: the same number gives the same run. Without one a number is drawn from
        the operating system, as plain Mesa does, and kept in `model.seed`.
    steps, step_seconds, traders, leverage_multiplier, crowding, open_interest, positions_file, depth,
    makers, arbitrageurs, initial_margin_rate, maintenance_margin_rate, shock : optional
        Flat overrides of the setup, for sweeps and sliders. `depth` is a name of ``DEPTHS`` or of its
        class (``"linear"``, ``"LinearDepth"``); `makers` and `arbitrageurs` are counts; the rates replace
        the policy by a static one; `shock` adds a jump of the outside log price after a minute.
    activation : {"compiled", "agents"}
        Who calls the rules of built-in agents: one compiled loop, or every agent's ``step()`` in turn
        (slower by about a thousand times, same orders).
    collect_every : int
        Steps between two rows of the DataCollector; opening and horizon have one in any case, and with 0
        only they. ``mesa.batch_run`` of Mesa 3.3 needs 1.
    trades : bool
        Keep every trade.
    agent_data : bool
        Whether the DataCollector also keeps position, equity and leverage of every agent.
    loop : ClosedLoop, optional
        Edges of the feedback that are cut or taped, for attribution; closed by default.

    Attributes
    ----------
    core : Simulation
        State, clock and recorder; runs alone.
    population : Agents
    setup : object
    tick : int
        Steps done.
    seed : int
        The seed in use.
    datacollector : mesa.DataCollector
        Rows of tick, mark, mid, index, spread, volatility, open interest, liquidations, bad debt, fund, seed.

    Raises
    ------
    InputError
        A value out of its range, `rng` and `seed` that differ, or a scenario that does not exist.

    Notes
    -----
    Under ``mesa.batch_run`` row k is the state after k steps. For its sake, on Mesa 3.3 `running` turns
    false with the call of ``step()`` after the last step, which does nothing else.

    Other things than numbers drawn through the core come from `model.rng` and `model.random`, which are
    yours: nothing in this package draws from them.
    """

    def __init__(
        self,
        setup: Any = None,
        *,
        rng: int | None = None,
        seed: int | None = None,
        steps: int | None = None,
        step_seconds: float | None = None,
        traders: int | None = None,
        leverage_multiplier: float | None = None,
        crowding: float | None = None,
        open_interest: float | None = None,
        positions_file: str | None = None,
        depth: str | None = None,
        makers: int | None = None,
        arbitrageurs: int | None = None,
        initial_margin_rate: float | None = None,
        maintenance_margin_rate: float | None = None,
        shock: float | None = None,
        activation: str = "compiled",
        collect_every: int = 1,
        trades: bool = False,
        agent_data: bool = False,
        loop: ClosedLoop | None = None,
    ) -> None:
        number = seed_of(rng, seed)
        super().__init__(rng=number)
        if activation not in ACTIVATIONS:
            raise InputError([f"activation must be one of {', '.join(ACTIVATIONS)}, was {activation!r}"])
        self.seed = number
        self.setup = with_keywords(resolved(setup), dict(
            steps=steps, step_seconds=step_seconds, traders=traders, leverage_multiplier=leverage_multiplier,
            crowding=crowding, open_interest=open_interest, positions_file=positions_file, depth=depth, makers=makers,
            arbitrageurs=arbitrageurs, initial_margin_rate=initial_margin_rate,
            maintenance_margin_rate=maintenance_margin_rate, shock=shock,
        ))
        self.activation, self.collect_every, self.tick = activation, collect_every, 0
        self._agents_so_far = 0
        given = self.setup
        self.population = Agents(
            given.instruments, given.depth, given.background, given.makers, given.arbitrageurs, given.population,
            given.agents, given.entries, given.basis_traders, given.hedges,
        )
        self.grids = [(instrument.lot_size, instrument.tick_size) for instrument in given.instruments]
        self.atom = given.instruments[0].atom
        self._user_classes = [load_agent_class(group) for group in given.agents]
        self.datacollector = collector(collect_every, agent_data)
        self.core = Simulation(given, self.population, number, trades=trades, loop=loop)
        self._create_agents()
        self.datacollector.collect(self)

    def step(self) -> None:
        """Run one step of the venue; at the horizon nothing happens any more."""
        core = self.core
        if core.step_index >= core.n_steps:
            self.running = False
            return
        core.step()
        self.tick = core.step_index
        last = self.tick >= core.n_steps
        if last or (self.collect_every and self.tick % self.collect_every == 0):
            self.datacollector.collect(self)
        if last:
            self.running = BY_POSITION

    def run(self, steps: int | None = None) -> None:
        """Run `steps` steps, or to the horizon."""
        last = self.core.n_steps if steps is None else min(self.core.n_steps, self.tick + steps)
        while self.running and self.tick < last:
            self.step()
        if self.tick >= self.core.n_steps:
            self.running = False

    def record(self) -> RunRecord:
        """Return what the run has left behind so far, for the measures."""
        return self.core.record()

    def frame(self) -> pd.DataFrame:
        """Return all accounts as a table: one row per ledger row, money in quote, position in base."""
        core = self.core
        accounts, held = core.accounts, core.positions["lots"] * core.contracts["lot_size"]
        columns: dict[str, Any] = {"kind": [Kind.names[kind] for kind in accounts["kind"]]}
        for name in ("cash", "equity", "initial_margin", "maintenance_margin", "deposits", "outside_wealth", "fees",
                     "bad_debt"):
            columns[name] = accounts[name] * self.atom
        notional = (np.abs(held) * core.market.record["mark"]).sum(axis=1)
        columns["notional"] = notional
        with np.errstate(divide="ignore", invalid="ignore"):
            columns["leverage"] = np.where(columns["equity"] > 0, notional / columns["equity"],
                                           np.where(notional > 0, np.inf, 0.0))
        columns["status"] = accounts["status"]
        for i, instrument in enumerate(core.instruments):
            columns[f"position_{instrument.name}"] = held[:, i]
        return pd.DataFrame(columns, index=pd.RangeIndex(len(accounts), name="row"))

    # -- reported figures of the first instrument -----------------------------------------------------

    @property
    def mark(self) -> float:
        """Mark price [quote]."""
        return float(self.core.market.record["mark"][0])

    @property
    def mid(self) -> float:
        """Mid price [quote]."""
        return float(self.core.market.record["mid"][0])

    @property
    def index(self) -> float:
        """Index price [quote]."""
        return float(self.core.market.record["index"][0])

    @property
    def spread(self) -> float:
        """Spread [quote]; NaN when a side is empty."""
        return float(self.core.market.record["spread"][0])

    @property
    def volatility(self) -> float:
        """Volatility that policies read [per sqrt day]."""
        return float(self.core.market.record["volatility"][0])

    @property
    def open_interest(self) -> float:
        """Open interest [base]."""
        return float(self.core.market.record["open_interest"][0] * self.core.contracts["lot_size"][0])

    @property
    def liquidations(self) -> int:
        """Liquidation orders so far."""
        return self.core.recorder.liquidations.count

    @property
    def bad_debt(self) -> float:
        """Gross bad debt so far [quote]."""
        return float(self.core.accounts["bad_debt"].sum() * self.atom)

    @property
    def insurance_fund(self) -> float:
        """Balance of the insurance fund [quote]."""
        return float(self.core.recorder.totals["fund"][self.core.step_index])

    def register_agent(self, agent: mesa.Agent) -> None:
        """Register an agent, numbered within this model.

        Mesa 3.3 counts in a class-level dictionary whose keys are the models: no model would ever be freed.
        """
        super().register_agent(agent)
        counters = getattr(mesa.Agent, "_ids", None)
        if counters is not None:
            counters.pop(self, None)
            self._agents_so_far += 1
            agent.unique_id = self._agents_so_far

    # -- inside ---------------------------------------------------------------------------------------

    def _create_agents(self) -> None:
        """Create one Mesa agent per account, in the order of rows."""
        people, n = self.population, len(self.core.instruments)
        Liquidator(self)
        BackgroundTrader(self, BACKGROUND_ROW, 0, 0, n)
        BackgroundTrader(self, people.takers, 0, 0, 0)
        for k in range(people.arbitrageurs.count):
            Arbitrageur(self, people.first_arbitrageur + k, 1, k * n, (k + 1) * n)
        for k in range(people.makers.count):
            MarketMaker(self, people.first_maker + k, 2, k * n, (k + 1) * n)
        rows = range(people.first_trader, people.first_basis)
        edges = np.searchsorted(people.traders["account"], np.arange(rows.start, rows.stop + 1)).tolist()
        for row, first, last in zip(rows, edges, edges[1:], strict=False):
            LeveragedTrader(self, row, 3, first, last)
        for k in range(people.basis_traders.count):
            BasisTrader(self, people.first_basis + k, 4, k * n, (k + 1) * n)
        self._create_user_agents()
        if self._users or self.activation == "agents":
            people.stepper = self._step_agents
            people.driven = self.activation == "agents"

    def _create_user_agents(self) -> None:
        people = self.population
        self._users: list[UserAgent] = []
        self.user_view = UserView(people.first_user, people.n_accounts - people.first_user)
        row = people.first_user
        for group, kind in zip(people.users, self._user_classes, strict=True):
            for _ in range(group.count):
                self._users.append(kind(self, row, group.params, group.latency_us))
                row += 1
        people.user_agents = self._users
        if self._users:
            self.user_view.update(self.core, people.user_key)
            for agent in self._users:
                called(agent, "start", self.core.step_index)

    def _step_agents(self, core: Simulation) -> None:
        """Let Python agents step in the middle of the venue's step (stage 4)."""
        if self.activation == "agents":
            for agent in sorted((a for a in self.agents if isinstance(a, BuiltIn)), key=_row):
                agent.step()
        if self._users:
            self.user_view.update(core, self.population.user_key)
            for agent in self._users:
                called(agent, "step", core.step_index)


def _row(agent: Participant) -> int:
    return agent.row
