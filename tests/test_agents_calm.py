"""The default market on a quiet hour: spread, depth against its profile, mark near the index, no spiral."""

import numpy as np
import pytest
from agents_support import simulate

from spirals.agents.population import Population
from spirals.simulation.engine import Engine
from spirals.simulation.market.depth import GappedDepth, LinearDepth, PowerDepth, SquareRootDepth

STEPS, WARM_UP = 3600, 300
# Largest median spread and largest standard deviation of mid and mark around the index [bp]; the books
# differ by three orders of magnitude in depth at the touch, so the thin ones move more.
BOUNDS = {LinearDepth: (1.6, 3.0), PowerDepth: (2.2, 3.0), SquareRootDepth: (2.6, 4.0), GappedDepth: (1.6, 3.0)}


@pytest.fixture(scope="module", params=list(BOUNDS), ids=lambda model: model.__name__)
def hour(request):
    core = simulate(seed=1, steps=STEPS, depth=request.param(), population=Population(), engine=Engine())
    return request.param, core, core.recorder.steps[WARM_UP:, 0]


def bp(steps, price):
    return np.log(steps[price] / steps["index"]) * 1e4


def test_spread_is_about_one_to_two_basis_points(hour):
    model, _, steps = hour
    spread = steps["spread"] / steps["mid"] * 1e4
    assert not np.isnan(spread).any()
    assert 0.5 <= np.median(spread) <= BOUNDS[model][0]


def test_depth_matches_the_profile_within_noise(hour):
    _, core, steps = hour
    depth = core.population.depths[0]
    profile = np.array([float(depth.cumulative(x)) for x in (0.001, 0.005, 0.01)])
    measured = 0.5 * (steps["depth_bid"] + steps["depth_ask"]).mean(axis=0)
    # Within 10 bp the thin books are lumpy: a few orders make the band.
    assert measured[1:] / profile[1:] == pytest.approx([1.0, 1.0], abs=0.15)
    assert measured[0] / profile[0] == pytest.approx(1.0, abs=0.35)


def test_mark_and_mid_stay_near_the_index_and_come_back(hour):
    model, _, steps = hour
    mark, mid = bp(steps, "mark"), bp(steps, "mid")
    assert mark.std() < 1.0 and np.abs(mark).max() < 5.0
    assert abs(mid.mean()) < 1.0 and mid.std() < BOUNDS[model][1]
    # Mean reversion: the deviation has lost its memory after a minute.
    assert abs(np.corrcoef(mid[:-60], mid[60:])[0, 1]) < 0.2


def test_the_venue_neither_adds_nor_hides_volatility(hour):
    _, _, steps = hour
    mid, index = (np.diff(np.log(steps[name][::60])).std() for name in ("mid", "index"))
    assert mid / index == pytest.approx(1.0, abs=0.15)


def test_nothing_spirals(hour):
    _, core, steps = hour
    totals = core.recorder.totals
    assert totals["liquidated_accounts"].sum() <= 0.01 * 1000
    assert totals["bad_debt"].sum() == 0.0
    forced = steps["sold_notional"][:, 1].sum() + steps["bought_notional"][:, 1].sum()
    assert forced < 0.005 * 6e8
    assert core.population.maker_state["away_until"].tolist() == [-1, -1, -1]
