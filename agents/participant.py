"""Participants: real Mesa agents, each a view of one row of the ledger; state is never held twice."""

import math
from typing import Any

import mesa

from spirals.agents.rows import Behaviour
from spirals.simulation.state import BACKGROUND_ROW, BUY, LIQUIDATOR_ROW, SELL, Kind, Mode, OrderKind, Status

__all__ = [
    "Arbitrageur", "BackgroundTrader", "BasisTrader", "BuiltIn", "LeveragedTrader", "Liquidator", "MarketMaker",
    "Participant",
]

STATUS = ("active", "called", "liquidating", "closed")
MODE = {Mode.CROSS: "cross", Mode.ISOLATED: "isolated"}
MARKET, LIMIT, CANCEL, CANCEL_ALL = OrderKind.MARKET, OrderKind.LIMIT, OrderKind.CANCEL, OrderKind.CANCEL_ALL


class Participant(mesa.Agent):
    """One account of the venue.

    Money is in quote units, quantities in base units (long positive), as of the start of the step
    for whoever decides. Derived figures are read-only; orders are the only way to change anything.

    Parameters
    ----------
    model : SpiralModel
    row : int
        Row of the ledger; rows never move.
    """

    def __init__(self, model: Any, row: int) -> None:
        super().__init__(model)
        self.row = row

    # -- account ------------------------------------------------------------------------------------

    @property
    def kind(self) -> str:
        """What this account is: ``"trader"``, ``"maker"``, ``"background"``, ..."""
        return Kind.names[int(self._account["kind"])]

    @property
    def cash(self) -> float:
        """Free wallet [quote]."""
        return float(self._account["cash"] * self.model.atom)

    @property
    def equity(self) -> float:
        """Wallet, collateral and unrealised profit at the mark [quote]."""
        return float(self._account["equity"] * self.model.atom)

    @property
    def initial_margin(self) -> float:
        """Worst case with resting orders [quote]."""
        return float(self._account["initial_margin"] * self.model.atom)

    @property
    def maintenance_margin(self) -> float:
        """Below this equity a call is issued [quote]."""
        return float(self._account["maintenance_margin"] * self.model.atom)

    @property
    def margin_ratio(self) -> float:
        """Equity over maintenance margin; inf without a position."""
        required = self._account["maintenance_margin"]
        return float(self._account["equity"] / required) if required > 0 else math.inf

    @property
    def position(self) -> float:
        """Position in the first instrument [base]."""
        return self.position_in(0)

    @property
    def notional(self) -> float:
        """Gross notional at the mark over all instruments [quote]."""
        core = self.model.core
        lots = abs(core.positions["lots"][self.row])
        return float((lots * core.market.record["mark"] * core.contracts["lot_size"]).sum())

    @property
    def leverage(self) -> float:
        """Gross notional over equity; inf when there is a position without equity."""
        equity, notional = self.equity, self.notional
        return notional / equity if equity > 0 else math.inf if notional > 0 else 0.0

    @property
    def entry_price(self) -> float:
        """Average entry price in the first instrument [quote]; NaN without a position."""
        held = self.model.core.positions[self.row, 0]
        if held["lots"] == 0:
            return math.nan
        return float(held["cost"] / held["lots"] / self.model.core.contracts[0]["lot_value"])

    @property
    def realised_pnl(self) -> float:
        """Realised profit before fees and funding [quote]."""
        return float(self.model.core.positions["realised_pnl"][self.row].sum() * self.model.atom)

    @property
    def fees(self) -> float:
        """Fees paid [quote]."""
        return float(self._account["fees"] * self.model.atom)

    @property
    def outside_pnl(self) -> float:
        """Profit of hedges held elsewhere, at the index [quote]."""
        return float(self.model.population.outside_profit(self.model.core)[self.row])

    @property
    def bad_debt(self) -> float:
        """Gross negative equity left behind at close [quote]."""
        return float(self._account["bad_debt"] * self.model.atom)

    @property
    def mode(self) -> str:
        """``"cross"`` or ``"isolated"``."""
        return MODE[int(self._account["mode"])]

    @property
    def status(self) -> str:
        """``"active"``, ``"called"``, ``"liquidating"`` or ``"closed"``."""
        return STATUS[int(self._account["status"])]

    @property
    def alive(self) -> bool:
        """Whether the account may still open positions."""
        return bool(self._account["status"] != Status.CLOSED)

    @property
    def open_orders(self) -> list[Any]:
        """Resting orders in all instruments."""
        book = self.model.core.book
        return [order for i in range(len(self.model.core.instruments)) for order in book.orders_of(self.row, i)]

    def position_in(self, instrument: int) -> float:
        """Return the position in one instrument [base]."""
        core = self.model.core
        return float(core.positions["lots"][self.row, instrument] * core.contracts["lot_size"][instrument])

    # -- orders -------------------------------------------------------------------------------------

    def buy(self, quantity: float, price: float | None = None, instrument: int = 0, reduce_only: bool = False) -> None:
        """Queue an order to buy `quantity` [base]: at the market, or with a limit `price` [quote]."""
        self._send(BUY, quantity, price, instrument, reduce_only)

    def sell(self, quantity: float, price: float | None = None, instrument: int = 0, reduce_only: bool = False) -> None:
        """Queue an order to sell `quantity` [base]: at the market, or with a limit `price` [quote]."""
        self._send(SELL, quantity, price, instrument, reduce_only)

    def limit(self, quantity: float, price: float, instrument: int = 0, reduce_only: bool = False) -> None:
        """Queue a limit order; `quantity` [base] is signed, a positive one buys."""
        self._send(BUY if quantity > 0 else SELL, abs(quantity), price, instrument, reduce_only)

    def cancel(self, order_id: int | None = None, instrument: int = 0) -> None:
        """Queue the cancellation of one resting order, or of all of them in the instrument."""
        kind = CANCEL_ALL if order_id is None else CANCEL
        self.model.population.queue.add(self.row, instrument, kind, 0, 0, 0, self._arrival(), order_id or 0)

    def step(self) -> None:
        """Built-in agents act here; see :class:`BuiltIn`. Others do nothing."""

    # -- inside -------------------------------------------------------------------------------------

    @property
    def _account(self) -> Any:
        return self.model.core.accounts[self.row]

    def _arrival(self) -> int:
        return 0

    def _send(self, side: int, quantity: float, price: float | None, instrument: int, reduce_only: bool) -> None:
        if not 0.0 <= quantity < math.inf:
            raise ValueError(f"quantity must be a finite number of at least 0, was {quantity!r}")
        lot, tick = self.model.grids[instrument]
        lots = int(quantity / lot + 0.5)
        if lots == 0:
            return
        ticks = 0
        if price is not None:
            if not 0.0 < price < math.inf:
                raise ValueError(f"price must be a finite number above 0, was {price!r}")
            ticks = int(price / tick + 0.5)
        self.model.population.queue.add(
            self.row, instrument, MARKET if price is None else LIMIT, side, ticks, lots, self._arrival(), 0,
            int(reduce_only),
        )


class BuiltIn(Participant):
    """An agent whose rule is compiled.

    Attributes
    ----------
    group, first, last : int
        Its rows of state in the population.
    """

    def __init__(self, model: Any, row: int, group: int, first: int, last: int) -> None:
        super().__init__(model, row)
        self.group, self.first, self.last = group, first, last

    def step(self) -> Any:
        """Apply the compiled rule to this agent; return the ORDER rows it wrote.

        With ``SpiralModel(activation="agents")`` the model calls this for everybody and the orders are
        sent. With ``activation="compiled"`` one compiled loop calls the same rule for everybody, and a
        call of your own is a preview: it returns the orders and sends nothing.
        """
        return self.model.population.act(self.model.core, self.group, self.first, self.last)


class LeveragedTrader(BuiltIn):
    """A trader on margin; rule: :func:`spirals.agents.leveraged_trader.trader_rule`."""

    @property
    def behaviour(self) -> str:
        """What it does of its own accord: passive, trend_following, contrarian, ..."""
        return Behaviour.names[int(self.model.population.traders["behaviour"][self.first])]

    @property
    def target_leverage(self) -> float:
        """Leverage at the opening."""
        return float(self.model.population.traders["target_leverage"][self.first])

    @property
    def outside_wealth(self) -> float:
        """Money that is not on the venue [quote]."""
        return float(self._account["outside_wealth"] * self.model.atom)


class MarketMaker(BuiltIn):
    """A market maker; rule: :func:`spirals.agents.market_maker.maker_rule`."""

    @property
    def quoting(self) -> bool:
        """Whether it quotes; false while it stays away."""
        return bool((self.model.population.maker_state["away_until"][self.first:self.last] < 0).any())


class Arbitrageur(BuiltIn):
    """An arbitrageur; rule: :func:`spirals.agents.arbitrageur.arbitrageur_rule`."""


class BasisTrader(BuiltIn):
    """Long spot outside, short here; rule: :func:`spirals.agents.basis_trader.basis_rule`."""


class BackgroundTrader(BuiltIn):
    """The background flow: one account places limit orders, one (`takes`) sends market orders."""

    @property
    def takes(self) -> bool:
        """Whether this is the account of the market orders; the rule belongs to the other one."""
        return self.row != BACKGROUND_ROW


class Liquidator(Participant):
    """The venue's liquidation engine; it acts in stage 4 of the step, by the liquidation mechanism."""

    def __init__(self, model: Any) -> None:
        super().__init__(model, LIQUIDATOR_ROW)
