"""UserAgent: base class of agents written in plain Python.

    from spirals.agents import UserAgent

    class DipBuyer(UserAgent):
        threshold = 0.01

        def step(self):
            if self.mark < (1 - self.threshold) * self.index and self.leverage < 2:
                self.buy(0.1)

All agents decide on the state at the start of the step; their orders join those of everybody else in
order of arrival. Per step, all figures are turned into plain Python numbers at once, so attribute
access is cheap.
"""

import json
import math
from typing import Any

import numpy as np

from spirals.agents.participant import Participant
from spirals.simulation.errors import InputError
from spirals.simulation.kernel import kernel
from spirals.simulation.market.view import MarketState
from spirals.simulation.randomness import uniforms
from spirals.simulation.state import BUY, SELL, OrderKind

__all__ = ["UserAgent", "UserView"]

MARKET, LIMIT = OrderKind.MARKET, OrderKind.LIMIT
COLUMNS = ("equity", "cash", "position", "initial_margin", "maintenance_margin", "u0", "u1", "arrival")
INTERNAL = frozenset(("model", "unique_id", "pos", "row", "_index", "_view", "_queue", "_latency"))


class UserView:
    """What users' agents see of a step, as plain Python lists and numbers."""

    def __init__(self, first: int, count: int) -> None:
        self.first, self.count = first, count
        self._table = np.zeros((len(COLUMNS), count))

    def update(self, core: Any, key: Any) -> None:
        """Take over the state at the start of the step."""
        take_snapshot(core.accounts, core.positions, core.contracts, self.first, key, core.step_index, self._table)
        (self.equity, self.cash, self.position, self.initial_margin, self.maintenance_margin, self.u0, self.u1,
         self.arrival) = self._table.tolist()
        record, contract = core.market.record[0], core.contracts[0]
        self.key, self.step_index, self.seconds = key, core.step_index, core.step_index * core.step_seconds
        self.mark, self.index, self.mid = float(record["mark"]), float(record["index"]), float(record["mid"])
        self.oracle, self.last = float(record["oracle"]), float(record["last"])
        self.best_bid, self.best_ask = float(record["best_bid"]), float(record["best_ask"])
        self.volatility = float(record["volatility"])
        self.lot_size, self.tick_size = float(contract["lot_size"]), float(contract["tick_size"])


@kernel
def take_snapshot(accounts, positions, contracts, first, key, step, out):
    """Fill the columns of COLUMNS for the accounts from row `first` on; `out` has shape (8, count)."""
    atom = contracts[0]["atom"]
    for k in range(out.shape[1]):
        account = accounts[first + k]
        out[0, k] = account["equity"] * atom
        out[1, k] = account["cash"] * atom
        out[2, k] = positions[first + k, 0]["lots"] * contracts[0]["lot_size"]
        out[3, k] = account["initial_margin"] * atom
        out[4, k] = account["maintenance_margin"] * atom
        out[5, k], out[6, k] = uniforms(key, step, first + k, 0)
        out[7, k], _ = uniforms(key, step, first + k, 1)


class UserAgent(Participant):
    """An agent of the user's: override :meth:`step`, and :meth:`start` where needed.

    Attributes
    ----------
    equity, cash, initial_margin, maintenance_margin : float
        [quote]
    position : float
        [base] In the first instrument, long positive.
    leverage, margin_ratio : float
    mark, index, mid, oracle, last, best_bid, best_ask : float
        [quote] Of the first instrument; the best prices are NaN when a side is empty.
    volatility : float
        [per sqrt day]
    seconds : float
        [s] Since the opening.
    market : MarketState
        All instruments.

    Notes
    -----
    Attributes that hold plain data (numbers, text, lists, dictionaries) are part of the saved state of a
    run. Random numbers come from :meth:`uniform`, so that runs stay comparable draw by draw.
    """

    def __init__(self, model: Any, row: int, params: dict[str, Any], latency_us: int) -> None:
        super().__init__(model, row)
        self._view: UserView = model.user_view
        self._queue = model.population.queue
        self._index = row - model.population.first_user
        self._latency = latency_us
        for name, value in params.items():
            setattr(self, name, value)

    def start(self) -> None:
        """Called once before the first step; set up attributes here."""

    def step(self) -> None:
        """Decide: called once per step."""

    equity = property(lambda self: self._view.equity[self._index])
    cash = property(lambda self: self._view.cash[self._index])
    position = property(lambda self: self._view.position[self._index])
    initial_margin = property(lambda self: self._view.initial_margin[self._index])
    maintenance_margin = property(lambda self: self._view.maintenance_margin[self._index])
    mark = property(lambda self: self._view.mark)
    index = property(lambda self: self._view.index)
    mid = property(lambda self: self._view.mid)
    oracle = property(lambda self: self._view.oracle)
    last = property(lambda self: self._view.last)
    best_bid = property(lambda self: self._view.best_bid)
    best_ask = property(lambda self: self._view.best_ask)
    volatility = property(lambda self: self._view.volatility)
    seconds = property(lambda self: self._view.seconds)

    @property
    def market(self) -> MarketState:
        """Market at the start of the step."""
        return self.model.core.market.state

    @property
    def leverage(self) -> float:
        """Notional in the first instrument over equity; inf when there is no equity left."""
        view, k = self._view, self._index
        notional = abs(view.position[k]) * view.mark
        equity = view.equity[k]
        return notional / equity if equity > 0.0 else math.inf if notional else 0.0

    @property
    def margin_ratio(self) -> float:
        """Equity over maintenance margin; inf without a position."""
        required = self._view.maintenance_margin[self._index]
        return self._view.equity[self._index] / required if required > 0.0 else math.inf

    def uniform(self, draw: int = 0) -> float:
        """Return the `draw`-th uniform of this agent in this step, in (0, 1); the same number when asked again."""
        view = self._view
        if draw == 0:
            return view.u0[self._index]
        if draw == 1:
            return view.u1[self._index]
        return float(uniforms(view.key, view.step_index, self.row, 1 + draw // 2)[draw % 2])

    def buy(self, quantity: float, price: float | None = None, instrument: int = 0, reduce_only: bool = False) -> None:
        if instrument or reduce_only:
            self._send(BUY, quantity, price, instrument, reduce_only)
        else:
            self._send_plain(BUY, quantity, price)

    def sell(self, quantity: float, price: float | None = None, instrument: int = 0, reduce_only: bool = False) -> None:
        if instrument or reduce_only:
            self._send(SELL, quantity, price, instrument, reduce_only)
        else:
            self._send_plain(SELL, quantity, price)

    def _send_plain(self, side: int, quantity: float, price: float | None) -> None:
        """The fast path of `_send` for the first instrument."""
        view = self._view
        if not 0.0 <= quantity < math.inf or (price is not None and not 0.0 < price < math.inf):
            self._send(side, quantity, price, 0, False)
        lots = int(quantity / view.lot_size + 0.5)
        if lots:
            arrival = int(self._latency * (1.0 + view.arrival[self._index]))
            if price is None:
                self._queue.numbers += (self.row, 0, MARKET, side, 0, lots, arrival, 0, 0)
            else:
                ticks = int(price / view.tick_size + 0.5)
                self._queue.numbers += (self.row, 0, LIMIT, side, ticks, lots, arrival, 0, 0)

    def _arrival(self) -> int:
        return int(self._latency * (1.0 + self._view.arrival[self._index]))

    # -- saved state --------------------------------------------------------------------------------

    def memory(self) -> dict[str, Any]:
        """Return the attributes that a saved run keeps; plain data only.

        Raises
        ------
        InputError
            An attribute holds something else.
        """
        kept = {name: value for name, value in vars(self).items() if name not in INTERNAL}
        for name, value in kept.items():
            try:
                same = repr(json.loads(json.dumps(value))) == repr(value)
            except (TypeError, ValueError):
                same = False
            if not same:
                raise InputError([f"{type(self).__name__}.{name} must be plain data (numbers, text, lists, dictionaries"
                                  f" with text keys) to be saved or hashed, was {type(value).__name__} {value!r}"])
        return kept

    def recall(self, kept: dict[str, Any]) -> None:
        """Continue from :meth:`memory`."""
        for name in [name for name in vars(self) if name not in INTERNAL and name not in kept]:
            delattr(self, name)
        self.__dict__.update(kept)
