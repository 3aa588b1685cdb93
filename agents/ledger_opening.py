"""Opening money and positions, written into the ledger so that the money identity holds exactly.

Positions were entered at past prices, so ``sum(cost)`` is not zero at the opening. The difference is
profit that the traders' counterparties realised before the run: it is booked to the cash of the
background row, not to its deposits, and then ``sum(cash) + sum(collateral) - sum(cost) = sum(deposits)``.
"""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.state import BACKGROUND_ROW, Mode

__all__ = ["Opening", "open_ledger"]


@dataclasses.dataclass(frozen=True)
class Opening:
    """What the other agents need to know of the opening.

    Attributes
    ----------
    holdings : ndarray of HOLDING
    open_interest : list of float
        [quote] Per instrument; without traders the one the population would have.
    interest_lots : list of int
        The same [lots].
    arbitrageur_capital : float
        [quote] Of each arbitrageur.
    """

    holdings: NDArray[Any]
    open_interest: list[float]
    interest_lots: list[int]
    arbitrageur_capital: float


def open_ledger(agents: Any, simulation: Any) -> Opening:
    """Write kinds, money and positions of all agents; return the :class:`Opening`."""
    accounts, positions = simulation.accounts, simulation.positions
    record, contracts = simulation.market.record, simulation.contracts
    atom = float(contracts[0]["atom"])
    accounts["kind"][agents.takers:] = agents.kinds()
    accounts["margined"][agents.first_arbitrageur:] = 1
    holdings = _holdings(agents, simulation)
    _write_holdings(agents, holdings, accounts, positions, record, contracts, simulation.margin.table)
    interest = _open_interest(agents, positions, record, contracts)
    total = sum(interest)
    capital = agents.arbitrageurs.capital or agents.arbitrageurs.capital_share * total
    _deposit(accounts, agents.first_arbitrageur, agents.first_maker, capital, atom)
    _deposit(accounts, agents.first_maker, agents.first_trader,
             agents.makers.capital or agents.makers.capital_share * total, atom)
    row = agents.first_user
    for user in agents.users:
        _deposit(accounts, row, row + user.count, user.capital, atom)
        row += user.count
    if agents.positions_table is not None:
        _balance(agents.positions_table.surplus, positions, record, contracts)
    accounts[BACKGROUND_ROW]["cash"] += int(positions["cost"].sum())
    lots = [round(amount / float(record[i]["mark"] * contracts[i]["lot_size"])) for i, amount in enumerate(interest)]
    return Opening(holdings, interest, lots, capital)


def _holdings(agents: Any, simulation: Any) -> NDArray[Any]:
    """Return the traders' holdings; basis traders open first and take their part of the shorts."""
    population, table, record = agents.population, agents.positions_table, simulation.market.record
    if table is not None:
        return population.completed(table, simulation.seed, record, simulation.contracts)
    total = population.interest_lots(record, simulation.contracts, simulation.margin.table)
    taken = _open_basis_traders(agents, total, simulation)
    return population.holdings(simulation.seed, record, simulation.contracts, simulation.margin.table, taken)


def _open_basis_traders(agents: Any, interest_lots: list[int], simulation: Any) -> list[int]:
    """Write money and shorts of the basis traders, entered at the opening mark; return their lots per instrument."""
    part, first = agents.basis_traders, agents.first_basis
    if part.count == 0 or agents.population.traders == 0:
        return [0] * len(interest_lots)
    accounts, positions, contracts = simulation.accounts, simulation.positions, simulation.contracts
    for i, interest in enumerate(interest_lots):
        contract, mark = contracts[i], float(simulation.market.record[i]["mark"])
        ticks = round(mark / float(contract["tick_size"]))
        for k, lots in enumerate(part.opening_lots(interest)):
            row = positions[first + k, i]
            row["lots"], row["cost"] = -lots, -lots * ticks * int(contract["atoms_per_tick_lot"])
            row["entry_rate"] = simulation.margin.table[i, 0]["maintenance_rate"]
            equity = round(lots * mark * float(contract["lot_value"]) / part.leverage)
            accounts[first + k]["cash"] += equity
            accounts[first + k]["deposits"] += equity
            accounts[first + k]["outside_wealth"] += round(part.outside_multiple * equity)
    return [sum(part.opening_lots(interest)) for interest in interest_lots]


def _write_holdings(
    agents: Any, holdings: NDArray[Any], accounts: NDArray[Any], positions: NDArray[Any], record: NDArray[Any],
    contracts: NDArray[Any], requirement: NDArray[Any],
) -> None:
    population = agents.population
    rows = agents.first_trader + holdings["account"]
    columns = holdings["instrument"]
    atom = contracts["atom"][0]
    lots = holdings["lots"]
    cost = lots * holdings["entry_ticks"] * contracts["atoms_per_tick_lot"][columns]
    value = np.floor(lots * (record["mark"] * contracts["lot_value"])[columns] + 0.5).astype(np.int64)
    equity = np.floor(holdings["equity"] / atom + 0.5).astype(np.int64)
    money = equity - (value - cost)
    if agents.positions_table is not None:
        money = np.floor(agents.positions_table.collateral / atom + 0.5).astype(np.int64)
    isolated = holdings["isolated"] == 1
    wallet = np.where(isolated & (agents.positions_table is None),
                      np.floor(population.wallet_share * equity + 0.5), 0).astype(np.int64)
    positions["lots"][rows, columns] = lots
    positions["cost"][rows, columns] = cost
    positions["entry_rate"][rows, columns] = requirement[columns, 0]["maintenance_rate"]
    positions["collateral"][rows, columns] = np.where(isolated, money, 0)
    np.add.at(accounts["cash"], rows, np.where(isolated, wallet, money))
    np.add.at(accounts["deposits"], rows, money + wallet)
    np.add.at(accounts["outside_wealth"], rows,
              np.floor(population.outside_multiple * np.maximum(equity, 0) + 0.5).astype(np.int64))
    accounts["mode"][rows] = np.where(isolated, Mode.ISOLATED, Mode.CROSS)


def _deposit(accounts: NDArray[Any], first: int, last: int, amount: float, atom: float) -> None:
    atoms = round(amount / atom)
    accounts["cash"][first:last] = atoms
    accounts["deposits"][first:last] = atoms


def _balance(
    surplus: NDArray[np.int64], positions: NDArray[Any], record: NDArray[Any], contracts: NDArray[Any]
) -> None:
    """Let the background hold the other side of what a file leaves open, entered at the opening mark."""
    for i, lots in enumerate(surplus):
        if lots:
            ticks = round(float(record[i]["mark"]) / float(contracts[i]["tick_size"]))
            positions[BACKGROUND_ROW, i]["lots"] = -lots
            positions[BACKGROUND_ROW, i]["cost"] = -int(lots) * ticks * int(contracts[i]["atoms_per_tick_lot"])


def _open_interest(agents: Any, positions: NDArray[Any], record: NDArray[Any], contracts: NDArray[Any]) -> list[float]:
    """Return the open interest per instrument [quote], before balancing."""
    found = []
    for i in range(len(record)):
        lots = positions["lots"][:, i]
        held = max(int(lots[lots > 0].sum()), -int(lots[lots < 0].sum()))
        nominal = agents.population.open_interest
        nominal = nominal if isinstance(nominal, int | float) else nominal[i]
        found.append(held * float(record[i]["mark"] * contracts[i]["lot_size"]) if held else float(nominal))
    return found
