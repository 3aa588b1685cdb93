"""Market: advances outside price, index, oracle, mark, volatility and funding rate, one call per step."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.contracts import Instrument
from spirals.simulation.errors import InputError
from spirals.simulation.kernel import kernel
from spirals.simulation.market.feed_state import FEED_RULES, FEED_STATE
from spirals.simulation.market.funding import FUNDING_KINDS, Funding, pay_funding, sample_premium
from spirals.simulation.market.outside_world import SECONDS_PER_DAY, Forks, OutsidePath, OutsideWorld
from spirals.simulation.market.price_feed import (
    MARKS,
    PriceFeed,
    mark_price,
    move_index,
    move_oracle,
    update_basis,
)
from spirals.simulation.market.random_crash import drawn_shocks
from spirals.simulation.market.shocks import Shock, apply_price_shocks, schedule
from spirals.simulation.market.view import MarketState
from spirals.simulation.market.volatility import (
    ESTIMATORS,
    KINDS,
    SOURCES,
    VolatilityEstimator,
    sample_volatility,
)
from spirals.simulation.state import MARKET

__all__ = ["Market", "advance_market", "remark_market"]

FROM_INDEX, FROM_MARK, FROM_MID, FROM_LAST = range(4)


class Market:
    """Stage 1 of the loop: everything about prices that is not the book.

    Step k moves the market from row k - 1 to row k of the outside path. What the venue knew at the end of
    step k - 1 (mid and last, filled in by the book) enters basis, premium and index feedback; then come
    the new exogenous price, index, oracle, mark and volatility.

    Parameters
    ----------
    instruments : sequence of Instrument
    outside_world : OutsideWorld
    shocks : sequence of Shock
        Random ones are drawn from `seed`; the attribute of this name holds them as drawn.
    price_feed : PriceFeed
    volatility : VolatilityEstimator
    funding : Funding
    n_steps : int
        At least 1.
    step_seconds : float
        [s]
    seed : int
    opening_seconds : float
        [s] Time of day (UTC) at the opening, for outside paths without a date; decides when funding is due.
    frozen_inputs : ndarray of shape (n_steps + 1, n_instruments), optional
        [quote] Recorded exogenous prices that replace the outside path; they contain their price shocks,
        so none is applied again. Depth, flow and oracle shocks act as always.

    Attributes
    ----------
    record : ndarray of shape (n_instruments,), MARKET
        The market, in place for the whole run; the book fills mid, last, quotes and depth.
    state : MarketState
        View of `record`.
    depth_factor : ndarray of shape (n_instruments,), float64
        [fraction] What scripted shocks leave of ordinary depth in this step. Read only.
    flow_notional : ndarray of shape (n_instruments,), float64
        [quote] Scripted market orders of this step, buys positive. Read only.
    funding_due : bool
        Whether a funding interval ended in this step.

    Raises
    ------
    InputError
        With every problem of path, shocks and opening price.
    """

    record: NDArray[Any]
    _price: NDArray[np.float64]

    def __init__(
        self,
        instruments: Sequence[Instrument],
        outside_world: OutsideWorld,
        shocks: Sequence[Shock],
        price_feed: PriceFeed,
        volatility: VolatilityEstimator,
        funding: Funding,
        n_steps: int,
        step_seconds: float,
        seed: int,
        opening_seconds: float = 0.0,
        frozen_inputs: NDArray[np.float64] | None = None,
    ) -> None:
        self.price_feed, self.volatility, self.funding = price_feed, volatility, funding
        self.outside_world, self.shocks = outside_world, drawn_shocks(shocks, seed)
        self.n_steps, self.step_seconds, self.seed = n_steps, step_seconds, seed
        self.forks: Forks = ()
        self._held = n_steps   # step from which the outside stands still
        self.path = self._path(instruments, seed, frozen_inputs)
        known = self.path.opening_seconds
        self.opening_seconds = opening_seconds if known is None else known
        self._schedule = schedule(self.shocks, n_steps, step_seconds, len(instruments))
        self._rules = self._flat_rules()
        self._open(len(instruments))

    def advance(self, step: int) -> MarketState:
        """Advance to `step`, which must be the next one (or the current one: then nothing happens).

        Raises
        ------
        ValueError
            When a step is skipped or repeated out of order, or lies beyond the path.
        """
        due = advance_market(
            step, self._price, self._oracle_lag, self._rules,
            self.record, self._feed, self._history, self._window,
        )
        if due < 0:
            raise ValueError(f"steps go one by one up to {self.n_steps}: at {self.step}, asked for {step}")
        self.state.step = step
        self.funding_due = due > 0
        if self._scripted:
            self._read_schedule(step)
        return self.state

    def hold(self, move: float = 0.0) -> None:
        """Let the outside price and the schedule of shocks stand still from here on, until a state is restored.

        What a state would do by itself, or after one further move, without knowledge of what is still to come.

        Parameters
        ----------
        move : float
            [log price] That the outside price makes at the next step before it stands still.
        """
        self._held = self.step
        self._price = self.path.price.copy()
        self._price[self._held + 1:] = self._price[self._held] * math.exp(move)

    def remark(self) -> None:
        """Recompute the mark from the current mid and last price; time, basis and volatility stand still."""
        remark_market(self._rules, self.record, self._feed)

    def pay_funding(self, accounts: NDArray[Any], positions: NDArray[Any], contracts: NDArray[Any]) -> int:
        """Pay the funding that is due in this step, once; return the atoms that went to the fee account."""
        if not self.funding_due:
            return 0
        self.funding_due = False
        return int(pay_funding(accounts, positions, contracts, self.record, self._feed))

    @property
    def step(self) -> int:
        """The step that the market stands at; 0 at the opening."""
        return int(self._feed["step"][0])

    @property
    def index_offset(self) -> NDArray[np.float64]:
        """Permanent impact of the venue on the index [log price], shape (n_instruments,); live."""
        return np.asarray(self._feed["offset"])

    @index_offset.setter
    def index_offset(self, offset: NDArray[np.float64]) -> None:
        self._feed["offset"] = offset

    def drive_index(self) -> None:
        """From now on the index follows `index_offset` as it is set from outside, not the venue's quotes."""
        self._rules["feedback_weight"] = 0.0

    def redraw(self, forks: Forks) -> None:
        """Take the outside path whose noise is drawn anew after each of `forks`; price shocks stay as they are.

        Raises
        ------
        InputError
            An outside world without noise of its own, such as recorded prices.
        """
        if forks == self.forks:
            return
        world, n = self.outside_world, len(self.record)
        path = world.forked_path(self.n_steps, self.step_seconds, n, self.seed, forks)
        if path is None:
            raise InputError([f"outside_world must draw its noise step by step to be drawn anew after a fork, was "
                              f"{type(world).__name__}"])
        self.forks, self.path = forks, apply_price_shocks(path, self.shocks)
        self._price = self.path.price

    def fields(self) -> dict[str, str | float]:
        """Return what every result states about prices: mark, volatility source and sampling, feedback."""
        seconds = self.step_seconds
        return {
            "outside_world": type(self.outside_world).__name__,
            "mark": self.price_feed.mark,
            "basis_half_life_seconds": self.price_feed.basis_half_life_seconds,
            "index_feedback": self.price_feed.index_feedback,
            "feedback_seconds": self.price_feed.feedback_seconds,
            "oracle_latency_seconds": self.price_feed.latency_steps(seconds) * seconds,
            "volatility_source": self.volatility.source,
            "volatility_estimator": self.volatility.estimator,
            "volatility_kind": self.volatility.kind,
            "volatility_sampling_seconds": self.volatility.sample_steps(seconds) * seconds,
            "funding": self.funding.kind,
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the complete state by name: live references; `forks` (n, 2) only after a redraw."""
        found: dict[str, NDArray[Any]] = {
            "record": self.record,
            "feed": self._feed,
            "index_history": self._history,
            "volatility_window": self._window,
        }
        if self.forks:
            found["forks"] = np.array(self.forks, np.int64)
        return found

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take over the state of `arrays` (as from :meth:`arrays`) by copying it into the own arrays."""
        if self._held < self.n_steps:
            self._held, self._price = self.n_steps, self.path.price
        self.redraw(tuple((int(step), int(branch)) for step, branch in arrays.get("forks", ())))
        for name, array in self.arrays().items():
            array[...] = arrays[name]
        self.state.step = self.step
        self.funding_due = bool(self._feed["funding_due"].any())
        self._read_schedule(self.step)

    def _path(
        self, instruments: Sequence[Instrument], seed: int, frozen: NDArray[np.float64] | None
    ) -> OutsidePath:
        n = len(instruments)
        if frozen is not None:
            path = OutsidePath(np.array(frozen, dtype=np.float64, order="C"), self.step_seconds)
            problems = path.problems(self.n_steps, n)
        else:
            path = self._drawn(n, seed)
            problems = path.problems(self.n_steps, n)
            path = path if problems else apply_price_shocks(path, self.shocks)
        if not problems:
            problems = [
                f"opening price of {one.name} must be below max_price {one.max_price:g}, was {price:g}"
                for one, price in zip(instruments, path.price[0], strict=True) if price >= one.max_price
            ]
        if problems:
            raise InputError(problems)
        return path

    def _drawn(self, n_instruments: int, seed: int) -> OutsidePath:
        """Return the path of the outside world; a fault of its code names the class."""
        try:
            return self.outside_world.path(self.n_steps, self.step_seconds, n_instruments, seed)
        except (InputError, MemoryError):
            raise
        except (Exception, SystemExit) as error:
            fault = f"{type(error).__name__}: {error}"
            raise RuntimeError(f"path of {type(self.outside_world).__name__} failed ({fault})") from error

    def _flat_rules(self) -> NDArray[Any]:
        feed, volatility, funding, seconds = self.price_feed, self.volatility, self.funding, self.step_seconds
        rules = np.zeros(1, FEED_RULES)
        rules["step_seconds"] = seconds
        rules["opening_seconds"] = self.opening_seconds % SECONDS_PER_DAY
        rules["mark"] = MARKS.index(feed.mark)
        rules["feedback_weight"] = feed.feedback_weight(seconds)
        rules["basis_weight"] = feed.basis_weight(seconds)
        rules["latency_steps"] = feed.latency_steps(seconds)
        rules["volatility_source"] = SOURCES.index(volatility.source)
        rules["volatility_estimator"] = ESTIMATORS.index(volatility.estimator)
        rules["volatility_kind"] = KINDS.index(volatility.kind)
        rules["sample_steps"] = volatility.sample_steps(seconds)
        rules["sample_days"] = volatility.sample_days(seconds)
        rules["decay"] = volatility.decay(seconds)
        rules["floor"] = volatility.floor
        rules["stressed"] = volatility.stressed_volatility
        rules["funding_kind"] = FUNDING_KINDS.index(funding.kind)
        for name in ("interest_rate", "clamp", "cap", "interval_seconds"):
            rules[name] = getattr(funding, name)
        return rules

    def _open(self, n: int) -> None:
        """Allocate the state and set the market to its opening."""
        opening = self.path.price[0]
        variance = self.volatility.opening_volatility**2
        lags = int(self._rules["latency_steps"][0] + self._schedule.oracle_lag.max()) + 1
        samples = self.volatility.window_samples(self.step_seconds)
        self._price, self._oracle_lag = self.path.price, self._schedule.oracle_lag
        self._history = np.zeros((n, lags))
        self._history[:] = opening[:, None]
        self._window = np.full((n, samples), variance)
        self._feed = np.zeros(n, FEED_STATE)
        for name in ("sampled", "high", "low"):
            self._feed[name] = opening
        self._feed["variance"] = variance
        self._feed["window_sum"] = variance * samples
        phase = self._rules["opening_seconds"][0] / self.funding.interval_seconds
        self._feed["funding_left"] = 1.0 - phase % 1.0
        self.record = np.zeros(n, MARKET)
        for name in ("exogenous", "index", "oracle", "mark", "mid", "last"):
            self.record[name] = opening
        for name in ("best_bid", "best_ask", "spread"):
            self.record[name] = np.nan
        self.record["volatility"] = self.volatility.opening_estimate
        self.record["stressed_volatility"] = self.volatility.opening_stressed
        self.state = MarketState(self.record, self.step_seconds)
        self.funding_due = False
        self._scripted = max(len(self._schedule.depth_factor), len(self._schedule.flow_notional)) > 1
        self._read_schedule(0)

    def _read_schedule(self, step: int) -> None:
        depth, flow = self._schedule.depth_factor, self._schedule.flow_notional
        step = min(step, self._held)
        self.depth_factor = depth[min(step, len(depth) - 1)]
        self.flow_notional = flow[min(step, len(flow) - 1)]


@kernel
def advance_market(step, price, oracle_lag, rules, market, state, history, window):
    """Advance all instruments to `step`, in place; return how many owe funding, -1 when `step` is not next.

    `price` (n_steps + 1, n_instruments); `oracle_lag` (n_rows, n_instruments), last row for later steps;
    `rules` (1,) FEED_RULES; `market`, `state` (n_instruments,); `history`, `window` one ring per instrument.
    """
    if step == state[0]["step"]:
        return 0
    if step != state[0]["step"] + 1 or step >= price.shape[0]:
        return -1
    rule = rules[0]
    lag_row = min(step, oracle_lag.shape[0] - 1)
    due = 0
    for instrument in range(market.shape[0]):
        row = market[instrument]
        feed = state[instrument]
        feed["step"] = step
        update_basis(row, rule)
        due += sample_premium(row, feed, rule, step)
        move_index(row, feed, rule, price[step, instrument])
        lag = rule["latency_steps"] + oracle_lag[lag_row, instrument]
        move_oracle(row, feed, history[instrument], lag, step)
        row["mark"] = mark_price(row, feed, rule)
        sample_volatility(row, feed, window[instrument], rule, volatility_source(row, rule), step)
    return due


@kernel
def remark_market(rules, market, state):
    """Recompute the mark of all instruments, in place."""
    for instrument in range(market.shape[0]):
        market[instrument]["mark"] = mark_price(market[instrument], state[instrument], rules[0])


@kernel
def volatility_source(market, rules):
    """Return the price that the volatility is measured on."""
    source = rules["volatility_source"]
    if source == FROM_MARK:
        return market["mark"]
    if source == FROM_MID and market["mid"] > 0.0:
        return market["mid"]
    if source == FROM_LAST and market["last"] > 0.0:
        return market["last"]
    return market["oracle"]
