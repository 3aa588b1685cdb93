"""VolatilityEstimator: the volatility that margin policies read, from a stated source at a stated interval.

The source is looked at once per sampling interval. What happens in between (bid-ask bounce, the
interpolation of bars) is invisible to the close estimator; the range estimator sees only its extremes.
"""

import dataclasses
import math

from spirals.simulation.kernel import kernel
from spirals.simulation.market.outside_world import SECONDS_PER_DAY
from spirals.simulation.parameters import Part, parameter

__all__ = ["ESTIMATORS", "KINDS", "SOURCES", "VolatilityEstimator", "sample_volatility"]

SOURCES = ("index", "mark", "mid", "last")
KINDS = ("ewma", "rolling")
ESTIMATORS = ("close", "range")
ROLLING = KINDS.index("rolling")
RANGE = ESTIMATORS.index("range")
RANGE_TO_VARIANCE = 1.0 / (4.0 * math.log(2.0))


@dataclasses.dataclass(frozen=True)
class VolatilityEstimator(Part):
    """Realised volatility per square root of a day.

    One observation per sampling interval of length D days: ``v = r^2 / D`` with the log return r between
    two sampled prices, or (`estimator` range) ``v = (ln high/low)^2 / (4 ln 2 D)`` with the extremes since
    the last sample (Parkinson 1980). Then

    - ewma: ``s^2 <- w s^2 + (1 - w) v``, ``w = 2^(-sampling_seconds / half_life_seconds)``. t samples after a
      step of the true volatility from s0 to k s0, ``E s_t^2 = s0^2 (k^2 - (k^2 - 1) w^t)``.
    - rolling: the mean of v over the last `window_seconds`.

    The opening value stands for the time before the run: it starts the EWMA and fills the window.

    Attributes
    ----------
    source : {"mark", "index", "mid", "last"}
        Price that is sampled; "index" is the index as the venue sees it, the oracle. A source that the
        venue cannot move means that forced flow cannot raise margins.
    sampling_seconds : float
        [s] Rounded to a whole number of steps, at least one.
    estimator : {"close", "range"}
    kind : {"ewma", "rolling"}
    half_life_seconds : float
        [s] Of the EWMA.
    window_seconds : float
        [s] Of the rolling mean, and of the value whose largest is the stressed volatility.
    opening_volatility : float
        [per sqrt day] Estimate at the opening.
    floor : float
        [per sqrt day] Smallest estimate that is reported.
    stressed_volatility : float
        [per sqrt day] Of a stressed period; 0: the largest rolling value so far, the opening included.
    """

    source: str = parameter("mark", choices=SOURCES, help="price that is sampled")
    sampling_seconds: float = parameter(60.0, unit="s", above=0, help="interval between two samples")
    estimator: str = parameter("close", choices=ESTIMATORS, help="what is seen of an interval")
    kind: str = parameter("ewma", choices=KINDS, help="how observations are averaged")
    half_life_seconds: float = parameter(3600.0, unit="s", above=0, help="half-life of the EWMA")
    window_seconds: float = parameter(3600.0, unit="s", above=0, help="window of the rolling mean")
    opening_volatility: float = parameter(0.03, unit="per sqrt day", low=0, high=10, help="at the opening")
    floor: float = parameter(0.0, unit="per sqrt day", low=0, high=10, help="smallest estimate")
    stressed_volatility: float = parameter(
        0.0, unit="per sqrt day", low=0, high=10, help="of a stressed period; 0: largest rolling value so far"
    )

    def problems(self) -> list[str]:
        found = super().problems()
        if not found and self.window_seconds < self.sampling_seconds:
            found.append(f"window_seconds must be at least sampling_seconds {self.sampling_seconds:g} s, "
                         f"was {self.window_seconds:g}")
        return found

    def sample_steps(self, step_seconds: float) -> int:
        """Return the number of steps between two samples."""
        return max(1, round(self.sampling_seconds / step_seconds))

    def window_samples(self, step_seconds: float) -> int:
        """Return the number of samples in the rolling window."""
        return max(1, round(self.window_seconds / (self.sample_steps(step_seconds) * step_seconds)))

    def decay(self, step_seconds: float) -> float:
        """Return w, the weight of the old EWMA variance at a sample."""
        return 2.0 ** (-self.sample_steps(step_seconds) * step_seconds / self.half_life_seconds)

    def sample_days(self, step_seconds: float) -> float:
        """Return the sampling interval in days."""
        return self.sample_steps(step_seconds) * step_seconds / SECONDS_PER_DAY

    @property
    def opening_estimate(self) -> float:
        """Estimate reported at the opening [per sqrt day]."""
        return max(self.floor, self.opening_volatility)

    @property
    def opening_stressed(self) -> float:
        """Stressed volatility at the opening [per sqrt day]."""
        return self.stressed_volatility or self.opening_volatility


@kernel
def sample_volatility(market, state, window, rules, source, step):
    """Look at `source` and update one instrument's estimate at the end of a sampling interval, in place.

    `market`, `state`, `rules` are records of MARKET, FEED_STATE and FEED_RULES; `window` (n_samples,)
    holds the last observations.
    """
    state["high"] = max(state["high"], source)
    state["low"] = min(state["low"], source)
    if step % rules["sample_steps"] != 0:
        return
    if rules["volatility_estimator"] == RANGE:
        spread = math.log(state["high"] / state["low"])
        observation = spread * spread * RANGE_TO_VARIANCE / rules["sample_days"]
    else:
        change = math.log(source / state["sampled"])
        observation = change * change / rules["sample_days"]
    place = state["samples"] % window.shape[0]
    state["window_sum"] += observation - window[place]
    window[place] = observation
    if place == 0:  # once per window, so that rounding never accumulates
        state["window_sum"] = 0.0
        for sample in range(window.shape[0]):
            state["window_sum"] += window[sample]
    rolling = max(0.0, state["window_sum"]) / window.shape[0]
    state["samples"] += 1
    state["sampled"] = source
    state["high"] = source
    state["low"] = source
    state["variance"] = rules["decay"] * state["variance"] + (1.0 - rules["decay"]) * observation
    estimate = rolling if rules["volatility_kind"] == ROLLING else state["variance"]
    market["volatility"] = max(rules["floor"], math.sqrt(estimate))
    if rules["stressed"] == 0.0:
        market["stressed_volatility"] = max(market["stressed_volatility"], math.sqrt(rolling))
