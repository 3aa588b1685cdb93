"""Funding: transfers between longs and shorts that tie a perpetual to its index."""

import dataclasses
import math

from spirals.simulation.kernel import kernel
from spirals.simulation.parameters import Part, parameter
from spirals.simulation.state import FEES_ROW, Mode

__all__ = ["FUNDING_KINDS", "Funding", "pay_funding", "premium_clamp_rate", "sample_premium"]

FUNDING_KINDS = ("none", "premium_clamp")
NONE = FUNDING_KINDS.index("none")
FEES = FEES_ROW
ISOLATED = Mode.ISOLATED


@dataclasses.dataclass(frozen=True)
class Funding(Part):
    """Funding rate from the mean premium of an interval, paid on the notional at the mark.

    ``rate = P + clamp(interest_rate - P, -clamp, clamp)``, then cut to ``[-cap, cap]``; P is the mean over
    the interval of ``mid / oracle - 1``, sampled every step. A positive rate is paid by longs to shorts.
    Intervals end at whole multiples of `interval_seconds` of the day (UTC). Venues take the premium from
    impact prices of a stated notional; here it is that of the mid. Source: Binance, funding rate
    documentation (interest 0.01 % per 8 h, clamp 0.05 %).

    Attributes
    ----------
    kind : {"premium_clamp", "none"}
    interest_rate, clamp, cap : float
        [fraction per interval] The cap of 0.3 % is 0.75 times a maintenance rate of 0.4 % (Binance's rule,
        from memory).
    interval_seconds : float
        [s] At most a day.
    """

    kind: str = parameter("premium_clamp", choices=FUNDING_KINDS, help="rule of the rate")
    interest_rate: float = parameter(0.0001, unit="fraction per interval", low=-0.1, high=0.1)
    clamp: float = parameter(0.0005, unit="fraction per interval", low=0, high=0.1, help="half-width")
    cap: float = parameter(0.003, unit="fraction per interval", low=0, high=1, help="largest absolute rate")
    interval_seconds: float = parameter(28800.0, unit="s", above=0, high=86400, help="time between payments")

    def rate(self, premium: float) -> float:
        """Return the funding rate [fraction per interval] of a mean premium; 0 for kind none."""
        if self.kind == "none":
            return 0.0
        return premium_clamp_rate(premium, self.interest_rate, self.clamp, self.cap)


@kernel
def premium_clamp_rate(premium, interest, clamp, cap):
    """Return ``P + clamp(I - P)`` cut to the cap."""
    rate = premium + min(max(interest - premium, -clamp), clamp)
    return min(max(rate, -cap), cap)


@kernel
def sample_premium(market, state, rules, step):
    """Add the premium of the last step to the running mean; set the rate when an interval ends, in place."""
    state["funding_due"] = 0
    if rules["funding_kind"] == NONE:
        return 0
    mid = market["mid"]
    premium = mid / market["oracle"] - 1.0 if mid > 0.0 else 0.0
    state["premium_samples"] += 1
    if state["premium_samples"] == 1:
        market["premium"] = premium
    else:
        market["premium"] += (premium - market["premium"]) / state["premium_samples"]
    now = (rules["opening_seconds"] + step * rules["step_seconds"]) / rules["interval_seconds"] + 1e-9
    before = now - rules["step_seconds"] / rules["interval_seconds"]
    state["funding_left"] = 1.0 - (now - math.floor(now))
    if math.floor(now) == math.floor(before):
        return 0
    market["funding_rate"] = premium_clamp_rate(
        market["premium"], rules["interest_rate"], rules["clamp"], rules["cap"]
    )
    state["premium_samples"] = 0
    state["funding_due"] = 1
    return 1


@kernel
def pay_funding(accounts, positions, contracts, market, state):
    """Pay the funding that is due, in place; return the atoms that went to the fee account.

    Every holder pays ``round(lots * mark * lot_value * rate)`` atoms (receives, if negative) from cash,
    or from the collateral of the position in isolated mode. What rounding leaves goes to the fee
    account, so both the money and the `funding` column (fee account included) are conserved exactly.
    The flag `funding_due` is cleared, so a second call pays nothing.

    Parameters
    ----------
    accounts : ndarray of shape (n_accounts,), ACCOUNT
    positions : ndarray of shape (n_accounts, n_instruments), POSITION
    contracts : ndarray of shape (n_instruments,), CONTRACT
    market : ndarray of shape (n_instruments,), MARKET
    state : ndarray of shape (n_instruments,), FEED_STATE
    """
    remainder = 0
    for instrument in range(state.shape[0]):
        if state[instrument]["funding_due"] == 0:
            continue
        state[instrument]["funding_due"] = 0
        row = market[instrument]
        atoms_per_lot = row["mark"] * contracts[instrument]["lot_value"] * row["funding_rate"]
        paid = 0
        for account in range(positions.shape[0]):
            position = positions[account, instrument]
            if position["lots"] == 0:
                continue
            amount = int(math.floor(position["lots"] * atoms_per_lot + 0.5))
            position["funding"] -= amount
            if accounts[account]["mode"] == ISOLATED:
                position["collateral"] -= amount
            else:
                accounts[account]["cash"] -= amount
            paid += amount
        accounts[FEES]["cash"] += paid
        positions[FEES, instrument]["funding"] += paid
        remainder += paid
    return remainder
