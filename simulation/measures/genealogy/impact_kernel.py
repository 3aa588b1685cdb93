"""Impact kernel: how much of the impact of forced flow on the mark is left after a while, fitted to one run."""

import dataclasses
import math

import numpy as np

from spirals.simulation.measures.record import Series

__all__ = ["HALF_LIVES", "NO_IMPACT", "ImpactKernel", "fit_impact"]

HALF_LIVES = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0)   # [s] tried for the decay of impact


@dataclasses.dataclass(frozen=True)
class ImpactKernel:
    """Fitted response of the log mark to forced flow: ``(permanent + transient 2^(-t / half_life))`` per quote.

    Attributes
    ----------
    permanent, transient : float
        [log price per quote], not negative.
    half_life : float
        [s]
    explained : float
        [fraction] Of the variance of the difference between run and twin.
    """

    permanent: float
    transient: float
    half_life: float
    explained: float

    def __call__(self, seconds: Series) -> Series:
        """Return what is left of a unit of impact after `seconds`."""
        return np.asarray(self.permanent + self.transient * np.exp2(-seconds / self.half_life))


NO_IMPACT = ImpactKernel(0.0, 0.0, HALF_LIVES[0], 0.0)


def fit_impact(difference: Series, flow: Series, step_seconds: float) -> ImpactKernel:
    """Fit what run less twin of the log mark keeps of signed forced flow: least squares, decay from a grid.

    Parameters
    ----------
    difference : ndarray of shape (n_steps + 1,)
        [log price] Log mark of the run less that of the twin.
    flow : ndarray of shape (n_steps + 1,)
        [quote] Signed forced flow of each step, buys positive.
    step_seconds : float
        [s]
    """
    total = float(np.dot(difference, difference))
    best = NO_IMPACT
    if total == 0.0 or not flow.any():
        return best
    left = math.inf
    for half_life in HALF_LIVES:
        columns = np.stack([np.cumsum(flow), _decayed(flow, 2.0 ** (-step_seconds / half_life))], axis=1)
        scale = np.abs(columns).max(axis=0)
        scale[scale == 0.0] = 1.0
        weights, residual = _nonnegative(columns / scale, difference)
        if residual < left:
            left = residual
            best = ImpactKernel(float(weights[0] / scale[0]), float(weights[1] / scale[1]), half_life,
                                1.0 - residual / total)
    return best


def _decayed(flow: Series, keep: float) -> Series:
    found = np.empty_like(flow)
    level = 0.0
    for place, value in enumerate(flow.tolist()):
        level = level * keep + value
        found[place] = level
    return found


def _nonnegative(columns: Series, wanted: Series) -> tuple[Series, float]:
    from scipy.optimize import nnls

    weights, norm = nnls(columns, wanted)
    return weights, float(norm) ** 2
