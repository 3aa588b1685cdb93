"""Stage 2, margin policy: from the market to initial and maintenance rates.

Policies: :class:`Static`, :class:`Tiered`, :class:`VolatilityScaled`. Wrappers change how fast and how far the rate
follows the estimate, and nest in any order::

    UpdateInterval(Floor(Procyclicality(VolatilityScaled(), pi=0.5), floor=0.02), seconds=28800.0)

To write one, see :mod:`spirals.simulation.margin.policy`; to check it, :func:`check_policy`.
"""

from spirals.simulation.margin.applies_to import AppliesTo
from spirals.simulation.margin.bounds import Cap, Floor
from spirals.simulation.margin.buffer import Buffer
from spirals.simulation.margin.check import check_policy, policy_problems
from spirals.simulation.margin.coverage import equal_coverage_scale
from spirals.simulation.margin.grandfather import Grandfather
from spirals.simulation.margin.notice import Notice
from spirals.simulation.margin.policy import MarginPolicy, as_dataclass
from spirals.simulation.margin.printing import to_toml
from spirals.simulation.margin.procyclicality import Procyclicality, equal_mean_scale
from spirals.simulation.margin.ramp import Ramp
from spirals.simulation.margin.rate_history import rate_history
from spirals.simulation.margin.requirement import MarginRequirement, requirement_of
from spirals.simulation.margin.speed_limit import SpeedLimit
from spirals.simulation.margin.states import flatten_state, unflatten_state
from spirals.simulation.margin.static import Static
from spirals.simulation.margin.stressed_weight import StressedWeight
from spirals.simulation.margin.tiered import BINANCE_BTCUSDT_2024_10_24, Tiered
from spirals.simulation.margin.update_interval import UpdateInterval
from spirals.simulation.margin.volatility_scaled import VolatilityScaled
from spirals.simulation.margin.wrapper import Transform, Wrapper

__all__ = [
    "BINANCE_BTCUSDT_2024_10_24", "POLICIES",
    "AppliesTo", "Buffer", "Cap", "Floor", "Grandfather", "MarginPolicy", "MarginRequirement", "Notice",
    "Procyclicality", "Ramp", "SpeedLimit", "Static", "StressedWeight", "Tiered", "Transform", "UpdateInterval",
    "VolatilityScaled", "Wrapper",
    "as_dataclass", "check_policy", "equal_coverage_scale", "equal_mean_scale", "flatten_state", "policy_problems",
    "rate_history", "requirement_of", "to_toml", "unflatten_state",
]

POLICIES: dict[str, type[MarginPolicy]] = {
    "Static": Static,
    "Tiered": Tiered,
    "VolatilityScaled": VolatilityScaled,
    "Procyclicality": Procyclicality,
    "Floor": Floor,
    "Cap": Cap,
    "Buffer": Buffer,
    "StressedWeight": StressedWeight,
    "SpeedLimit": SpeedLimit,
    "UpdateInterval": UpdateInterval,
    "Notice": Notice,
    "Ramp": Ramp,
    "Grandfather": Grandfather,
    "AppliesTo": AppliesTo,
}
"""Names for the catalogue and for ``type = ...`` in a scenario; the summary is the first line of the docstring."""
