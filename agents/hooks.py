"""What the population learns from the venue: after trading, between liquidation rounds, after deleveraging."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.agents.arbitrageur import hedge_outside
from spirals.agents.hedging import follow_outside, note_cuts, note_restored, outside_value
from spirals.agents.order_of_play import MAKERS, OrderOfPlay
from spirals.agents.orders import NO_ORDER, note_resting
from spirals.simulation.kernel import lean
from spirals.simulation.state import OrderKind, OrderStatus

__all__ = ["Hooks"]

RESTING, REJECTED = OrderStatus.RESTING, OrderStatus.REJECTED
IOC = OrderKind.IOC


class Hooks(OrderOfPlay):
    """Members who also learn: what the venue calls once it has traded, settled or deleveraged."""

    def react(self, simulation: Any, orders: NDArray[Any], round_: int) -> int:
        """Let makers renew their quotes between liquidation rounds, if they are that fast; return how many orders."""
        if self.makers.maker_reaction_rounds == 0 or round_ < self.makers.maker_reaction_rounds:
            return 0
        n = self.decide_group(simulation, MAKERS, 0, len(self.maker_state), orders, 0)
        self._ends[: MAKERS + 1], self._ends[MAKERS + 1:] = 0, n
        return n

    def after_trading(self, simulation: Any, orders: NDArray[Any]) -> None:
        """Learn which of the orders rest, and hedge the arbitrageurs' fills outside."""
        learn(
            orders, self._ends, self._owners, self.places, self.quotes, self.traders, self.arbitrageur_state,
            simulation.market.record, simulation.contracts,
        )
        if self.hedging:
            note_restored(orders, len(orders), self._hedge_of, self.hedge_state)
            follow_outside(self.hedge_state, simulation.positions, simulation.market.record, simulation.contracts)

    def after_deleveraging(self, simulation: Any, cuts: NDArray[Any]) -> None:
        """See whose hedges auto-deleveraging has stripped; makers among them leave for a while."""
        if not self.hedging:
            return
        note_cuts(cuts, self.outside.rehedge_share, self._hedge_of, self.hedge_state)
        if self.outside.maker_away_seconds > 0.0 and self.outside.maker_share > 0.0:
            steps = math.ceil(self.outside.maker_away_seconds / simulation.step_seconds)
            cut = np.isin(self.maker_state["account"], cuts["counterparty"])
            back = self.maker_state["away_until"][cut]
            self.maker_state["away_until"][cut] = np.maximum(back, simulation.step_index + 1 + steps)

    def outside_profit(self, simulation: Any) -> NDArray[np.float64]:
        """Return the profit of legs held elsewhere, at the index [quote], shape (n_accounts,)."""
        record, contracts = simulation.market.record, simulation.contracts
        profit = outside_value(self.arbitrageur_state, record, contracts, self.n_accounts)
        if self.hedging:
            profit += outside_value(self.hedge_state, record, contracts, self.n_accounts)
        return profit


@lean
def learn(orders, ends, owners, places, quotes, traders, arbitrageurs, record, contracts):
    """Store ids of resting orders with the places, quotes and traders that sent them."""
    for k in range(ends[0], ends[1]):
        if owners[k] >= 0:
            order = orders[k]
            place = places[order["instrument"], owners[k]]
            if order["status"] == RESTING:
                place["order_id"] = order["order_id"]
                place["lots"] = order["resting_lots"]
            elif order["status"] != REJECTED:
                place["order_id"] = NO_ORDER
    for k in range(ends[1], ends[2]):
        order = orders[k]
        if order["filled_lots"] > 0:
            i = order["instrument"]
            hedge_outside(arbitrageurs[owners[k]], order, record[i]["index"], contracts[i]["lot_size"])
    per_maker = quotes.shape[1]
    for k in range(ends[2], ends[3]):
        if orders[k]["kind"] == IOC:  # restores a hedge: no quote
            continue
        quote = quotes[owners[k] // per_maker, owners[k] % per_maker]
        note_resting(quote, orders[k])
    for k in range(ends[3], ends[4]):
        if orders[k]["kind"] != IOC:  # an IOC says nothing about the order that rests
            note_resting(traders[owners[k]], orders[k])
