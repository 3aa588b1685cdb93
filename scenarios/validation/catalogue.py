"""CASES: the validation cases, in the order in which they run."""

from spirals.scenarios.validation.basel_cycle import BaselCycle
from spirals.scenarios.validation.cascade import Cascade
from spirals.scenarios.validation.case import Case
from spirals.scenarios.validation.default_market import DefaultMarket
from spirals.scenarios.validation.fire_sales import FireSales
from spirals.scenarios.validation.leverage_tails import LeverageTails
from spirals.scenarios.validation.margin_dials import MarginDials
from spirals.scenarios.validation.multipliers import Multipliers
from spirals.scenarios.validation.order_book import OrderBookLaws
from spirals.scenarios.validation.real_book import RealBook

__all__ = ["CASES"]

CASES: dict[str, type[Case]] = {
    "cascade": Cascade,
    "spiral-multipliers": Multipliers,
    "basel-cycle": BaselCycle,
    "leverage-tails": LeverageTails,
    "margin-dials": MarginDials,
    "order-book": OrderBookLaws,
    "fire-sales": FireSales,
    "default-market": DefaultMarket,
    "real-book": RealBook,
}
