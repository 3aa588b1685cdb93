"""Stage 1, market: what everybody can see before anybody decides.

One file per idea: :mod:`outside_world` (the exogenous price; historical bars, diffusions, constant),
:mod:`shocks` (scripted perturbations), :mod:`price_feed` (index, oracle, mark), :mod:`volatility`,
:mod:`funding`, :mod:`market` (which advances them all in one compiled call) and :mod:`view`
(:class:`~spirals.simulation.market.view.MarketState`, the record handed to stage 2).
"""
