"""Measures: pure functions of a finished run, definitions with units in their docstrings.

========================  ==================================================================
``record``                what a measure may read
``drawdown``              fall, rise and overshoot of log prices
``forced_flow``           forced notional by cause, its timing, liquidations against open interest
``cascades``              clusters of liquidations
``losses``                bad debt, fund, auto-deleveraging, profit and loss by class
``procyclicality``        path of the margin rate, coverage tests
``liquidity``             depth left, spread, recovery
``efficiency``            margin locked, leverage allowed
``amplification``         full run against twins
``attribution``           shares of channels and causes: Shapley, first-in, last-out, Owen
``genealogy``             who set off whom: ``forced_trades``, ``impact_kernel``, ``crossing``,
                          ``consumed_shares``, ``but_for`` and ``family_tree``
``branching``             laws of cascade sizes, estimators from counts
``intervals``             intervals over replications
``outcomes``              all of it under flat names
``catalogue``             the names with meaning and unit
========================  ==================================================================
"""

from spirals.simulation.measures.amplification import ratio_of_means
from spirals.simulation.measures.catalogue import MEASURES
from spirals.simulation.measures.outcomes import outcomes
from spirals.simulation.measures.record import RunRecord

__all__ = ["MEASURES", "RunRecord", "outcomes", "ratio_of_means"]
