"""The order book: queue races, zero intelligence, market making and impact, through the simulation's matching."""

import dataclasses
import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from spirals.scenarios.validation.book_markets import Book, best_queue_race, quoting_paths, zero_intelligence
from spirals.scenarios.validation.case import Case, Check, Line, Mechanism, Run
from spirals.simulation.contracts import Instrument
from spirals.simulation.market.depth import Depth, PowerDepth, SquareRootDepth
from spirals.simulation.order_book import OrderBook
from spirals.simulation.parameters import parameter
from spirals.simulation.randomness import stream_key
from spirals.simulation.state import BUY, ORDER, SELL, OrderKind

__all__ = ["OrderBookLaws"]

TABLE = "table, reproduced at these parameters only"
RACES = ((1, 1), (1, 2), (2, 1), (2, 2))
QUEUE_LIMIT = 80
SPREADS = {0.2: 0.767, 0.05: 0.556, 0.02: 0.497}     # cancellation over market-order rate: spread x alpha / mu
DEPOSIT, WINDOW = 0.02, 400
PARTS = 20
MAKER = {"gamma": 0.1, "volatility": 2.0, "k": 1.5, "rate": 140.0, "steps": 200}
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
    gamma: float = parameter(0.1, above=0, high=2, help="risk aversion behind the quotes (P&L: at .1 only)")
    k: float = parameter(1.5, above=0.1, high=20, help="decay of fills with distance (P&L: at 1.5 only)")
    volatility: float = parameter(2.0, above=0, high=5, help="of the mid (P&L: at 2 only)")
    exponent: float = parameter(2.0, low=0.5, high=4, help="of cumulative depth in distance; 2: V-shaped")

    def checks(self) -> dict[str, Check]:
        return {"races": self.races, "zero": self.zero, "quotes": self.quotes, "maker": self.maker,
                "impact": self.impact}

    def races(self, run: Run) -> None:
        """Which of the best queues empties first."""
        trials = run.pick(100_000, 1_000_000)
        for bids, asks in RACES:
            key = stream_key(run.seed, f"validation.order_book.race.{bids}.{asks}")
            rises = best_queue_race(key, Book(64, 4096).arrays(), bids, asks,
                                    self.limit_rate * run.factor("race limits"),
                                    self.market_rate * run.factor("race takes"), self.cancel_rate, trials, 32) / trials
            run.row(f"P(mid rises), queues ({bids}, {asks})", rises,
                    race_probability(self.limit_rate, self.market_rate, self.cancel_rate, bids, asks), absolute=0.01,
                    error=math.sqrt(rises * (1.0 - rises) / trials), formula="first passage of two birth-death queues")

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
        setting = {**MAKER, "gamma": self.gamma * run.factor("spread"), "k": self.k, "volatility": self.volatility}
        paths = quote(run, setting, 1.0, 50, "quotes")
        steps = MAKER["steps"]
        wanted = (0.5 * self.gamma * self.volatility**2 * (steps + 1.0) / steps
                  + 2.0 / self.gamma * math.log(1.0 + self.gamma / self.k))
        run.row("market maker: mean quoted spread", float(paths[:, 2].mean()), wanted, relative=0.005, error=0.0,
                formula="mean of gamma s^2 (T - t) + (2 / gamma) ln(1 + gamma / k)")

    def maker(self, run: Run) -> None:
        """P&L and inventory of the maker through the book, against one who does not skew his quotes."""
        count = run.pick(4000, 40_000)
        setting = {**MAKER, "gamma": MAKER["gamma"] * run.factor("spread"),
                   "rate": MAKER["rate"] * run.factor("arrivals")}
        skewed = quote(run, setting, run.factor("skew"), count, "maker")
        plain = quote(run, setting, 0.0, count, "maker")
        sd, other = (float(paths[:, 0].std(ddof=1)) for paths in (skewed, plain))
        run.row("market maker: sd of P&L over that of symmetric quotes", sd / other, 0.48, absolute=0.05,
                error=sd / other / math.sqrt(count), formula=TABLE)
        run.row("market maker: mean P&L", float(skewed[:, 0].mean()), 64.9, low=62.0, high=66.0,
                error=sd / math.sqrt(count), formula=TABLE)
        run.row("market maker: sd of inventory", float(skewed[:, 1].std(ddof=1)), 2.93, relative=0.10,
                error=float(skewed[:, 1].std(ddof=1)) / math.sqrt(2.0 * count), formula=TABLE)
        edges = np.linspace(0.0, 130.0, 53)
        lines = [Line.of(name, 0.5 * (edges[1:] + edges[:-1]), np.histogram(paths[:, 0], edges)[0])
                 for name, paths in (("inventory", skewed), ("symmetric", plain))]
        run.panel("P&L of a market maker through the book", "P&L", "paths", *lines)

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


def race_probability(limit: float, market: float, cancel: float, bids: int, asks: int) -> float:
    """Return P(the ask queue empties first): harmonic function of two independent birth-death queues.

    Queues are cut at 80 orders, which a queue with cancellation does not reach.
    """
    from scipy.sparse import lil_matrix
    from scipy.sparse.linalg import spsolve

    n = QUEUE_LIMIT
    matrix, right = lil_matrix((n * n, n * n)), np.zeros(n * n)
    for b in range(1, n + 1):
        for a in range(1, n + 1):
            row = (b - 1) * n + a - 1
            births = {(min(b + 1, n), a): limit, (b, min(a + 1, n)): limit}
            deaths = {(b - 1, a): market + cancel * b, (b, a - 1): market + cancel * a}
            matrix[row, row] = sum(births.values()) + sum(deaths.values())
            for (to_b, to_a), rate in (*births.items(), *deaths.items()):
                if to_a == 0:
                    right[row] += rate
                elif to_b > 0:
                    matrix[row, (to_b - 1) * n + to_a - 1] -= rate
    return float(spsolve(matrix.tocsr(), right)[(bids - 1) * n + asks - 1])


def quote(run: Run, setting: dict[str, float], skew: float, paths: int, name: str) -> NDArray[np.float64]:
    """Return P&L, inventory and mean spread per path of the maker."""
    book = Book(1 << 18, 64, MAKER_TICK)
    return np.asarray(quoting_paths(
        stream_key(run.seed, f"validation.order_book.{name}"), book.arrays(), setting["gamma"], skew,
        setting["volatility"], setting["k"], setting["rate"], int(setting["steps"]), paths, OPENING, MAKER_TICK))


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
