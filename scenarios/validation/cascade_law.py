"""Closed forms of the cascade law: generalised Poisson, Borel, and the amplification with refill.

Consul and Jain (1973), Technometrics 15; Borel (1942). The refill law was derived for this project.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["borel_tail", "generalised_poisson", "refill_amplification"]


def generalised_poisson(sizes: ArrayLike, theta: float, n: float) -> NDArray[np.float64]:
    """Return ``theta (theta + s n)^(s-1) exp(-theta - s n) / s!`` for sizes s >= 0.

    Examples
    --------
    >>> float(generalised_poisson(0, 2.0, 0.5).round(6)) == round(math.exp(-2.0), 6)
    True
    """
    from scipy.special import gammaln

    s = np.asarray(sizes, np.float64)
    inner = theta + s * n
    return np.asarray(np.exp(math.log(theta) + (s - 1.0) * np.log(inner) - inner - gammaln(s + 1.0)))


def borel_tail(size: int, n: float) -> float:
    """Return P(S >= size) of a cascade from one seed: the sum of ``exp(-n s) (n s)^(s-1) / s!`` from `size` on.

    Examples
    --------
    >>> f"{borel_tail(200, 0.8):.3e} {borel_tail(400, 0.8):.3e}"
    '5.892e-05 2.266e-07'
    """
    from scipy.special import gammaln

    decay = n - 1.0 - math.log(n)   # terms fall as exp(-decay s): far enough for double precision
    s = np.arange(size, size + int(60.0 / max(decay, 1e-5)) + 1000, dtype=np.float64)
    terms = np.exp((s - 1.0) * np.log(n * s) - n * s - gammaln(s + 1.0))
    return float(terms[::-1].sum())


def refill_amplification(n: float, decays: ArrayLike) -> NDArray[np.float64]:
    """Return ``1 + (n / kT) (1 - exp(-kT / (1 - n)))``, kT = `decays` above 0: decay rate times duration of the ramp.

    Examples
    --------
    >>> refill_amplification(0.8, [0.5, 2.0, 10.0]).round(3)
    array([2.469, 1.4  , 1.08 ])
    """
    kt = np.asarray(decays, np.float64)
    return np.asarray(1.0 - n / kt * np.expm1(-kt / (1.0 - n)))
