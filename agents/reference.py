"""The same traders on the plain venue: real Mesa agents whose `step` is ordinary Python.

Rules, draws and arrival are those of :mod:`spirals.agents.leveraged_trader`; the venue is that of
`spirals.simulation.reference`. Tests hold both to the same orders and the same ledger; ``spirals bench``
runs both. Left out: market makers, arbitrageurs and the background flow, whose place a fixed ladder of
quotes around the index takes; positions files; several positions of one trader.
"""

import math
from types import SimpleNamespace
from typing import Any

import mesa
import numpy as np

from spirals.agents.groups import Agents
from spirals.agents.rows import TRADER, TRADER_RULE, Behaviour, Response
from spirals.simulation.contracts import contracts_of
from spirals.simulation.reference.ledger import lot_value
from spirals.simulation.reference.liquidation import new_order
from spirals.simulation.reference.random_numbers import stream_key, uniforms
from spirals.simulation.reference.venue import ReferenceVenue
from spirals.simulation.state import (
    ACCOUNT,
    BACKGROUND_ROW,
    BUY,
    MARKET,
    POSITION,
    REQUIREMENT,
    SELL,
    Cause,
    Kind,
    OrderKind,
    OrderStatus,
    Status,
)

__all__ = ["ReferenceBackground", "ReferenceModel", "ReferenceTrader", "ladder"]

FAR = 6.0        # call distances beyond which nobody reacts
DAY = 86400.0


def ladder(index: float, tick_size: float, levels: int, lots: int) -> list[tuple[int, int, int]]:
    """Return side, price [ticks] and lots of quotes at 1, 2, ... ticks of 2 bp on both sides of `index`."""
    centre, spacing = round(index / tick_size), max(1, round(2e-4 * index / tick_size))
    return [(side, centre - side * level * spacing, lots) for level in range(1, levels + 1) for side in (BUY, SELL)]


class ReferenceBackground(mesa.Agent):
    """Takes its quotes away and places them anew in every step."""

    def __init__(self, model: "ReferenceModel", instrument: int, levels: int, lots: int) -> None:
        super().__init__(model)
        self.instrument, self.levels, self.lots = instrument, levels, lots

    def step(self) -> None:
        venue, i = self.model.venue, self.instrument
        common = dict(origin=Kind.BACKGROUND)
        self.model.send(new_order(BACKGROUND_ROW, i, OrderKind.CANCEL_ALL, 0, 0, 0, **common))
        for side, price, lots in ladder(venue.markets[i].index, venue.instruments[i].tick_size, self.levels, self.lots):
            self.model.send(new_order(BACKGROUND_ROW, i, OrderKind.LIMIT, side, price, lots, **common))


class ReferenceTrader(mesa.Agent):
    """A leveraged trader; parameters and state are the columns of its TRADER row.

    Parameters
    ----------
    model : ReferenceModel
    row : record of TRADER
    rule : record of TRADER_RULE
        Common to all traders.
    """

    account: int
    instrument: int
    order_id: int
    exit_price: float
    trend_price: float

    def __init__(self, model: "ReferenceModel", row: Any, rule: dict[str, float]) -> None:
        super().__init__(model)
        for name in TRADER.names or ():
            if not name.startswith("pad"):
                setattr(self, name, row[name].item())
        self.rule = rule
        self.sent: dict[str, int] | None = None

    def step(self) -> None:
        """Do the first of these that applies: leave at the exit price, answer a near call, follow the behaviour."""
        venue = self.model.venue
        if venue.step_index == 0:
            return  # the opening only seeds the book
        self._learn()
        self.ledger, self.market = venue.accounts[self.account], venue.markets[self.instrument]
        self.position, self.contract = self.ledger.positions[self.instrument], venue.instruments[self.instrument]
        self.first, self.second = uniforms(self.model.key, venue.step_index, self.account, self.instrument)
        if self.ledger.status in (Status.LIQUIDATING, Status.CLOSED):
            return
        lots, mark = self.position.lots, self.market.mark
        if lots == 0 and self.home_lots != 0:
            self.reenter()
        elif lots != 0 and self.exit_price > 0 and self.reached_exit(lots, mark):
            self.exit_price = 0.0
            stopped = self.behaviour == Behaviour.STOP_LOSS
            self.close(abs(lots), Cause.STOP_LOSS if stopped else Cause.VOLUNTARY, self.second)
        elif lots != 0 and (self.answers_call() or self.targets_leverage()):
            return
        elif self.behaviour in (Behaviour.TREND_FOLLOWING, Behaviour.CONTRARIAN) and not self.rule["limit_orders"]:
            self.follow_trend()
        else:
            self.trade_around()

    def reached_exit(self, lots: int, mark: float) -> bool:
        """Tell whether the mark is at the exit or beyond it: against the trader (stop-loss) or for it (take-profit)."""
        gain = mark - self.exit_price if lots > 0 else self.exit_price - mark
        return gain <= 0 if self.behaviour == Behaviour.STOP_LOSS else gain >= 0

    def answers_call(self) -> bool:
        """React with a hazard that grows as the call comes nearer; return whether anything was done."""
        lots, account = self.position.lots, self.ledger
        notional = abs(lots) * self.market.mark * lot_value(self.contract)
        equity, maintenance = float(account.equity), float(account.maintenance_margin)
        if account.isolated:
            value = lots * self.market.mark * lot_value(self.contract)
            equity = self.position.collateral - self.position.cost + value
        scale = notional * self.rule["call_distance"]
        if self.response == Response.NOTHING or equity - maintenance > FAR * scale:
            return False
        if account.isolated:
            rate = self.model.venue.rates[self.instrument][1]
            maintenance = rate * (notional * self.contract.atom) / self.contract.atom
        hazard = self.call_hazard * math.exp(-max((equity - maintenance) / scale, 0.0))
        chance = 1.0 - math.exp(-hazard * self.model.venue.step_seconds)
        if self.first >= chance:
            self.first = (self.first - chance) / (1.0 - chance)   # what is decided next has a draw of its own
            return False
        self.first /= chance
        if self.response == Response.REDUCE:
            self.close(max(1, int(self.rule["reduce_share"] * abs(lots))), Cause.CALL_RESPONSE, self.second)
            return True
        return self.asks_for(int(max(notional / self.target_leverage - equity, 0.0)))

    def targets_leverage(self) -> bool:
        """Trade back to the target leverage when it is out of the band; return whether an order was sent."""
        if self.behaviour != Behaviour.LEVERAGE_TARGETING:
            return False
        lot = self.market.mark * lot_value(self.contract)
        notional = abs(self.position.lots) * lot
        excess = notional - self.target_leverage * float(self.ledger.equity)
        lots = int(abs(excess) / lot)
        if self.ledger.equity <= 0 or abs(excess) <= self.rule["leverage_band"] * notional or lots == 0:
            return False
        if not self.happens(1.0 / self.horizon, self.first):
            return False
        if excess > 0:
            self.close(min(lots, abs(self.position.lots)), Cause.LEVERAGE_TARGET, self.second)
        else:
            self.take(BUY if self.position.lots > 0 else SELL, lots, Cause.LEVERAGE_TARGET, self.second)
        return True

    def follow_trend(self) -> None:
        """Buy what rises (or, as a contrarian, what falls) against a moving average."""
        mark, seconds = self.market.mark, self.model.venue.step_seconds
        if self.trend_price <= 0:
            self.trend_price = mark
        self.trend_price += (mark - self.trend_price) * min(1.0, seconds / self.horizon)
        if self.first >= self.order_rate * seconds:
            return
        volatility = max(self.market.volatility, 1e-6) * math.sqrt(self.horizon / DAY)
        signal = (mark / self.trend_price - 1.0) / volatility
        if abs(signal) < self.rule["trend_threshold"]:
            return
        side = BUY if (signal > 0) == (self.behaviour == Behaviour.TREND_FOLLOWING) else SELL
        if not self.far_out(side):
            self.take(side, self.unit_lots, Cause.VOLUNTARY, self.second)

    def trade_around(self) -> None:
        """Buy or sell one unit: at the market, or with one limit order that is moved."""
        chance = self.order_rate * self.model.venue.step_seconds
        if self.second >= chance:
            return
        draw = self.second / chance if chance < 1.0 else self.second
        side, place = (BUY, 2.0 * draw) if draw < 0.5 else (SELL, 2.0 * draw - 1.0)
        if self.far_out(side):
            side = -side
        if not self.rule["limit_orders"]:
            self.take(side, self.unit_lots, Cause.VOLUNTARY, self.first)
            return
        distance = side * 2.0 * place * self.rule["order_distance"]
        price = int(self.market.mid * (1.0 - distance) / self.contract.tick_size + 0.5)
        if self.order_id in self.model.venue.book.orders:
            self.send(OrderKind.REPLACE, side, price, self.unit_lots, self.first, target=self.order_id)
        else:
            self.send(OrderKind.LIMIT, side, price, self.unit_lots, self.first)

    def reenter(self) -> None:
        """Open the old position again, as large as the wallet allows, or fetch money for it first."""
        if self.rule["reentry_rate"] <= 0 or not self.happens(self.rule["reentry_rate"], self.first):
            return
        lot = self.market.mark * lot_value(self.contract)
        needed = abs(self.home_lots) * lot / self.target_leverage
        if self.ledger.cash < 0.5 * needed:
            self.asks_for(int(needed))
            return
        rate, atom = self.model.venue.rates[self.instrument][0], self.contract.atom
        allowed = max(self.ledger.cash * atom, 0.0) / rate / atom
        lots = min(abs(self.home_lots), int(min(self.ledger.cash * self.target_leverage, allowed) / lot))
        if lots > 0:
            self.take(BUY if self.home_lots > 0 else SELL, lots, Cause.VOLUNTARY, self.second)

    def happens(self, rate: float, u: float) -> bool:
        """Tell whether an event of that rate [1/s] falls into this step."""
        return u < 1.0 - math.exp(-rate * self.model.venue.step_seconds)

    def far_out(self, side: int) -> bool:
        """Tell whether the position is as far from the opening one as the trader tolerates."""
        return side * (self.position.lots - self.home_lots) >= self.rule["inventory_units"] * self.unit_lots

    def asks_for(self, amount: int) -> bool:
        """Ask for a top-up [atoms] unless one is on its way; return whether there is anything to ask for."""
        amount = min(amount, self.ledger.outside_wealth)
        if amount <= 0 or self.ledger.transfer_step >= 0:
            return False
        self.model.venue.top_up_requests[self.account] = amount
        return True

    def close(self, lots: int, cause: int, when: float) -> None:
        """Reduce the position at the market."""
        self.take(SELL if self.position.lots > 0 else BUY, lots, cause, when, reduce_only=1)

    def take(self, side: int, lots: int, cause: int, when: float, **more: int) -> None:
        """Send a marketable order that goes no further than the band."""
        ticks = self.market.mark * (1.0 + side * self.rule["band"]) / self.contract.tick_size
        price = math.floor(ticks) if side == BUY else math.ceil(ticks)
        self.send(OrderKind.IOC, side, price, lots, when, cause=cause, **more)

    def send(self, kind: int, side: int, price: int, lots: int, when: float, **more: int) -> None:
        """Hand one order to the model; its price is kept on the ladder of ticks."""
        price = min(max(price, 1), self.contract.n_ticks - 1)
        arrival = int(when * self.model.venue.step_seconds * 1e6)
        self.sent = new_order(self.account, self.instrument, kind, side, price, lots, arrival=arrival, **more)
        self.model.send(self.sent)

    def _learn(self) -> None:
        """See what became of the last order: which one rests now."""
        sent, self.sent = self.sent, None
        if sent is None or sent["kind"] == OrderKind.IOC:
            return
        if sent["status"] == OrderStatus.RESTING:
            self.order_id = sent["order_id"]
        elif sent["status"] != OrderStatus.REJECTED:
            self.order_id = 0


class ReferenceModel(mesa.Model):
    """The plain venue with its traders as an ordinary Mesa model.

    Parameters
    ----------
    setup : object
        Parts of a run (`spirals.agents.setup.Setup`); its margin policy must be `Static`. Of its actors
        only the traders of `population` take part.
    rng : int
        Seed.
    levels, lots : int
        Quotes of the background per side and instrument, and their size.

    Attributes
    ----------
    venue : ReferenceVenue
    """

    def __init__(self, setup: Any, *, rng: int = 0, levels: int = 50, lots: int = 1000) -> None:
        super().__init__(rng=rng)
        people = Agents(setup.instruments, setup.depth, setup.background, setup.makers, setup.arbitrageurs,
                        setup.population)
        self.venue = ReferenceVenue(setup, people.n_accounts, rng)
        self.key = stream_key(rng, "traders")
        self.orders: list[dict[str, int]] = []
        rule = {name: setup.population.rule()[name].item() for name in TRADER_RULE.names or ()}
        for i in range(len(setup.instruments)):
            ReferenceBackground(self, i, levels, lots)
        for row in self._opening(people, setup, rng):
            ReferenceTrader(self, row, rule)
        self.venue.open(self.decide)

    def step(self) -> None:
        """Run one step of the venue."""
        self.venue.step(self.decide)

    def decide(self) -> list[dict[str, int]]:
        """Let every agent step once; return their orders."""
        self.orders = []
        self.agents.do("step")
        return self.orders

    def send(self, order: dict[str, int]) -> None:
        """Take an order of an agent."""
        self.orders.append(order)

    def _opening(self, people: Agents, setup: Any, seed: int) -> Any:
        """Draw the opening as every run does, load it into the venue, return the TRADER rows."""
        venue, n = self.venue, len(self.venue.instruments)
        accounts, positions = np.zeros(people.n_accounts, ACCOUNT), np.zeros((people.n_accounts, n), POSITION)
        for account, row in zip(venue.accounts, accounts, strict=True):
            row["kind"], row["cash"], row["deposits"] = account.kind, account.cash, account.deposits
            row["transfer_step"] = row["call_step"] = row["event"] = -1
        record, table = np.zeros(n, MARKET), np.zeros((n, 1), REQUIREMENT)
        for i, market in enumerate(venue.markets):
            record[i]["mark"] = market.mark
            table[i, 0]["initial_rate"], table[i, 0]["maintenance_rate"] = venue.rates[i]
        people.open(SimpleNamespace(
            accounts=accounts, positions=positions, seed=seed, contracts=contracts_of(venue.instruments),
            market=SimpleNamespace(record=record), margin=SimpleNamespace(table=table),
        ))
        venue.load_ledger(accounts, positions)
        return people.traders
