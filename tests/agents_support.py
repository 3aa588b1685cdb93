"""Small runs and hand-made rows for the tests of agents."""

import dataclasses
from typing import Any

import numpy as np

from spirals.agents.groups import Agents
from spirals.agents.population import Population
from spirals.agents.rows import TRADER, TRADER_RULE
from spirals.agents.setup import Setup
from spirals.simulation.accounts.ledger import check_identities
from spirals.simulation.contracts import Instrument, contracts_of
from spirals.simulation.engine import Engine
from spirals.simulation.simulation import Simulation
from spirals.simulation.state import ACCOUNT, MARKET, ORDER, POSITION, REQUIREMENT

BTC = Instrument()   # tick .5, lot .001, atom 1e-6: one lot at 10 000 is worth 10 quote, 10^7 atoms


def simulate(seed: int = 1, steps: int = 0, **parts: Any) -> Simulation:
    """Return a core after `steps` steps, identities checked in every one."""
    parts.setdefault("population", Population(traders=60))
    parts.setdefault("engine", Engine(check_identities=True))
    setup = dataclasses.replace(Setup(), **{"steps": max(steps, 1), **parts})
    people = Agents(setup.instruments, setup.depth, setup.background, setup.makers, setup.arbitrageurs,
                    setup.population, setup.agents, setup.entries, setup.basis_traders, setup.hedges)
    core = Simulation(setup, people, seed)
    check_identities(core.accounts, core.positions)
    core.run(steps)
    return core


class Desk:
    """One actor's view, made by hand: a ledger row, a position, a market, a contract and a requirement."""

    def __init__(self, *, lots: int = 0, entry: float = 10000.0, cash: float = 0.0, price: float = 10000.0,
                 initial: float = 0.1, maintenance: float = 0.05) -> None:
        self.contracts = contracts_of((BTC,))
        self.market = np.zeros(1, MARKET)
        for name in ("exogenous", "index", "oracle", "mark", "mid", "last"):
            self.market[name] = price
        self.market["best_bid"] = self.market["best_ask"] = np.nan
        self.market["volatility"] = 0.0314
        self.accounts = np.zeros(1, ACCOUNT)
        self.positions = np.zeros((1, 1), POSITION)
        self.accounts["transfer_step"] = -1
        self.accounts["cash"] = round(cash / BTC.atom)
        self.positions["lots"] = lots
        self.positions["cost"] = lots * round(entry / BTC.tick_size) * BTC.atoms_per_tick_lot
        self.requirement = np.zeros((1, 1), REQUIREMENT)
        self.requirement["initial_rate"], self.requirement["maintenance_rate"] = initial, maintenance
        self.orders = np.zeros(64, ORDER)
        self.owners = np.zeros(64, np.int32)
        self.mark(price)

    def mark(self, price: float) -> None:
        """Move all prices and value the account as stage 3 does."""
        for name in ("index", "mark", "mid"):
            self.market[name] = price
        lots = int(self.positions["lots"][0, 0])
        value = round(lots * price * BTC.lot_size / BTC.atom)
        held = self.positions[0, 0]
        self.accounts["equity"] = self.accounts["cash"] + int(held["collateral"]) + value - int(held["cost"])
        self.accounts["maintenance_margin"] = round(abs(value) * float(self.requirement["maintenance_rate"][0, 0]))


def trader(**values: Any) -> np.ndarray:
    """Return one TRADER row with the given columns."""
    row = np.zeros(1, TRADER)
    row["unit_lots"], row["target_leverage"], row["horizon"] = 1, 5.0, 100.0
    for name, value in values.items():
        row[name] = value
    return row


def trader_rule_row(**values: Any) -> np.ndarray:
    """Return one TRADER_RULE row with the given columns."""
    row = np.zeros(1, TRADER_RULE)
    row["call_distance"], row["reduce_share"], row["band"], row["inventory_units"] = 0.01, 0.3, 0.02, 5.0
    row["leverage_band"], row["activity"] = 0.1, 1.0
    for name, value in values.items():
        row[name] = value
    return row
