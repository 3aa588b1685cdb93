"""Identifiability: what moments can tell about parameters, and what they cannot.

The Jacobian ``G`` (moments x parameters, parameters in units of their ranges) comes from a two-level design around a
point: many simulations far apart instead of one small step per parameter, because a simulated moment jumps when one
liquidation more or less happens. Its standard errors are those of the regression, so that curvature counts as noise.
The singular values of ``W^(1/2) G`` (W: inverse variances of the moments) are the numbers of standard errors by which
the moments move when one crosses the whole range along a direction.

Sensitivity of the estimate: ``Lambda = -(G'WG)^-1 G'W`` (Andrews, Gentzkow and Shapiro 2017, "Measuring the sensitivity
of parameter estimates to estimation moments") for ``g = simulated - observed``: had a moment been observed higher by d,
the estimate would have moved by ``-Lambda d``. Sobol' indices are not identification.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Identification", "LEAST_SEEN", "fitted_plane", "identify", "sensitivity", "two_level_design"]

RANGE_ERROR = 12.0**-0.5      # standard deviation of a uniform law on a range of one: all that the range itself says
LEAST_SEEN = 1.0 / RANGE_ERROR    # below, the moments say less of a direction than the range
IDENTIFIED = 0.5              # of RANGE_ERROR: the moments must halve it
NOISE_DRAWS = 400
NOISE_QUANTILE = 0.95
SHOWN_LOADING = 0.3


@dataclasses.dataclass(frozen=True)
class Identification:
    """What a Jacobian says.

    Attributes
    ----------
    moments, parameters : tuple of str
    jacobian, jacobian_error : ndarray of shape (n_moments, n_parameters)
        Change of a moment over the whole range of a parameter, and its standard error.
    weight : ndarray of shape (n_moments,)
        Inverse variances.
    singular_values : ndarray of shape (n_parameters,)
        Of the weighted Jacobian, falling; zero beyond the number of moments.
    noise : ndarray of shape (n_parameters,)
        Singular value k that noise of the stated errors alone exceeds in one case of twenty, with the directions
        before k taken out.
    directions : ndarray of shape (n_parameters, n_parameters)
        Column k belongs to singular value k; length one, in units of ranges.
    seen : ndarray of shape (n_parameters,), bool
        Directions above the noise and above ``LEAST_SEEN``, none after the first that is not.
    lambda_ : ndarray of shape (n_parameters, n_moments)
        Sensitivity within the seen directions.
    errors : ndarray of shape (n_parameters,)
        Standard error in units of ranges: sandwich in the seen directions, a uniform law on the range in the others.
    part_seen : ndarray of shape (n_parameters,)
        Squared length of each parameter's axis within the seen directions.
    """

    moments: tuple[str, ...]
    parameters: tuple[str, ...]
    jacobian: NDArray[np.float64]
    jacobian_error: NDArray[np.float64]
    weight: NDArray[np.float64]
    singular_values: NDArray[np.float64]
    noise: NDArray[np.float64]
    directions: NDArray[np.float64]
    seen: NDArray[np.bool_]
    lambda_: NDArray[np.float64]
    errors: NDArray[np.float64]
    part_seen: NDArray[np.float64]

    @property
    def rank(self) -> int:
        """Number of directions that the moments see."""
        return int(self.seen.sum())

    @property
    def condition(self) -> float:
        """Largest over smallest singular value."""
        smallest = float(self.singular_values[-1])
        return float(self.singular_values[0]) / smallest if smallest > 1e-12 else float("inf")

    @property
    def identified(self) -> tuple[str, ...]:
        """Parameters whose standard error is less than half of what the range alone says."""
        return tuple(name for name, error in zip(self.parameters, self.errors.tolist(), strict=True)
                     if error < IDENTIFIED * RANGE_ERROR)

    @property
    def unseen(self) -> list[str]:
        """The directions that the moments do not see, in words."""
        return [words for words, seen in zip(self.words, self.seen.tolist(), strict=True) if not seen]

    @property
    def words(self) -> list[str]:
        """Every direction in words."""
        return [_direction(column, self.parameters) for column in self.directions.T]

    def as_record(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {
            "moments": list(self.moments), "parameters": list(self.parameters), "jacobian": self.jacobian.tolist(),
            "jacobian_standard_error": self.jacobian_error.tolist(), "weight": self.weight.tolist(),
            "singular_values": self.singular_values.tolist(), "noise": self.noise.tolist(), "condition": self.condition,
            "directions": self.directions.T.tolist(), "seen": self.seen.tolist(), "sensitivity": self.lambda_.tolist(),
            "standard_errors_in_ranges": self.errors.tolist(), "part_seen": self.part_seen.tolist(),
            "identified": list(self.identified), "unseen": self.unseen, "rank": self.rank,
        }


def two_level_design(n_parameters: int) -> NDArray[np.float64]:
    """Return a two-level screening design and its mirror image, shape (2 n, n_parameters), of -1 and 1.

    Columns of a Sylvester matrix (Plackett and Burman 1946): orthogonal, also within each half; with the mirror image,
    slopes are free of interactions of two parameters.
    """
    size = 2
    while size < n_parameters + 1:
        size *= 2
    matrix = np.ones((1, 1))
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    half = matrix[:, 1 : n_parameters + 1]
    return np.concatenate([half, -half])


def fitted_plane(
    points: NDArray[np.float64], centre: NDArray[np.float64], blocks: NDArray[np.int64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Fit a plane with one intercept per block (seed) to simulated moments.

    Parameters
    ----------
    points : ndarray of shape (n, n_parameters)
    centre : ndarray of shape (n_parameters,)
    blocks : ndarray of shape (n,), int64
        Number of the seed of each row.
    values : ndarray of shape (n, n_moments)

    Returns
    -------
    level : ndarray of shape (n_moments,)
        At the centre, mean over blocks.
    slope, slope_error : ndarray of shape (n_moments, n_parameters)
    covariance : ndarray of shape (n_moments, n_moments)
        Of the residuals of one simulation.
    """
    offsets = np.eye(int(blocks.max()) + 1)[blocks]
    moved = points - centre
    varied = np.ptp(moved, axis=0) > 0.0
    design = np.concatenate([offsets, moved[:, varied]], axis=1)
    solution, *_ = np.linalg.lstsq(design, values, rcond=None)
    residual = values - design @ solution
    freedom = max(len(values) - design.shape[1], 1)
    covariance = residual.T @ residual / freedom
    inverse = np.linalg.pinv(design.T @ design)
    n_blocks, n_moments = offsets.shape[1], values.shape[1]
    slope, error = np.zeros((n_moments, points.shape[1])), np.full((n_moments, points.shape[1]), np.inf)
    slope[:, varied] = solution[n_blocks:].T
    error[:, varied] = np.sqrt(np.outer(np.diag(covariance), np.diag(inverse)[n_blocks:]))
    return solution[:n_blocks].mean(axis=0), slope, error, covariance


def sensitivity(jacobian: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Lambda = -(G'WG)^-1 G'W, shape (n_parameters, n_moments), for weights on the diagonal of W."""
    weighted = jacobian.T * weight
    return np.asarray(-np.linalg.solve(weighted @ jacobian, weighted))


def identify(
    moments: Sequence[str], parameters: Sequence[str], jacobian: NDArray[np.float64],
    jacobian_error: NDArray[np.float64], covariance: NDArray[np.float64],
) -> Identification:
    """Return what a Jacobian says about parameters.

    Parameters
    ----------
    moments, parameters : sequence of str
    jacobian, jacobian_error : ndarray of shape (n_moments, n_parameters)
        Parameters in units of their ranges.
    covariance : ndarray of shape (n_moments, n_moments)
        Of observed less mean simulated moments; the weights are the inverses of its diagonal.
    """
    weight = 1.0 / np.diag(covariance)
    root = np.sqrt(weight)[:, None]
    left, found, across = np.linalg.svd(root * jacobian)
    n = len(parameters)
    values = np.zeros(n)
    values[: len(found)] = found[:n]
    finite = np.where(np.isfinite(jacobian_error), jacobian_error, 0.0)
    noise = _noise(root * finite, left, across.T)
    seen = np.logical_and.accumulate(values > np.maximum(noise, LEAST_SEEN))
    basis = across.T[:, seen]
    lambda_ = basis @ sensitivity(jacobian @ basis, weight) if seen.any() else np.zeros((n, len(moments)))
    part_seen = np.minimum((basis**2).sum(axis=1), 1.0)
    errors = np.sqrt(np.diag(lambda_ @ covariance @ lambda_.T) + (1.0 - part_seen) * RANGE_ERROR**2)
    return Identification(tuple(moments), tuple(parameters), jacobian, jacobian_error, weight, values, noise, across.T,
                          seen, lambda_, errors, part_seen)


def _noise(
    error: NDArray[np.float64], left: NDArray[np.float64], right: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return what noise alone gives for each singular value, with the directions before it taken out."""
    draws = np.random.default_rng(0).standard_normal((NOISE_DRAWS, *error.shape)) * error
    turned = left.T @ draws @ right
    n_moments, n = error.shape
    return np.array([float(np.quantile(np.linalg.norm(turned[:, k:, k:], 2, axis=(1, 2)), NOISE_QUANTILE))
                     if k < n_moments else np.inf for k in range(n)])


def _direction(vector: NDArray[np.float64], parameters: Sequence[str]) -> str:
    """Return a direction in words: up and down, the largest loading first, small ones left out."""
    order = np.argsort(-np.abs(vector), kind="stable")
    vector = vector if vector[order[0]] > 0 else -vector
    words = [f"{'more' if vector[k] > 0 else 'less'} {parameters[k]} ({vector[k]:+.2f})"
             for k in order if abs(vector[k]) >= SHOWN_LOADING]
    return " with ".join(words)
