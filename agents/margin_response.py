"""How strongly traders respond to the initial margin that is offered, stated once.

A tighter rate is not free: with an elasticity e, what responds (leverage chosen at the opening, open
interest, the rate of orders and arrivals) is multiplied by ``(reference / rate)^e``. Elasticity 0, or a
rate equal to the reference, changes nothing at all.
"""

import math

from spirals.simulation.kernel import inlined

__all__ = ["margin_response"]


@inlined
def margin_response(reference, rate, elasticity):
    """Return the factor ``(reference / rate)^elasticity``; exactly 1 at the reference or without elasticity.

    Parameters
    ----------
    reference, rate : float
        Initial margin rates [fraction of notional], above 0.
    elasticity : float
        Of what responds in the leverage offered, ``1 / rate``.
    """
    if elasticity == 0.0 or rate <= 0.0 or rate == reference:
        return 1.0
    return math.pow(reference / rate, elasticity)
