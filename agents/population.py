"""Population: which leveraged traders are there, with which positions, leverage and habits."""

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.agents.margin_response import margin_response
from spirals.agents.opening import HOLDING, LeverageLaw, apportion, complete_holdings, draw_holdings, pareto_shares
from spirals.agents.positions_file import PositionTable, read_positions
from spirals.agents.rows import TRADER, TRADER_RULE, Behaviour, Response
from spirals.simulation.contracts import Instrument
from spirals.simulation.errors import InputError
from spirals.simulation.parameters import Part, parameter, problems_of
from spirals.simulation.randomness import stream_key, uniforms

__all__ = ["Population"]

OPENING_RULE = np.dtype([
    (name, "f8") for name in (
        "law", "long_median", "short_median", "sigma", "multiplier", "entry_range", "entry_drift", "crowding",
        "neutral_share", "neutral_leverage", "isolated_share", "stop_nearest", "stop_furthest",
    )
])
SHARES = ("trend_following", "contrarian", "leverage_targeting", "stop_loss", "take_profit")


@dataclasses.dataclass(frozen=True)
class Population(Part):
    """Leveraged traders, drawn from stated distributions or read from a positions file.

    Longs and shorts are drawn separately and each add up to the open interest exactly. The default
    leverage is the fit to Hyperliquid, 15 December 2025 (PANews; lognormal, median 3.7, sigma .61). Numbers
    marked *assumption* lack good evidence and should be swept.
    """

    positions_file: str = parameter("", help="CSV: account, instrument, side, size, entry_price, collateral, mode; "
                                             "empty: drawn")
    balance: str = parameter("refuse", choices=("refuse", "background"),
                             help="a file that is not net zero: refuse it, or let the background hold the rest")
    traders: int = parameter(1000, unit="accounts", low=0, high=1_000_000)
    long_accounts: float = parameter(0.6, unit="fraction of accounts", above=0, below=1,
                                     help="more and smaller longs than shorts [assumption]")
    open_interest: float | tuple[float, ...] = parameter(6e8, unit="quote per instrument", above=0)
    size_exponent: float = parameter(1.4, above=0.2, high=10, help="Pareto tail of sizes [assumption]")
    largest_longs: tuple[float, ...] = parameter((0.04, 0.03, 0.02), unit="shares of open interest", above=0, below=1,
                                                 help="named largest accounts [assumption]")
    largest_shorts: tuple[float, ...] = parameter((0.05, 0.04, 0.03), unit="shares of open interest", above=0, below=1)
    leverage_law: str = parameter("lognormal", choices=LeverageLaw.names)
    long_leverage: float = parameter(3.7, unit="x", low=1, high=200, help="median effective leverage of longs")
    short_leverage: float = parameter(3.7, unit="x", low=1, high=200, help="the same of directional shorts")
    leverage_sigma: float = parameter(0.61, above=0, high=3, help="of the log leverage")
    round_leverages: tuple[float, ...] = parameter((5.0, 10.0, 20.0, 25.0, 50.0, 100.0), unit="x", low=1, high=200)
    leverage_multiplier: float = parameter(1.0, unit="x", above=0, high=20,
                                           help="lever on all leverage, within the limit")
    neutral_share: float = parameter(0.5, unit="fraction of shorts", low=0, high=1,
                                     help="delta-neutral, hedged outside; answer calls with money [assumption]")
    neutral_leverage: float = parameter(3.0, unit="x", low=1, high=200, help="highest leverage of these")
    entry_range: float = parameter(0.04, unit="fraction of the opening mark", low=0, below=0.9,
                                   help="half-width of entry prices before the opening [assumption]")
    entry_drift: float = parameter(0.0, unit="fraction of the opening mark", low=-0.9, high=0.9)
    crowding: float = parameter(0.3, unit="probability", low=0, high=1,
                                help="of sharing entry, leverage and stop with a crowd [assumption]")
    isolated_share: float = parameter(0.5, unit="fraction of accounts", low=0, high=1, help="[assumption]")
    wallet_share: float = parameter(0.1, unit="fraction of equity", low=0, high=10,
                                    help="free wallet of isolated accounts beside the collateral")
    outside_multiple: float = parameter(1.0, unit="x equity", low=0, high=100, help="outside wealth")
    top_up: float = parameter(0.1, unit="fraction of accounts", low=0, high=1, help="answer a near call with money")
    reduce: float = parameter(0.3, unit="fraction of accounts", low=0, high=1,
                              help="answer a near call by selling [assumption]")
    reduce_share: float = parameter(0.3, unit="fraction of the position", above=0, high=1, help="sold per reaction")
    call_hazard: float = parameter(0.01, unit="1/s", low=0, high=100,
                                   help="hazard of reacting at the call [assumption]")
    call_distance: float = parameter(0.01, unit="fraction of notional", above=0, high=1,
                                     help="e-folding distance of that hazard [assumption]")
    trend_following: float = parameter(0.1, unit="fraction of accounts", low=0, high=1, help="[assumption]")
    contrarian: float = parameter(0.1, unit="fraction of accounts", low=0, high=1, help="[assumption]")
    leverage_targeting: float = parameter(0.05, unit="fraction of accounts", low=0, high=1, help="[assumption]")
    stop_loss: float = parameter(0.15, unit="fraction of accounts", low=0, high=1, help="[assumption]")
    take_profit: float = parameter(0.2, unit="fraction of accounts", low=0, high=1, help="[assumption]")
    stop_nearest: float = parameter(0.02, unit="log distance", above=0, below=1, help="of stop-loss and take-profit")
    stop_furthest: float = parameter(0.15, unit="log distance", above=0, below=1)
    horizon_seconds: float = parameter(1800.0, unit="s", above=0, high=1e7, help="median memory and pace of traders")
    order_rate: float = parameter(0.0002, unit="1/s", low=0, high=1000, help="orders of their own accord, each")
    order_kind: str = parameter("ioc", choices=("ioc", "limit"),
                                help="limit: one resting order each, replaced at the order rate")
    order_share: float = parameter(0.02, unit="fraction of the opening position", above=0, high=1)
    order_cap: float = parameter(0.2, unit="x depth within 10 bp", above=0, high=1000,
                                 help="largest order of its own")
    order_distance: float = parameter(0.0005, unit="log distance", low=0, high=0.1, help="mean, of limit orders")
    inventory_units: float = parameter(6.0, unit="orders", above=0, high=1e6,
                                       help="own trading keeps the position within so many orders of the opening")
    trend_threshold: float = parameter(1.0, unit="standard deviations", low=0, high=100)
    leverage_band: float = parameter(0.25, unit="fraction", low=0, high=10, help="deviation from target tolerated")
    reentry_rate: float = parameter(0.0, unit="1/s", low=0, high=1, help="return of traders who are out of the market")
    band: float = parameter(0.02, unit="log distance", above=0, high=0.5, help="marketable orders trade no further")
    opening_book: str = parameter("given", choices=("given", "adapted"),
                                  help="adapted: directional traders chose leverage by the margin offered")
    reference_margin: float = parameter(0.02, unit="fraction of notional", above=0, high=1,
                                        help="initial rate at which adapted and elastic traders are as stated")
    leverage_elasticity: float = parameter(1.0, low=0, high=5, help="adapted: of opening leverage in the leverage "
                                                                    "offered, 1 / initial rate [assumption]")
    entry_elasticity: float = parameter(0.0, low=0, high=5, help="of opening open interest, own orders and arrivals "
                                                                 "in the leverage offered; 0: tighter is free")

    def problems(self) -> list[str]:
        found = problems_of(self)
        if found:
            return found
        for name in ("largest_longs", "largest_shorts"):
            if math.fsum(getattr(self, name)) >= 1.0:
                found.append(f"{name} must add up to less than 1, was {math.fsum(getattr(self, name)):g}")
        behaviours = math.fsum(getattr(self, name) for name in SHARES)
        if behaviours > 1.0:
            found.append(f"{', '.join(SHARES)} must add up to at most 1, was {behaviours:g}")
        if self.top_up + self.reduce > 1.0:
            found.append(f"top_up and reduce must add up to at most 1, was {self.top_up + self.reduce:g}")
        if self.stop_nearest > self.stop_furthest:
            found.append(f"stop_nearest must not exceed stop_furthest ({self.stop_furthest:g}), "
                         f"was {self.stop_nearest:g}")
        if self.leverage_law == "round" and not self.round_leverages:
            found.append("round_leverages must name at least one leverage")
        if not self.positions_file and self.traders == 1:
            found.append("traders must be 0 or at least 2 (one long and one short), was 1")
        return found

    def table(self, instruments: tuple[Instrument, ...]) -> PositionTable | None:
        """Return the content of the positions file; None when positions are drawn."""
        return read_positions(self.positions_file, instruments, self.balance) if self.positions_file else None

    def completed(self, table: PositionTable, seed: int, record: Any, contracts: Any) -> NDArray[Any]:
        """Return the holdings of a positions file with equity, leverage and habits filled in."""
        rows = table.holdings.copy()
        key = stream_key(seed, "population.opening")
        complete_holdings(key, self.opening_rule()[0], record, contracts, table.collateral, rows)
        return rows

    def interest_lots(self, record: Any, contracts: Any, requirement: Any) -> list[int]:
        """Return the open interest of every instrument [lots], as it responds to the margin offered."""
        found = []
        for i in range(len(record)):
            interest = self.open_interest if isinstance(self.open_interest, int | float) else self.open_interest[i]
            offered = float(requirement[i, 0]["initial_rate"])
            interest *= margin_response(self.reference_margin, offered, self.entry_elasticity)
            found.append(round(interest / (float(record[i]["mark"]) * float(contracts[i]["lot_size"]))))
        return found

    def holdings(
        self, seed: int, record: Any, contracts: Any, requirement: Any, others_short: list[int] | None = None
    ) -> NDArray[Any]:
        """Draw the opening positions.

        Parameters
        ----------
        seed : int
        record : ndarray of shape (n_instruments,), MARKET
            Opening market; only marks are read.
        contracts : ndarray of shape (n_instruments,), CONTRACT
        requirement : ndarray of shape (n_instruments, n_brackets), REQUIREMENT
        others_short : list of int, optional
            [lots] Part of the short side that others hold, per instrument.

        Returns
        -------
        ndarray of HOLDING
            One row per trader; traders are dealt to the instruments in turn.
        """
        key = stream_key(seed, "population.opening")
        total, others = self.interest_lots(record, contracts, requirement), others_short or [0] * len(record)
        parts = [self._holdings_in(i, len(record), key, record, contracts, requirement, total[i], others[i])
                 for i in range(len(record))]
        rows = np.concatenate(parts)
        return rows[np.argsort(rows["account"], kind="stable")]

    def _holdings_in(
        self, i: int, n: int, key: Any, record: Any, contracts: Any, requirement: Any, total: int, others_short: int
    ) -> NDArray[Any]:
        accounts = list(range(i, self.traders, n))
        rows = np.zeros(len(accounts), HOLDING)
        if not accounts:
            return rows
        mark, contract = float(record[i]["mark"]), contracts[i]
        longs = min(max(round(self.long_accounts * len(accounts)), 1), len(accounts) - 1)
        if len(accounts) < 2 or total < longs or total - others_short < len(accounts) - longs:
            raise InputError([f"Population: instrument {i} must have at least two traders and one lot per trader, has "
                              f"{len(accounts)} traders and {total} lots"])
        rows["account"], rows["instrument"] = accounts, i
        for side, part, largest in ((1, slice(0, longs), self.largest_longs),
                                    (-1, slice(longs, None), self.largest_shorts)):
            draws = [uniforms(key, 0, account, 0)[0] for account in accounts[part]]
            shares = pareto_shares(draws, self.size_exponent, largest)
            rows["lots"][part] = side * apportion(shares, total if side > 0 else total - others_short)
        rounds = np.array(sorted(self.round_leverages), np.float64)
        offered = float(requirement[i, 0]["initial_rate"])
        draw_holdings(key, self.opening_rule(offered)[0], rounds, mark, contract, requirement[i], rows)
        return rows

    def opening_rule(self, offered: float = 0.0) -> NDArray[Any]:
        """Return what the draws of leverage and habits need, as one row.

        `offered` is the initial margin rate of the first bracket. An adapted book multiplies leverage by
        ``(reference / offered)^elasticity``; the multiplier acts on the *use* of the limit, so that
        tighter margin moves the whole distribution and piles nobody up at the limit.
        """
        chosen = self.leverage_multiplier
        if self.opening_book == "adapted" and offered > 0.0:
            chosen *= margin_response(self.reference_margin, offered, self.leverage_elasticity)
        row = np.zeros(1, OPENING_RULE)
        row[0] = (
            LeverageLaw.names.index(self.leverage_law), self.long_leverage, self.short_leverage, self.leverage_sigma,
            chosen, self.entry_range, self.entry_drift, self.crowding, self.neutral_share,
            self.neutral_leverage, self.isolated_share, self.stop_nearest, self.stop_furthest,
        )
        return row

    def rule(self) -> NDArray[Any]:
        """Return the parameters common to all traders as one TRADER_RULE row."""
        row = np.zeros(1, TRADER_RULE)
        row[0] = (
            self.call_distance, self.reduce_share, self.order_distance, self.band, self.trend_threshold,
            self.leverage_band, self.reentry_rate, float(self.order_kind == "limit"), self.inventory_units, 1.0,
        )
        return row

    def trader_rows(
        self, holdings: NDArray[Any], marks: NDArray[np.float64], near_lots: list[float], first_row: int
    ) -> NDArray[Any]:
        """Return TRADER rows: habits drawn from the uniforms of each holding.

        `near_lots` is the depth within 10 bp of each instrument [lots].
        """
        rows = np.zeros(len(holdings), TRADER)
        for row, holding in zip(rows, holdings, strict=True):
            behaviour, response, horizon, pace = (float(u) for u in holding["uniforms"])
            lots = int(holding["lots"])
            row["account"], row["instrument"] = first_row + int(holding["account"]), holding["instrument"]
            cap = self.order_cap * near_lots[holding["instrument"]]
            row["home_lots"], row["unit_lots"] = lots, max(1, round(min(self.order_share * abs(lots), cap)))
            row["target_leverage"], row["hedged"] = holding["leverage"], holding["hedged"]
            row["horizon"] = self.horizon_seconds * 4.0 ** (2.0 * horizon - 1.0)
            row["order_rate"] = self.order_rate * (0.5 + pace) if self.order_rate < 1.0 else self.order_rate
            row["call_hazard"] = self.call_hazard
            if holding["hedged"]:  # its other leg gains what this one loses: it tops up, it does not sell
                row["response"] = Response.TOP_UP
                continue
            row["behaviour"] = self._behaviour(behaviour)
            row["response"] = (Response.TOP_UP if response < self.top_up
                               else Response.REDUCE if response < self.top_up + self.reduce else Response.NOTHING)
            if row["behaviour"] in (Behaviour.STOP_LOSS, Behaviour.TAKE_PROFIT):
                away = lots if row["behaviour"] == Behaviour.TAKE_PROFIT else -lots
                mark = float(marks[holding["instrument"]])
                row["exit_price"] = mark * math.exp(math.copysign(float(holding["stop_distance"]), away))
        return rows

    def _behaviour(self, u: float) -> int:
        for name in SHARES:
            share = getattr(self, name)
            if u < share:
                return Behaviour.names.index(name)
            u -= share
        return Behaviour.PASSIVE
