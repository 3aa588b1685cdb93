"""A controlled market for laws: real book, ledger and liquidation engine around accounts with chosen thresholds.

No maker, no arbitrageur, no outside world that follows: one bid of `lots_per_tick` lots rests at every tick, so that
selling ``x lots_per_tick`` lots moves the price by x ticks, and the mark is the last trade. The ladder either stands
still (impact for good) or is put anew in every step, where the impact that is left has decayed by `keep`. With
``side=BUY`` everything is mirrored: shorts with thresholds above, and a ladder of asks that sells to them. Scripted
orders (probes) go through the outsider.
"""

import dataclasses
import types
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.accounts.margin_calls import MarginCalls
from spirals.simulation.contracts import Instrument
from spirals.simulation.engine import TWINS, Engine
from spirals.simulation.liquidation.mechanism import LiquidationMechanism
from spirals.simulation.liquidation.waterfall import LossWaterfall
from spirals.simulation.margin.policy import MarginPolicy
from spirals.simulation.margin.requirement import MarginRequirement
from spirals.simulation.margin.static import Static
from spirals.simulation.market.constant import ConstantPrice
from spirals.simulation.market.funding import Funding
from spirals.simulation.market.price_feed import PriceFeed
from spirals.simulation.market.view import MarketState
from spirals.simulation.market.volatility import VolatilityEstimator
from spirals.simulation.open_loop import ClosedLoop
from spirals.simulation.parameters import parameter
from spirals.simulation.simulation import Simulation
from spirals.simulation.state import BACKGROUND_ROW, BUY, FIRST_ROW, SELL, Cause, Kind, OrderKind

__all__ = ["OPENING_TICKS", "LadderMarket", "MarginByPrice", "controlled", "opened"]

OPENING_TICKS = 100_000
CONTRACT = Instrument(tick_size=1.0, lot_size=1.0, atom=1e-3, max_price=2.0 * OPENING_TICKS,
                      maker_fee_rate=0.0, taker_fee_rate=0.0)


@dataclasses.dataclass(frozen=True)
class MarginByPrice(MarginPolicy):
    """Maintenance rate ``m (opening / mark) ** e``: it rises by e per cent when the price falls by one."""

    maintenance: float = parameter(0.015, above=0, high=0.5, help="m, at the opening price")
    elasticity: float = parameter(0.0, low=-100, high=100, help="e = -d ln m / d ln p")

    def update(self, state: Any, market: MarketState) -> tuple[Any, MarginRequirement]:
        rate = np.minimum(self.maintenance * (OPENING_TICKS / market.mark) ** self.elasticity, 0.99)
        return state, MarginRequirement(np.minimum(2.0 * rate, 1.0), rate)


class LadderMarket:
    """Longs with given liquidation thresholds, and the ladder that buys what they must sell.

    Parameters
    ----------
    thresholds : ndarray of shape (n,)
        [ticks] Mark at which each account is liquidated at the opening maintenance rate: below the opening for longs,
        above it for shorts.
    lots : int
        [lots] Position of each.
    maintenance : float
        [fraction of notional]
    lots_per_tick : int
    levels : int
        Ticks that the ladder reaches down.
    sale : int
        [lots] Sold by an outsider at once: the exogenous shock as an order.
    sale_steps : int
        With more than 1 the outsider sells that much in every second step up to this one, so that what it sets off
        is sold while it waits.
    fall : ndarray of shape (n_steps + 1,), optional
        [ticks] Exogenous fall of the place where the ladder stands, by step; with it the ladder is renewed.
    keep : float
        [fraction] What a step leaves of the impact when the ladder is renewed; 1: no refill.
    side : int
        What the accounts must do when liquidated: SELL (longs) or BUY (shorts; the ladder stands still).
    """

    def __init__(
        self, thresholds: NDArray[np.float64], lots: int, maintenance: float, lots_per_tick: int, levels: int, *,
        sale: int = 0, sale_steps: int = 1, fall: NDArray[np.float64] | None = None, keep: float = 1.0,
        side: int = SELL,
    ) -> None:
        if side == BUY and (sale or fall is not None):
            raise ValueError("the mirrored ladder stands still: side=BUY goes without sale and fall")
        self.side = side
        self.thresholds, self.lots, self.maintenance = np.asarray(thresholds), lots, maintenance
        self.lots_per_tick, self.levels, self.fall, self.keep = lots_per_tick, levels, fall, keep
        self.sale, self.sale_steps = sale, sale_steps
        self.outsider = FIRST_ROW + len(self.thresholds)
        self.n_accounts = self.outsider + 1
        self.max_orders = levels + 4
        self.top_up_requests = np.zeros(self.n_accounts, np.int64)
        self.impact = np.zeros(1)
        self.bought = np.zeros(1, np.int64)

    def open(self, simulation: Simulation) -> None:
        """Write money and positions; the background holds the other side."""
        value = int(simulation.contracts["atoms_per_tick_lot"][0])
        longs = slice(FIRST_ROW, self.outsider)
        accounts, positions = simulation.accounts, simulation.positions
        accounts["kind"][longs], accounts["margined"][longs] = Kind.TRADER, 1
        due = self.thresholds * (1.0 + self.side * self.maintenance)
        money = -self.side * self.lots * value * (OPENING_TICKS - due)
        accounts["cash"][longs] = accounts["deposits"][longs] = np.rint(money).astype(np.int64)
        positions["lots"][longs, 0] = -self.side * self.lots
        positions["cost"][longs, 0] = -self.side * self.lots * OPENING_TICKS * value
        accounts["kind"][self.outsider] = Kind.USER
        total = -self.side * self.lots * len(self.thresholds)
        positions["lots"][BACKGROUND_ROW, 0] = -total
        positions["cost"][BACKGROUND_ROW, 0] = -total * OPENING_TICKS * value
        self.bought[0] = -total

    def decide(self, simulation: Simulation, orders: NDArray[Any]) -> int:
        """Put the ladder where it belongs, print its top, and sell for the outsider in the first steps."""
        step, n = simulation.step_index, 0
        if self.fall is not None or step == 0:
            n = self._renew(simulation, orders)
        if 1 <= step <= self.sale_steps and step % 2 and self.sale:
            _write(orders[n:n + 1], self.outsider, OrderKind.IOC, SELL, 1, self.sale, 2_000)
            n += 1
        scripted = float(simulation.market.flow_notional[0])
        if scripted:
            size = simulation.contracts[0]["atom"] * simulation.contracts[0]["atoms_per_tick_lot"]
            lots = round(abs(scripted) / (float(simulation.market.record["mark"][0]) * size))
            _write(orders[n:n + 1], self.outsider, OrderKind.IOC, BUY if scripted > 0.0 else SELL,
                   2 * OPENING_TICKS - 1 if scripted > 0.0 else 1, lots, 2_000)
            n += 1
        return n

    def _renew(self, simulation: Simulation, orders: NDArray[Any]) -> int:
        step, held = simulation.step_index, int(simulation.positions["lots"][BACKGROUND_ROW, 0])
        sold = max(held - int(self.bought[0]) - (step > 0), 0)   # less the printed lot of the last step
        self.bought[0] = held
        self.impact[0] = (self.impact[0] + sold / self.lots_per_tick) * self.keep
        exogenous = 0.0 if self.fall is None else float(self.fall[step])
        top = round(OPENING_TICKS - exogenous - float(self.impact[0]))
        _write(orders[:1], BACKGROUND_ROW, OrderKind.CANCEL_ALL, 0, 0, 0, 0)
        ladder = orders[1:self.levels + 2]
        _write(ladder, BACKGROUND_ROW, OrderKind.LIMIT, -self.side,
               top + self.side * np.arange(self.levels + 1), self.lots_per_tick, 0)
        ladder["lots"][0] = 1                                    # the printed lot: then the last trade is the top
        _write(orders[self.levels + 2:self.levels + 3], self.outsider, OrderKind.IOC, self.side, top, 1, 1_000)
        return self.levels + 3

    def after_trading(self, simulation: Simulation, orders: NDArray[Any]) -> None:
        """Nothing to learn."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the state by name."""
        return {"impact": self.impact, "bought": self.bought, "top_up_requests": self.top_up_requests}

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Continue from saved arrays."""
        for name, array in self.arrays().items():
            np.copyto(array, arrays[name])


def controlled(
    people: LadderMarket, steps: int, *, seed: int = 1, margin: MarginPolicy | None = None, max_rounds: int = 1000,
    price_feed: PriceFeed | None = None, twin: str = "", loop: ClosedLoop | None = None, trades: bool = False,
) -> Simulation:
    """Return a finished run of the controlled market: its mark is the last trade unless `price_feed` says otherwise.

    `twin` names a twin of it; `loop` and `trades` as of :class:`~spirals.simulation.simulation.Simulation`.
    """
    simulation = opened(people, steps, seed=seed, margin=margin, max_rounds=max_rounds, price_feed=price_feed,
                        twin=twin, loop=loop, trades=trades)
    simulation.run()
    return simulation


def opened(
    people: LadderMarket, steps: int, *, seed: int = 1, margin: MarginPolicy | None = None, max_rounds: int = 1000,
    price_feed: PriceFeed | None = None, twin: str = "", loop: ClosedLoop | None = None, trades: bool = False,
) -> Simulation:
    """Return the controlled market at its opening; parameters as of :func:`controlled`."""
    switches: Any = TWINS[twin][1] if twin else {}
    rate = people.maintenance
    setup = types.SimpleNamespace(
        instruments=(CONTRACT,), outside_world=ConstantPrice(float(OPENING_TICKS)), shocks=(),
        price_feed=price_feed or PriceFeed(mark="last", index_feedback=0.0), volatility=VolatilityEstimator(),
        funding=Funding(kind="none"), margin=margin or Static(min(2.0 * rate, 1.0), rate), margin_calls=MarginCalls(),
        liquidation=LiquidationMechanism(size="full", price_band=0.9, fee_rate=0.0),
        waterfall=LossWaterfall(insurance_fund=1e12), engine=Engine(max_rounds=max_rounds, **switches), steps=steps,
        step_seconds=1.0, opening_seconds=0.0,
    )
    return Simulation(setup, people, seed, loop=loop, trades=trades)


def _write(rows: NDArray[Any], account: int, kind: int, side: int, ticks: Any, lots: int, arrival: int) -> None:
    """Fill order rows."""
    rows["order_id"] = rows["target"] = rows["event"] = -1
    rows["lots"], rows["arrival"], rows["account"], rows["price_ticks"] = lots, arrival, account, ticks
    rows["kind"], rows["side"], rows["cause"], rows["origin"] = kind, side, Cause.VOLUNTARY, Kind.USER
    for name in ("filled_lots", "resting_lots", "instrument", "round", "reduce_only", "status", "reason", "pad"):
        rows[name] = 0
