"""The order book: queue races, zero intelligence, market making and impact, through the simulation's matching."""

import dataclasses
import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from spirals.scenarios.validation.book_markets import Book, best_queue_race, quoting_paths, zero_intelligence
from spirals.scenarios.validation.case import Case, Check, Line, Mechanism, Run
from spirals.scenarios.validation.maker_law import MakerLaw, maker_law
from spirals.scenarios.validation.race_law import RaceLaw, reach_probability, time_alone
from spirals.simulation.contracts import Instrument
from spirals.simulation.market.depth import Depth, PowerDepth, SquareRootDepth
from spirals.simulation.order_book import OrderBook
from spirals.simulation.parameters import parameter
from spirals.simulation.randomness import stream_key
from spirals.simulation.state import BUY, ORDER, SELL, OrderKind

__all__ = ["OrderBookLaws"]

TABLE = "table, reproduced at these parameters only"
RACES = ((1, 1), (1, 2), (2, 1), (2, 2))            # published
LONG_RACE = (1, 5)
MOST_EVENTS = 1000.0                                # of a race, in the mean
ERRORS = 3.5                                        # standard errors either way of a formula
SPREADS = {0.2: 0.767, 0.05: 0.556, 0.02: 0.497}     # cancellation over market-order rate: spread x alpha / mu
DEPOSIT, WINDOW = 0.02, 400
PARTS = 20
PUBLISHED = {"gamma": 0.1, "volatility": 2.0, "k": 1.5, "rate": 140.0}
MAKER_STEPS = 200
MAKER_TICK, OPENING = 0.001, 100.0
PRICE_TICKS, V_TICK, V_LOT = 100_000, 0.01, 0.001


@dataclasses.dataclass(frozen=True)
class OrderBookLaws(Case):
    """Order book: queue races, zero-intelligence spreads, quotes and P&L of a market maker, square-root impact."""

    name = "order-book"
    source = ("Cont, Stoikov and Talreja (2010); Smith et al. (2003); Avellaneda and Stoikov (2008); "
              "Toth et al. (2011)")
    mechanisms = (
        Mechanism("race limits", "rate of limit orders at the best prices", ("races",), flip=False),
        Mechanism("race takes", "rate of market orders at the best prices", ("races",), flip=False),
        Mechanism("takes", "rate of market orders, zero intelligence", ("zero",), flip=False),
        Mechanism("cancels", "rate of cancellation, zero intelligence", ("zero",), flip=False),
        Mechanism("skew", "the maker's response to inventory", ("maker",)),
        Mechanism("spread", "risk aversion that the maker's quotes use", ("quotes", "maker"), flip=False),
        Mechanism("arrivals", "rate of orders that meet the maker", ("maker",), flip=False),
        Mechanism("shape", "exponent of depth in distance", ("impact",), flip=False),
    )
    fixed: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("alpha", "mu", "eps", "window"), f"no formula gives these spreads; {TABLE}")

    limit_rate: float = parameter(1.85, unit="per unit of time", low=0, high=20)
    market_rate: float = parameter(0.94, unit="per unit of time", above=0, high=20)
    cancel_rate: float = parameter(0.71, unit="per order and unit of time", above=0, high=20)
    gamma: float = parameter(PUBLISHED["gamma"], above=0, high=2, help="risk aversion behind the quotes")
    k: float = parameter(PUBLISHED["k"], above=0.1, high=20, help="decay of fills with distance")
    volatility: float = parameter(PUBLISHED["volatility"], above=0, high=5, help="of the mid")
    rate: float = parameter(PUBLISHED["rate"], above=0, high=MAKER_STEPS,
                            help="of orders that would fill a quote at the mid: at most one per step")
    exponent: float = parameter(2.0, low=0.5, high=4, help="of cumulative depth in distance; 2: V-shaped")

    def problems(self) -> list[str]:
        found, rates = super().problems(), (self.limit_rate, self.market_rate, self.cancel_rate)
        if not found:
            most = max(LONG_RACE)
            events = 2.0 * (self.limit_rate + self.market_rate + self.cancel_rate * most) * time_alone(*rates, most)
            if events > MOST_EVENTS or reach_probability(*rates, most) > 1e-6:
                found.append("queues grow faster than they are emptied; limit_rate must be smaller, or market_rate or "
                             "cancel_rate larger")
        return found

    def checks(self) -> dict[str, Check]:
        return {"races": self.races, "zero": self.zero, "quotes": self.quotes, "maker": self.maker,
                "impact": self.impact}

    def races(self, run: Run) -> None:
        """Which of the best queues empties first, and when."""
        trials = run.pick(100_000, 1_000_000)
        law = RaceLaw(self.limit_rate, self.market_rate, self.cancel_rate)
        for bids, asks in (*RACES, LONG_RACE):
            key = stream_key(run.seed, f"validation.order_book.race.{bids}.{asks}")
            rises, waited, squared = best_queue_race(
                key, Book(64, 4096).arrays(), bids, asks, self.limit_rate * run.factor("race limits"),
                self.market_rate * run.factor("race takes"), self.cancel_rate, trials, 32)
            share, mean = rises / trials, waited / trials
            expected = law.rise_probability(bids, asks)
            error = math.sqrt(expected * (1.0 - expected) / trials)
            run.row(f"P(mid rises), queues ({bids}, {asks})", share, expected,
                    absolute=0.01 if (bids, asks) in RACES else ERRORS * error, error=error,
                    formula="first passage of two birth-death queues")
            error = math.sqrt(max(squared / trials - mean**2, 0.0) / trials)
            run.row(f"mean time until a queue is empty, from ({bids}, {asks})", mean, law.mean_time(bids, asks),
                    absolute=ERRORS * error + 1e-9, error=error,
                    formula=f"the same linear system with a source of 1; {ERRORS:g} s.e.")

    def zero(self, run: Run) -> None:
        """Spread of the zero-intelligence market and its scaling."""
        measured, errors = [], []
        for ratio, expected in SPREADS.items():
            spread, error = self._spread(run, ratio, DEPOSIT, WINDOW, 1.0)
            measured.append(spread)
            errors.append(error)
            run.row(f"zero intelligence: spread x alpha / mu, eps = {ratio:g}", spread, expected, relative=0.02,
                    error=error, formula=TABLE)
        for word, deposit, window, speed in (("alpha halved", 0.5 * DEPOSIT, 2 * WINDOW, 1.0),
                                             ("mu and delta doubled", DEPOSIT, 2 * WINDOW, 2.0)):
            other, error = self._spread(run, 0.05, deposit, window, speed)
            run.row(f"zero intelligence: spread, {word}, over before", other / measured[1], 1.0, absolute=0.015,
                    error=math.hypot(error / other, errors[1] / measured[1]),
                    formula="spread alpha / mu = f(delta / mu)")
        run.panel("Zero-intelligence spread", "cancellation / market-order rate", "spread x alpha / mu",
                  Line.of("reference", list(SPREADS), list(SPREADS.values())),
                  Line.of("order book", list(SPREADS), measured, True, errors), log_x=True)

    @staticmethod
    def _spread(run: Run, ratio: float, deposit: float, window: int, speed: float) -> tuple[float, float]:
        """Return the mean spread [mu / alpha] and its standard error; `speed` multiplies both rates of removal."""
        events = run.pick(4_000_000, 30_000_000)
        key = stream_key(run.seed, f"validation.order_book.zero.{ratio}.{deposit}.{speed}")
        spreads = zero_intelligence(key, Book(1 << 16, 1 << 14).arrays(), deposit, speed * run.factor("takes"),
                                    speed * ratio * run.factor("cancels"), window, events, events // 10, PARTS)
        spreads = spreads * deposit / speed
        return float(spreads.mean()), float(spreads.std(ddof=1)) / math.sqrt(PARTS)

    def quotes(self, run: Run) -> None:
        """Mean quoted spread of the optimal maker."""
        paths = self._quote(run, 1.0, 50, "quotes")
        wanted = (0.5 * self.gamma * self.volatility**2 * (MAKER_STEPS + 1.0) / MAKER_STEPS
                  + 2.0 / self.gamma * math.log(1.0 + self.gamma / self.k))
        run.row("market maker: mean quoted spread", float(paths[:, 2].mean()), wanted, relative=0.005, error=0.0,
                formula="mean of gamma s^2 (T - t) + (2 / gamma) ln(1 + gamma / k)")

    def maker(self, run: Run) -> None:
        """P&L and inventory of the maker through the book, and of one who does not skew his quotes."""
        count = run.pick(4000, 40_000)
        found = {"skewed": self._quote(run, run.factor("skew"), count, "maker"),
                 "symmetric": self._quote(run, 0.0, count, "maker")}
        laws = {name: maker_law(self.gamma, self.volatility, self.k, self.rate, MAKER_STEPS, skew, MAKER_TICK)
                for name, skew in (("skewed", 1.0), ("symmetric", 0.0))}
        for name, paths in found.items():
            maker_rows(run, name, paths, laws[name])
        if all(getattr(self, name) == value for name, value in PUBLISHED.items()):
            published_rows(run, found["skewed"], found["symmetric"])
        ends = [end for law in laws.values() for end in (law.profit.mean - 4.0 * law.profit.sd,
                                                         law.profit.mean + 4.0 * law.profit.sd)]
        edges = np.linspace(min(ends), max(ends), 53)
        lines = [Line.of(name, 0.5 * (edges[1:] + edges[:-1]), np.histogram(paths[:, 0], edges)[0])
                 for name, paths in found.items()]
        run.panel("P&L of a market maker through the book", "P&L", "paths", *lines)

    def _quote(self, run: Run, skew: float, paths: int, name: str) -> NDArray[np.float64]:
        """Return P&L, inventory and mean spread per path of the maker."""
        return np.asarray(quoting_paths(
            stream_key(run.seed, f"validation.order_book.{name}"), Book(1 << 18, 64, MAKER_TICK).arrays(),
            self.gamma * run.factor("spread"), skew, self.volatility, self.k, self.rate * run.factor("arrivals"),
            MAKER_STEPS, paths, OPENING, MAKER_TICK))

    def impact(self, run: Run) -> None:
        """Impact of a market order in a book that a depth model filled."""
        exponent = self.exponent * run.factor("shape")
        notional = 2e7
        depth: Depth = (SquareRootDepth(notional_1pct=notional, latent_from=0.2) if exponent == 2.0
                        else PowerDepth(notional_1pct=notional, latent_from=0.2, exponent=exponent))
        sizes = np.geomspace(0.003, 0.05, 12)
        shares = (sizes / 0.01) ** self.exponent
        moves = impacts(depth, notional * shares)
        slope = float(np.polyfit(np.log(shares), np.log(moves), 1)[0])
        run.row("slope of log impact in log size", slope, 1.0 / self.exponent, absolute=0.02, error=0.0,
                formula="C(x) ~ x^exponent, I = C^-1(Q)")
        law = 0.01 * shares ** (1.0 / self.exponent)
        run.row("impact over C^-1(Q), furthest from 1", float((moves / law)[np.argmax(np.abs(moves / law - 1.0))]), 1.0,
                absolute=0.03, error=0.0, formula="sqrt(2 Q / L) for a V-shaped book")
        run.panel("Impact in a V-shaped book", "size / depth within 1 %", "log price move", Line.of("law", shares, law),
                  Line.of("order book", shares, moves, True), log_x=True, log_y=True)


def maker_rows(run: Run, name: str, paths: NDArray[np.float64], law: MakerLaw) -> None:
    """Compare P&L and inventory with their law; the standard errors are those of the law."""
    count = len(paths)
    chain = f"forward recursion over inventory and time; {ERRORS:g} s.e."

    def compare(quantity: str, measured: float, expected: float, error: float) -> None:
        run.row(f"market maker, {name}: {quantity}", measured, expected, absolute=ERRORS * error, error=error,
                formula=chain)

    profit, inventory = law.profit, law.inventory
    compare("mean P&L", float(paths[:, 0].mean()), profit.mean, profit.mean_error(count))
    compare("sd of P&L", float(paths[:, 0].std(ddof=1)), profit.sd, profit.sd_error(count))
    compare("sd of inventory", float(paths[:, 1].std(ddof=1)), inventory.sd, inventory.sd_error(count))


def published_rows(run: Run, skewed: NDArray[np.float64], plain: NDArray[np.float64]) -> None:
    """Compare with the table of the published parameters."""
    count = len(skewed)
    sd, other = (float(paths[:, 0].std(ddof=1)) for paths in (skewed, plain))
    run.row("market maker: sd of P&L over that of symmetric quotes", sd / other, 0.48, absolute=0.05,
            error=sd / other / math.sqrt(count), formula=TABLE)
    run.row("market maker: mean P&L", float(skewed[:, 0].mean()), 64.9, low=62.0, high=66.0,
            error=sd / math.sqrt(count), formula=TABLE)
    run.row("market maker: sd of inventory", float(skewed[:, 1].std(ddof=1)), 2.93, relative=0.10,
            error=float(skewed[:, 1].std(ddof=1)) / math.sqrt(2.0 * count), formula=TABLE)


def impacts(depth: Depth, notionals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log price moves of market sales of `notionals` [quote] into bids that follow `depth`."""
    instrument = Instrument(tick_size=V_TICK, lot_size=V_LOT, atom=V_TICK * V_LOT, max_price=2.0 * PRICE_TICKS * V_TICK)
    ticks = np.arange(PRICE_TICKS - 1, int(PRICE_TICKS * math.exp(-0.1)), -1)
    prices = ticks * V_TICK
    held = np.diff(np.concatenate([[0.0], depth.cumulative(np.log(PRICE_TICKS / ticks))]))
    lots = np.diff(np.concatenate([[0], np.round(np.cumsum(held / prices) / V_LOT).astype(np.int64)]))
    bids = np.zeros(int((lots > 0).sum()), ORDER)
    bids["side"], bids["kind"], bids["event"] = BUY, OrderKind.LIMIT, -1
    bids["price_ticks"], bids["lots"] = ticks[lots > 0], lots[lots > 0]
    moves = []
    for notional in notionals:
        book, positions = OrderBook([instrument], 2, len(bids) + 16), np.zeros((2, 1), np.int64)
        book.match(bids.copy(), np.arange(len(bids)), positions)
        wanted = int(np.searchsorted(np.cumsum(lots * prices) * V_LOT, notional))
        sale = np.zeros(1, ORDER)
        sale["account"], sale["side"], sale["kind"], sale["event"] = 1, SELL, OrderKind.MARKET, -1
        sale["lots"] = lots[: wanted + 1].sum()
        book.match(sale, np.zeros(1, np.int64), positions)
        moves.append(math.log(PRICE_TICKS / int(book.tops["last_ticks"][0])))
    return np.array(moves)
