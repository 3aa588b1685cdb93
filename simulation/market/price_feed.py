"""PriceFeed: index with feedback, oracle with latency, and the mark price that margin is computed on."""

import dataclasses
import math

from spirals.simulation.kernel import kernel
from spirals.simulation.parameters import Part, parameter

__all__ = ["MARKS", "PriceFeed", "known", "mark_price", "move_index", "tradable_price", "move_oracle", "update_basis"]

MARKS = ("index", "mid", "last", "index_ema_basis", "median")
INDEX, MID, LAST, INDEX_EMA_BASIS, MEDIAN = range(5)


@dataclasses.dataclass(frozen=True)
class PriceFeed(Part):
    """From outside value and last trades to index, oracle and mark.

    **Index.** ``d ln index = d ln exogenous + kappa (ln quote - ln index) dt / tau``, kappa = `index_feedback`
    and tau = `feedback_seconds`, with the weight ``kappa (1 - exp(-dt/tau))`` on the deviation at the end of
    the last step. The quote is the bid above the index, or the ask below it: a price at which the outside
    could trade; inside the spread, and on a side without quotes, nothing pulls. kappa stands for the
    venue's share of global depth. The index is the anchor of the venue: arbitrageurs and makers pull the
    mid to it, while it follows the exogenous price and keeps, as a permanent move, what the deviation
    leaves behind. A displacement delta whose deviation from the index closes at rate 1/tau leaves kappa
    delta in both and the rest decays; if the mid alone reverts to the index at rate r,
    ``kappa / (kappa + r tau)`` of it stays. With kappa = 0 the index equals the exogenous price exactly.
    This is how the outside follows the venue; how the venue follows the outside is the business of
    makers, background and arbitrageurs.

    **Oracle.** The index as of `oracle_latency_seconds` ago (plus scripted lag); it never runs backwards.
    The venue knows the index only through the oracle: basis, mark, funding and the volatility of
    source "index" are computed from it.

    **Mark**, with basis = EMA of ``mid / oracle - 1``:

    - index: the oracle; mid: the last known mid; last: the last trade;
    - index_ema_basis: ``oracle (1 + basis)``;
    - median: of ``oracle (1 + funding_rate t / interval)`` (t = time until the next payment),
      ``oracle (1 + basis)`` and last, as Binance documents it (mark price, support article 360033525071).

    Attributes
    ----------
    mark : {"median", "index", "mid", "last", "index_ema_basis"}
    basis_half_life_seconds : float
        [s] Of the EMA of the basis. Chosen: an EMA of 52 s has the mean age of a 150-s moving average.
    index_feedback : float
        [fraction] kappa, in [0, 1]. Assumption: 0.3 to 0.5 for a large venue.
    feedback_seconds : float
        [s] tau, in which the outside world learns of the venue. Assumption.
    oracle_latency_seconds : float
        [s] Rounded to whole steps.
    """

    mark: str = parameter("median", choices=MARKS, help="rule of the mark price")
    basis_half_life_seconds: float = parameter(52.0, unit="s", above=0, help="of the EMA of the basis")
    index_feedback: float = parameter(0.3, unit="fraction", low=0, high=1, help="share of global depth")
    feedback_seconds: float = parameter(30.0, unit="s", above=0, help="tau, delay of the outside world")
    oracle_latency_seconds: float = parameter(0.0, unit="s", low=0, help="age of the oracle price")

    def feedback_weight(self, step_seconds: float) -> float:
        """Return the part of the deviation mid - index that the index takes over in one step."""
        return self.index_feedback * -math.expm1(-step_seconds / self.feedback_seconds)

    def basis_weight(self, step_seconds: float) -> float:
        """Return the weight of a new observation in the EMA of the basis."""
        return -math.expm1(-step_seconds * math.log(2.0) / self.basis_half_life_seconds)

    def latency_steps(self, step_seconds: float) -> int:
        """Return the latency of the oracle in steps."""
        return round(self.oracle_latency_seconds / step_seconds)


@kernel
def known(price, fallback):
    """Return `price` if there is one, else `fallback`."""
    return price if price > 0.0 else fallback


@kernel
def update_basis(market, rules):
    """Update the EMA of the basis with mid and oracle of the end of the last step, in place."""
    basis = known(market["mid"], market["oracle"]) / market["oracle"] - 1.0
    market["basis"] += rules["basis_weight"] * (basis - market["basis"])


@kernel
def tradable_price(market):
    """Return the price nearest to the index at which somebody quotes: the index itself inside the spread.

    A side without quotes says nothing, so an empty book moves nobody outside.
    """
    price = market["index"]
    if market["best_bid"] > price:
        price = market["best_bid"]
    if 0.0 < market["best_ask"] < price:
        price = market["best_ask"]
    return price


@kernel
def move_index(market, state, rules, exogenous):
    """Move the index with the exogenous price and the deviation of the last step, in place.

    The permanent impact of the venue is kept as a log offset, so that without any the index is the
    exogenous price to the last bit.
    """
    if rules["feedback_weight"] > 0.0:
        state["offset"] += rules["feedback_weight"] * math.log(tradable_price(market) / market["index"])
    market["exogenous"] = exogenous
    market["index"] = exogenous * math.exp(state["offset"]) if state["offset"] != 0.0 else exogenous


@kernel
def move_oracle(market, state, history, lag, step):
    """Store the index in the ring `history` and read it back `lag` steps old, in place."""
    history[step % history.shape[0]] = market["index"]
    # A growing lag freezes the oracle; it does not show an older price than before.
    state["oracle_step"] = max(state["oracle_step"], step - lag)
    market["oracle"] = history[state["oracle_step"] % history.shape[0]]


@kernel
def mark_price(market, state, rules):
    """Return the mark of one instrument from its current oracle, basis, mid and last."""
    rule = rules["mark"]
    oracle = market["oracle"]
    if rule == INDEX:
        return oracle
    if rule == MID:
        return known(market["mid"], oracle)
    last = known(market["last"], oracle)
    if rule == LAST:
        return last
    fair = oracle * (1.0 + market["basis"])
    if rule == INDEX_EMA_BASIS:
        return fair
    carried = oracle * (1.0 + market["funding_rate"] * state["funding_left"])
    return max(min(carried, fair), min(max(carried, fair), last))
