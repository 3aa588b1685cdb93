"""Index, oracle, mark, volatility and funding of one instrument (compare `spirals.simulation.market`).

Left out: scripted shocks, the range estimator, the rolling and the stressed volatility.
"""

import math
from collections.abc import Iterable
from typing import Any

from spirals.simulation.reference.ledger import Account, lot_value, rounded
from spirals.simulation.state import FEES_ROW

__all__ = ["ReferenceMarket", "pay_funding"]


class ReferenceMarket:
    """The market of one instrument.

    Parameters
    ----------
    setup : object
        Has the parts `price_feed`, `volatility`, `funding` and the lengths `step_seconds`, `opening_seconds`.
    path : sequence of float
        [quote] Exogenous price of every step, the opening first.
    """

    def __init__(self, setup: Any, path: list[float]) -> None:
        self.feed, self.estimator, self.rules = setup.price_feed, setup.volatility, setup.funding
        self.seconds, self.opening_seconds = setup.step_seconds, setup.opening_seconds
        self.path = path
        self.exogenous = self.index = self.oracle = self.mark = self.mid = self.last = path[0]
        self.bid = self.ask = 0.0      # best quotes, 0 when the side is empty
        self.indices = [path[0]]
        self.offset = self.basis = self.premium = self.funding_rate = 0.0
        self.premiums = 0
        self.funding_due = False
        self.funding_left = 1.0 - self.opening_seconds / self.rules.interval_seconds % 1.0
        self.sampled = path[0]
        self.variance = self.estimator.opening_volatility**2
        self.volatility = max(self.estimator.floor, self.estimator.opening_volatility)

    def advance(self, step: int) -> None:
        """Learn what the venue did in the last step, then take the next exogenous price."""
        half_life = self.feed.basis_half_life_seconds
        weight = -math.expm1(-self.seconds * math.log(2.0) / half_life)
        self.basis += weight * (self.mid / self.oracle - 1.0 - self.basis)
        self._sample_premium(step)
        pull = self.feed.index_feedback * -math.expm1(-self.seconds / self.feed.feedback_seconds)
        if pull > 0.0:
            tradable = max(self.index, self.bid) if self.bid else self.index   # a side without quotes says nothing
            tradable = min(tradable, self.ask) if self.ask else tradable
            self.offset += pull * math.log(tradable / self.index)
        self.exogenous = self.path[step]
        self.index = self.exogenous * math.exp(self.offset)
        self.indices.append(self.index)
        self.oracle = self.indices[max(0, step - round(self.feed.oracle_latency_seconds / self.seconds))]
        self.remark()
        self._sample_volatility(step)

    def remark(self) -> None:
        """Set the mark from oracle, basis, mid and last price."""
        fair = self.oracle * (1.0 + self.basis)
        carried = self.oracle * (1.0 + self.funding_rate * self.funding_left)
        self.mark = {
            "index": self.oracle, "mid": self.mid, "last": self.last, "index_ema_basis": fair,
            "median": sorted((carried, fair, self.last))[1],
        }[self.feed.mark]

    def _sample_premium(self, step: int) -> None:
        rules = self.rules
        self.funding_due = False
        if rules.kind == "none":
            return
        self.premiums += 1
        self.premium += (self.mid / self.oracle - 1.0 - self.premium) / self.premiums
        now = (self.opening_seconds + step * self.seconds) / rules.interval_seconds + 1e-9
        self.funding_left = 1.0 - now % 1.0
        if math.floor(now) > math.floor(now - self.seconds / rules.interval_seconds):
            pull = min(max(rules.interest_rate - self.premium, -rules.clamp), rules.clamp)
            self.funding_rate = min(max(self.premium + pull, -rules.cap), rules.cap)
            self.premium, self.premiums, self.funding_due = 0.0, 0, True

    def _sample_volatility(self, step: int) -> None:
        interval = max(1, round(self.estimator.sampling_seconds / self.seconds))
        if step % interval:
            return
        seen = {"index": self.oracle, "mark": self.mark, "mid": self.mid, "last": self.last}[self.estimator.source]
        change = math.log(seen / self.sampled)
        observation = change * change / (interval * self.seconds / 86400.0)
        old = 2.0 ** (-interval * self.seconds / self.estimator.half_life_seconds)
        self.variance = old * self.variance + (1.0 - old) * observation
        self.volatility = max(self.estimator.floor, math.sqrt(self.variance))
        self.sampled = seen


def pay_funding(accounts: Iterable[Account], i: int, market: ReferenceMarket, instrument: Any) -> None:
    """Let every holder pay for its lots; what rounding leaves goes to the fee account."""
    if not market.funding_due:
        return
    market.funding_due = False
    rate = market.mark * lot_value(instrument) * market.funding_rate
    remainder = 0
    accounts = list(accounts)
    for account in accounts:
        position = account.positions[i]
        amount = rounded(position.lots * rate)
        position.funding -= amount
        if account.isolated:
            position.collateral -= amount
        else:
            account.cash -= amount
        remainder += amount
    accounts[FEES_ROW].cash += remainder
    accounts[FEES_ROW].positions[i].funding += remainder
