"""The quick form of every validation case, other parameters than the published ones, and every change of sign.

Fixed seed; bands are those of the cases, stated before the measurement.
"""

import pytest

from spirals.scenarios import load_scenario
from spirals.scenarios.validation import CASES, run_case, select_cases
from spirals.scenarios.validation.mutations import noticed

FLIPS = [(name, mechanism.name) for name, cls in CASES.items() for mechanism in cls.mechanisms if mechanism.flip]


def failed(result):
    return [f"{row.quantity}: {row.measured:g} not in {row.low:g} .. {row.high:g}" for row in result.rows
            if not row.passed]


@pytest.mark.parametrize("name", CASES)
def test_theory_and_measurement_agree(name):
    assert not failed(run_case(CASES[name]()))


@pytest.mark.parametrize(("name", "checks", "overrides"), [
    ("cascade", ("amplification", "distribution", "estimators"), ["n=[0.45, 0.7]", "theta=3.5"]),
    ("cascade", ("splitting",), ["rare_n=0.7", "rare_sizes=[100]"]),
    ("cascade", ("refill",), ["refill_n=0.6", "decays=[1, 4]"]),
    ("spiral-multipliers", (), ["k=8", "margin=6", "exposure=10", "margin_slope=-0.8", "holding=15", "leverage=3",
                                "elasticity=1", "threshold_gain=0.3", "maintenance=0.02"]),
    ("basel-cycle", ("boundary", "growth", "horizon"),
     ["e_bar=[0.7, 3]", "theta=[10, 3]", "w_b=0.25", "weight=0.4", "rho=0.2", "b=[-0.8, 0.3]"]),
    ("leverage-tails", ("opening",), ["opening_aggression=3", "opening_flow=0.5", "opening_noise=0.06",
                                      "opening_leverage=30"]),
    ("margin-dials", ("step_response", "buffer", "speed_limit", "coverage"),
     ["decay=0.94", "step=3", "after_days=[1, 5, 60]", "rise=2", "buffer=0.4", "speed=0.1", "observations=[500]",
      "probabilities=[0.025]"]),
    ("order-book", ("races", "quotes", "maker", "impact"),
     ["limit_rate=1.2", "market_rate=1.1", "cancel_rate=0.4", "gamma=0.5", "k=1", "volatility=1", "rate=90",
      "exponent=1.4"]),
    ("real-book", ("gain",), ["elasticity=6", "static_gain=0.4", "maintenance=[0.01, 0.05]"]),
    ("fire-sales", (), ["holdings=[10, 40]", "depths=[50, 100]", "volatilities=[0.02, 0.01]", "correlation=0.3",
                        "intensity=1.6"]),
])
def test_the_formulas_hold_at_other_parameters_too(name, checks, overrides):
    [case] = select_cases([name], overrides)
    assert not failed(run_case(case, checks=checks))


def test_the_default_market_is_the_calm_scenario_as_it_is_shipped():
    case, calm = CASES["default-market"](), load_scenario("calm")
    assert (case.noise, case.exponent) == (calm.background.order_share, calm.depth.exponent)


@pytest.mark.parametrize(("name", "mechanism"), FLIPS)
def test_a_mechanism_with_its_sign_changed_makes_the_case_fail(name, mechanism):
    [changed] = [m for m in CASES[name].mechanisms if m.name == mechanism]
    assert noticed(CASES[name](), changed, -1.0)
