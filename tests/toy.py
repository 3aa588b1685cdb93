"""A population for tests of the venue alone: random accounts that send every kind of order."""

import types
from typing import Any

import numpy as np

from spirals.simulation.accounts.margin_calls import MarginCalls
from spirals.simulation.contracts import Instrument
from spirals.simulation.engine import Engine
from spirals.simulation.liquidation.mechanism import LiquidationMechanism
from spirals.simulation.liquidation.waterfall import LossWaterfall
from spirals.simulation.margin.static import Static
from spirals.simulation.market.funding import Funding
from spirals.simulation.market.geometric_brownian import GeometricBrownian
from spirals.simulation.market.price_feed import PriceFeed
from spirals.simulation.market.volatility import VolatilityEstimator
from spirals.simulation.randomness import generator
from spirals.simulation.state import BACKGROUND_ROW, FIRST_ROW, Cause, Kind, Mode, OrderKind

BTC = Instrument(tick_size=1.0, lot_size=0.01, atom=1e-4, max_price=4000.0)


class ToyPopulation:
    """`n` margined accounts with random leverage; background orders around the mark."""

    def __init__(self, n: int, n_instruments: int = 1, *, seed: int = 0, depth: int = 20, busy: float = 0.3,
                 leverage: float = 20.0, isolated: float = 0.3, background_lots: int = 400) -> None:
        self.n_accounts = FIRST_ROW + n
        self.max_orders = 2 * n + 2 * depth * n_instruments + n_instruments
        self.top_up_requests = np.zeros(self.n_accounts, np.int64)
        self.n, self.m, self.seed, self.depth, self.busy = n, n_instruments, seed, depth, busy
        self.leverage, self.isolated, self.background_lots = leverage, isolated, background_lots
        self.last_ids = np.full((self.n_accounts, n_instruments), -1, np.int64)

    def open(self, simulation: Any) -> None:
        rng = generator(self.seed, "toy.open")
        accounts, positions = simulation.accounts, simulation.positions
        lot_value = simulation.contracts["lot_value"]
        mark = simulation.market.record["mark"]
        traders = slice(FIRST_ROW, None)
        accounts["kind"][traders] = Kind.TRADER
        accounts["margined"][traders] = 1
        accounts["mode"][traders] = np.where(rng.random(self.n) < self.isolated, Mode.ISOLATED, Mode.CROSS)
        accounts["outside_wealth"][traders] = 10**9
        lots = rng.integers(-500, 501, size=(self.n, self.m))
        for i in range(self.m):
            ticks = rng.integers(int(mark[i] * 0.97), int(mark[i] * 1.03) + 1, self.n)
            costs = lots[:, i] * ticks * int(simulation.contracts["atoms_per_tick_lot"][i])
            positions["lots"][traders, i] = lots[:, i]
            positions["cost"][traders, i] = costs
            positions["lots"][BACKGROUND_ROW, i] -= lots[:, i].sum()
            positions["cost"][BACKGROUND_ROW, i] -= costs.sum()
        notional = np.abs(lots * mark * lot_value).sum(axis=1)
        leverage = rng.uniform(2.0, self.leverage, self.n)
        pnl = np.rint(lots * mark * lot_value).astype(np.int64).sum(axis=1) - positions["cost"][traders].sum(axis=1)
        money = np.maximum(np.rint(notional / leverage).astype(np.int64) - pnl, 10_000)
        accounts["deposits"][traders] = money
        for k in range(self.n):
            row = FIRST_ROW + k
            if accounts[row]["mode"] == Mode.ISOLATED:
                positions["collateral"][row] = money[k] // self.m
                accounts["cash"][row] = money[k] - int(positions["collateral"][row].sum())
            else:
                accounts["cash"][row] = money[k]

    def decide(self, simulation: Any, orders: np.ndarray) -> int:
        step = simulation.step_index
        rng = generator(self.seed, "toy.decide", step)
        record = simulation.market.record
        n = 0

        def add(account: int, instrument: int, kind: int, side: int, ticks: int, lots: int, **more: int) -> None:
            nonlocal n
            row = orders[n]
            row["target"], row["event"] = more.get("target", -1), -1
            row["lots"], row["account"], row["instrument"] = lots, account, instrument
            row["price_ticks"], row["kind"], row["side"] = max(ticks, 0), kind, side
            row["arrival"] = more.get("arrival", 0)
            row["reduce_only"], row["cause"] = more.get("reduce_only", 0), more.get("cause", Cause.VOLUNTARY)
            row["origin"], row["status"], row["reason"], row["round"], row["pad"] = Kind.TRADER, 0, 0, 0, 0
            row["order_id"], row["filled_lots"], row["resting_lots"] = -1, 0, 0
            n += 1

        for i in range(self.m):
            mid = int(record[i]["index"] / simulation.contracts[i]["tick_size"])
            add(BACKGROUND_ROW, i, OrderKind.CANCEL_ALL, 0, 0, 0)
            for level in range(1, self.depth + 1):
                for side in (-1, 1):
                    add(BACKGROUND_ROW, i, OrderKind.LIMIT, side, mid - side * level * 2,
                        int(rng.integers(1, self.background_lots)), arrival=1)
        for k in np.flatnonzero(rng.random(self.n) < self.busy):
            account, i = FIRST_ROW + int(k), int(rng.integers(self.m))
            kind = int(rng.choice([OrderKind.LIMIT, OrderKind.MARKET, OrderKind.IOC, OrderKind.POST_ONLY,
                                   OrderKind.CANCEL, OrderKind.REPLACE, OrderKind.CANCEL_ALL]))
            side = int(rng.choice([-1, 1]))
            ticks = int(record[i]["mark"] / simulation.contracts[i]["tick_size"]) + int(rng.integers(-20, 21))
            cause = int(rng.choice([0, 0, 0, Cause.CALL_RESPONSE, Cause.STOP_LOSS, Cause.LEVERAGE_TARGET]))
            add(account, i, kind, side, ticks, int(rng.integers(0, 800)), reduce_only=int(rng.random() < 0.3),
                target=int(self.last_ids[account, i]), arrival=int(rng.integers(0, 900_000)), cause=cause)
        asking = rng.random(self.n) < 0.02
        self.top_up_requests[FIRST_ROW:][asking] = rng.integers(1, 10**6, int(asking.sum()))
        return n

    def after_trading(self, simulation: Any, orders: np.ndarray) -> None:
        resting = orders[orders["resting_lots"] > 0]
        self.last_ids[resting["account"], resting["instrument"]] = resting["order_id"]

    def arrays(self) -> dict[str, np.ndarray]:
        return {"last_ids": self.last_ids, "top_up_requests": self.top_up_requests}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        np.copyto(self.last_ids, arrays["last_ids"])
        np.copyto(self.top_up_requests, arrays["top_up_requests"])


def toy_setup(**parts: Any) -> Any:
    """The parts of a run with small defaults; any of them can be given."""
    setup = dict(
        instruments=(BTC,), outside_world=GeometricBrownian(price=1000.0, volatility=8.0), shocks=(),
        price_feed=PriceFeed(), volatility=VolatilityEstimator(), funding=Funding(), margin=Static(0.05, 0.02),
        margin_calls=MarginCalls(), liquidation=LiquidationMechanism(), waterfall=LossWaterfall(),
        engine=Engine(check_identities=True), steps=200, step_seconds=1.0, opening_seconds=0.0,
    )
    setup.update(parts)
    return types.SimpleNamespace(**setup)
