"""What is known of each crash beside its bars: figures that may be scored, figures that may not, and why.

A figure is scored only where venue, leg and window are those of the shipped bars. The others are named, with the
reason, so that nobody adds them by mistake.
"""

import dataclasses
import math
from typing import TYPE_CHECKING

from spirals.scenarios.calibration.event_moments import (
    EventMoment,
    FlowBars,
    Windows,
    bar_moments,
    jackknife_errors,
    path_moments,
    windows,
)

if TYPE_CHECKING:
    from spirals.scenarios.inputs.scenario import Scenario

__all__ = ["FACTS", "Band", "EventFacts", "NotScored", "observed_moments"]

OWN = "matches: venue, leg and window are those of the bars"
UNITS = {
    "net_sold_fall": "share of volume", "net_sold_after": "share of volume", "volume_surge": "log",
    "volume_after": "log", "volume_on_range": "log per log", "return_on_flow": "log per unit share",
    "bar_range": "log", "calm_turnover": "log of open interest per minute",
    "net_sold_per_percent": "fraction of open interest per log-%",
}
DERIVED = "net_sold_per_percent"    # follows from turnover, surge and net sold share: no further evidence


@dataclasses.dataclass(frozen=True)
class Band:
    """A published figure as a band; its error is the width over the square root of twelve."""

    name: str
    unit: str
    low: float
    high: float
    use: str
    source: str
    match: str


@dataclasses.dataclass(frozen=True)
class NotScored:
    """A published figure that must not be held against this simulation."""

    figure: str
    reason: str


@dataclasses.dataclass(frozen=True)
class EventFacts:
    """What is known of one event beside its bars.

    Attributes
    ----------
    open_interest : float
        [base] Before the event, of the venue of the bars; NaN when not known.
    open_interest_source : str
    bands : tuple of Band
    not_scored : tuple of NotScored
    """

    open_interest: float = math.nan
    open_interest_source: str = ""
    bands: tuple[Band, ...] = ()
    not_scored: tuple[NotScored, ...] = ()


COUNT = NotScored("number of trades", "a simulated order stands for many; counts have no common unit")
FACTS = {
    "october-2025": EventFacts(
        130_000.0, "Binance BTC open interest before the event (press)",
        (Band("depth_left", "fraction", 0.02, 0.10, "fitted",
              "least depth over depth before, minutes after 21:00: tracked tokens -98 %, books -90 % or more (YQ and "
              "FTI, both through press)",
              "window and leg match; venue in part: books of many tokens, the bars' own book is not known"),),
        (
            NotScored("open interest of Binance 130k to 105k BTC (-19 %)", "window: over days, not the leg"),
            NotScored("open interest, all venues BTC -14 to -17 %, all assets -30 %", "venue and window: 48 hours"),
            NotScored("liquidated 19.1-19.4 billion in 24 h, 3.21 billion in the peak minute (CoinGlass, Amberdata)",
                      "venue and window: all venues and assets; Binance publishes at most one liquidation a second"),
            NotScored("liquidation and auto-deleveraging fills on Hyperliquid, 21:15-21:27", "venue"),
            NotScored("insurance fund of Binance -15 %", "all contracts share it"),
            NotScored("price half-recovered in one to two days", "window: the bars end at 21:44"),
            COUNT,
        ),
    ),
    "black-thursday-2020": EventFacts(
        bands=(
            Band("fall_beyond_outside", "log", 0.0, 0.057, "fitted",
                 "perpetual -.340 against spot -.283 log in the leg (Binance; the spot bars are not shipped)",
                 "matches in venue and leg; lows not synchronous, hence a band from none to the whole difference"),
        ),
        not_scored=(
            NotScored("open interest of XBTUSD about -50 %, all futures about -50 %", "venue and window: two legs"),
            NotScored("liquidated more than 0.7 billion in the first leg, 1.2 billion longs in all", "venue: BitMEX"),
            NotScored("bids of 20 million left at one point", "venue: BitMEX; the depth before is not known"),
            NotScored("no auto-deleveraging, the fund grew", "venue and window: BitMEX, whole event"),
            NotScored("hour-end wedge -.6 % between perpetual and spot",
                      "the minute is not stated closely enough where a minute moves 1-10 %, and the spot bars are not "
                      "shipped"),
            NotScored("volume over open interest", "venue: volume of Binance, open interest known of BitMEX alone"),
            NotScored("second leg, low 3,622", "window: the minute bars cover the first leg"),
            COUNT,
        ),
    ),
}


def observed_moments(scenario: "Scenario", bars: FlowBars) -> tuple[tuple[EventMoment, ...], Windows, EventFacts]:
    """Return the moments of an event, from bars, published bands and the path; its windows; what else is known."""
    facts = FACTS.get(scenario.name, EventFacts())
    spans = windows(bars.price)
    values = bar_moments(bars, spans, open_interest=facts.open_interest)
    errors = jackknife_errors(bars, spans, facts.open_interest)
    found = []
    for name, value in values.items():
        use = "checked" if name == DERIVED else "fitted"
        source = "bars of the event" + (f"; {facts.open_interest_source}" if name in list(values)[7:] else "")
        match = OWN if use == "fitted" else "matches, but follows from turnover, surge, net sold share and the fall"
        found.append(EventMoment(name, UNITS[name], value, errors[name], use, source, match))
    for band in facts.bands:
        found.append(EventMoment(band.name, band.unit, 0.5 * (band.low + band.high),
                                 (band.high - band.low) / math.sqrt(12.0), band.use, band.source, band.match))
    for name, value in path_moments(bars, spans).items():
        found.append(EventMoment(name, "log", value, 0.0, "construction", "bars of the event",
                                 "no evidence: the path is solved so that the mark does this; shown is the last price"))
    return tuple(found), spans, facts
