"""Theory against measurement: one file per case, each with formulas, bands, a figure and mutations of its model.

``spirals validate`` runs the cases; ``spirals validate --mutations`` shows that they can fail.
"""

from spirals.scenarios.validation.case import Case, Mechanism, Panel, Row, Run
from spirals.scenarios.validation.catalogue import CASES
from spirals.scenarios.validation.runner import CaseResult, run_case, run_cases
from spirals.scenarios.validation.select import select_cases

__all__ = [
    "CASES", "Case", "CaseResult", "Mechanism", "Panel", "Row", "Run", "run_case", "run_cases", "select_cases",
]
