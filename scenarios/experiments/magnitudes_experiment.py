"""The experiment behind the orders of magnitude: a scripted fall of 12 % in 20 minutes through the full model.

The reduced-form experiment of the model notes (section 5) has a price that is a function of consumed
depth, one half-life of refill, 1,200 to 1,500 longs who do nothing, and no market beside it. Here the
same fall, population and policy go through the book, in two markets:

- *shipped*: background, makers, arbitrageurs, index feedback and refill as in ``flash-crash``;
- *matched*: as close as the book comes to the reduced form. Nobody but the background quotes, nothing feeds
  back to the index, refill times from 30 s at the touch to 43 s (a half-life of 30 s) 1 % away, and a weak pull to
  the index.

Elasticities of depth are zero in both unless a row varies them, so that one thing is varied at a time.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BOOKS", "MARKETS", "Cell", "Laboratory", "paired", "ratio_less_one"]

FALL = math.log(1.0 - 0.12)
START, RAMP, STEPS = 300.0, 1200.0, 1800
OPEN_INTEREST = 6e8
CALM = 0.0314            # [per sqrt day] volatility of the outside before the fall
WARM_UP = 300            # [steps] before the mean volatility of a calm run is taken
HALF_LIFE_TO_MEAN = 1.0 / math.log(2.0)

COMMON: tuple[str, ...] = (
    f'shocks=[{{type="PriceJump",at={START},size={FALL:.6f},ramp_seconds={RAMP}}}]', f"steps={STEPS}",
    f"population.open_interest={OPEN_INTEREST}", "population.traders=2600", "population.long_leverage=7.5",
    *(f"population.{name}=0.0" for name in ("reduce", "top_up", "stop_loss", "take_profit", "trend_following",
                                            "contrarian", "leverage_targeting", "order_rate")),
    "depth.flow_elasticity=0.0",
)
MARKETS: dict[str, tuple[str, ...]] = {
    "shipped": (),
    "matched": (
        'price_feed.mark="mid"', "price_feed.index_feedback=0.0", "makers.count=0", "arbitrageurs.count=0",
        "engine.round_seconds=0.0", "background.nearest_bp=0.7", "background.anchor_bp=10.0",
        "background.index_weight=0.2", "background.far_index_weight=0.2", "depth.fast_refill_seconds=30.0",
        f"depth.slow_refill_seconds={30.0 * HALF_LIFE_TO_MEAN:.1f}",
    ),
}
BOOKS: dict[str, tuple[str, ...]] = {
    "linear": ('depth.type="LinearDepth"', "depth.share_of_open_interest=0.06"),
    "exponent 1.5": ('depth.type="PowerDepth"', "depth.exponent=1.5", "depth.share_of_open_interest=0.015"),
    "square root": ('depth.type="SquareRootDepth"', "depth.share_of_open_interest=0.004"),
}


@dataclasses.dataclass(frozen=True)
class Cell:
    """One setting of the experiment.

    Attributes
    ----------
    book : str
        One of :data:`BOOKS`.
    share : float
        [fraction of open interest] Depth within 1 %; 0: the book's own.
    pi : float
        Procyclicality with equal mean on a calm run; -1: a static rate of `maintenance`.
    maintenance : float
        Maintenance rate in calm times; the initial rate is twice that.
    half_life : float
        [s] Of the volatility that the policy reads, and with it makers and background: one estimate serves all.
    elasticity : float
        Of depth in volatility.
    more : tuple of str
        Further overrides, ``PATH=VALUE``.
    """

    book: str = "linear"
    share: float = 0.0
    pi: float = -1.0
    maintenance: float = 0.015
    half_life: float = 600.0
    elasticity: float = 0.0
    more: tuple[str, ...] = ()


class Laboratory:
    """Runs cells once each and keeps what came out.

    Parameters
    ----------
    market : str
        One of :data:`MARKETS`.
    seeds : sequence of int
        The same for all cells, so that cells are compared pair by pair.
    """

    def __init__(self, market: str, seeds: Sequence[int]) -> None:
        self.market, self.seeds = market, tuple(seeds)
        self._found: dict[tuple[Cell, bool], dict[str, NDArray[np.float64]]] = {}
        self._scales: dict[Cell, float] = {}

    def outcomes(self, cell: Cell, twin: bool = False) -> dict[str, NDArray[np.float64]]:
        """Return every outcome of a cell, one value per seed; with `twin` those against T1 too."""
        if (cell, True) in self._found:
            return self._found[cell, True]
        if (cell, twin) not in self._found:
            from spirals.scenarios import load_scenario, run

            scenario = load_scenario("flash-crash", overrides=self._overrides(cell, self._scale(cell)))
            rows = [run(scenario, seed=seed, twins=["T1"] if twin else []).outcomes for seed in self.seeds]
            self._found[cell, twin] = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        return self._found[cell, twin]

    def value(self, name: str, cell: Cell) -> NDArray[np.float64]:
        """Return drawdown [pp], gross bad debt [bp of open interest] or liquidated longs [of open interest]."""
        found = self.outcomes(cell)
        if name == "drawdown":
            return 100.0 * found["drawdown_mark"]
        if name == "bad_debt":
            return 1e4 * found["bad_debt_gross"] / OPEN_INTEREST
        # Longs only, as in the notes; NaN without liquidations.
        return np.nan_to_num(found["liquidated_to_opening_oi"] * found["liquidated_long_share"])

    def effect(self, name: str, first: Cell, second: Cell) -> NDArray[np.float64]:
        """Return `second` less `first`, seed by seed."""
        return self.value(name, second) - self.value(name, first)

    def amplification(self, cell: Cell) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the drawdowns with and without price impact of forced orders (twin T1)."""
        found = self.outcomes(cell, twin=True)
        return found["drawdown_mark"], found["twin_drawdown_mark"]

    def _overrides(self, cell: Cell, scale: float, *, shocks: bool = True) -> list[str]:
        found = [*COMMON, *MARKETS[self.market], *BOOKS[cell.book], *cell.more,
                 f"depth.volatility_elasticity={cell.elasticity}", f"volatility.half_life_seconds={cell.half_life}"]
        if cell.share > 0.0:
            found.append(f"depth.share_of_open_interest={cell.share}")
        if not shocks:
            found.append("shocks=[]")
        if cell.pi < 0.0:
            return [*found, f'margin={{type="Static",initial={2.0 * cell.maintenance},maintenance={cell.maintenance}}}']
        hours = 24.0 * (2.0 * cell.maintenance / (2.326 * CALM)) ** 2
        return [*found, f"margin.VolatilityScaled.horizon_hours={hours:.6f}", f"margin.Procyclicality.pi={cell.pi}",
                'margin.Procyclicality.normalisation="equal_mean"', f"margin.Procyclicality.scale={scale:.6f}"]

    def _scale(self, cell: Cell) -> float:
        """Return the factor of equal mean, from a calm run of the same market with the first seed."""
        if cell.pi <= 0.0:
            return 1.0
        calm = dataclasses.replace(cell, pi=0.0, elasticity=0.0, more=())
        if calm not in self._scales:
            from spirals.scenarios import load_scenario, run

            scenario = load_scenario("flash-crash", overrides=self._overrides(calm, 1.0, shocks=False))
            record: Any = run(scenario, seed=self.seeds[0]).record
            self._scales[calm] = float(np.mean(record.steps["volatility"][WARM_UP:, 0] / CALM))
        # With pi below 1 the mean of the ratio to the power pi; Jensen's gap is far below the tolerance of the table.
        return self._scales[calm] ** -cell.pi


def paired(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return mean and standard error over seeds."""
    mean = float(np.mean(values))
    return mean, float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


def ratio_less_one(full: NDArray[np.float64], twin: NDArray[np.float64]) -> tuple[float, float]:
    """Return the ratio of means less one, and its standard error by the delta method."""
    ratio = float(np.mean(full) / np.mean(twin))
    _, error = paired((full - ratio * twin) / float(np.mean(twin)))
    return ratio - 1.0, error
