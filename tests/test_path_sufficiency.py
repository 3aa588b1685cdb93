"""Path sufficiency: what the observed path of the mark, with the population, settles without any knowledge of depth.

For full liquidations triggered on the mark and a rate that the path determines, the set and the timing of liquidations
do not depend on depth. So a price path, the fall of open interest and the liquidated share carry no information on
how much the liquidations amplified the fall.
"""

import numpy as np
import pytest
from markets import procyclical, run

from spirals.agents.population import Population
from spirals.simulation.market.depth import LinearDepth, PowerDepth
from spirals.simulation.market.price_feed import PriceFeed
from spirals.simulation.market.volatility import VolatilityEstimator
from spirals.simulation.measures.outcomes import outcomes
from spirals.simulation.state import Kind

# Traders who hold until they are liquidated: with orders of their own (order_rate above 0) the book decides how much
# they hold, and a few liquidations already differ between depths.
HOLDERS = Population(traders=400, long_leverage=12.0, short_leverage=8.0, stop_loss=0.0, reduce=0.0, top_up=0.0,
                     leverage_targeting=0.0, take_profit=0.0, order_rate=0.0)
VOLATILITY = dict(sampling_seconds=5.0, half_life_seconds=60.0, opening_volatility=0.0314)
PATH_GIVEN = {
    "price_feed": PriceFeed(mark="index", index_feedback=0.0),
    "volatility": VolatilityEstimator(source="index", **VOLATILITY),
}
DEPTHS = {"thin": LinearDepth(share_of_open_interest=0.03), "doubled": LinearDepth(share_of_open_interest=0.06),
          "concave": PowerDepth(share_of_open_interest=0.03, exponent=2.0)}


def liquidated(simulation):
    """Return step and account of each trader's first liquidation, in order, and its opening position."""
    rows = simulation.recorder.liquidations.rows
    rows = rows[simulation.accounts["kind"][rows["account"]] == Kind.TRADER]
    _, first = np.unique(rows["account"], return_index=True)
    return sorted(zip(rows["step"][first].tolist(), rows["account"][first].tolist(), strict=True))


@pytest.mark.parametrize("pi", [0.0, 1.0])
def test_given_the_path_of_the_mark_the_liquidations_do_not_depend_on_depth(pi):
    runs = {name: run(depth=depth, population=HOLDERS, margin=procyclical(pi), **PATH_GIVEN)
            for name, depth in DEPTHS.items()}
    thin = runs["thin"]
    assert len(liquidated(thin)) > 30
    for other in ("doubled", "concave"):
        assert np.array_equal(thin.recorder.steps["mark"], runs[other].recorder.steps["mark"])
        assert liquidated(thin) == liquidated(runs[other])
    # The books themselves were far from the same: the prices that the liquidated got differ.
    lows = {name: one.recorder.steps["mid"][:, 0].min() for name, one in runs.items()}
    assert lows["thin"] < lows["doubled"] * 0.999


def test_amplification_does_depend_on_depth_when_the_venue_moves_its_mark():
    # The same population and outside path with a mark of the venue's own: more is liquidated in the thinner book.
    own = {"price_feed": PriceFeed(mark="median", index_feedback=0.4),
           "volatility": VolatilityEstimator(source="mark", **VOLATILITY)}
    excess = {}
    for name in ("thin", "doubled"):
        full = run(depth=DEPTHS[name], population=HOLDERS, margin=procyclical(1.0), **own)
        twin = run(depth=DEPTHS[name], population=HOLDERS, margin=procyclical(1.0), twin="T1", **own)
        excess[name] = outcomes(full.record(), {"T1": twin.record()})["excess_drawdown"]
    assert excess["thin"] > excess["doubled"] + 0.002
