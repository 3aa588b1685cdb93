"""Counter-based random numbers: a draw is a function of (seed, purpose, branch, step, actor, block).

Nothing is stored between draws, so the draws of one actor never depend on what others did, and two
runs that differ only in a policy or a switch share their noise draw by draw. Only inverse transforms
are used (one uniform, one variate), so a changed parameter never shifts the numbers of another draw.

Generator: Philox-4x32-10, Salmon, Moraes, Dror and Shaw (2011), "Parallel random numbers: as easy
as 1, 2, 3", SC'11. Normal quantile: Wichura (1988), algorithm AS 241 (PPND16).
"""

import hashlib
import math

import numpy as np

from spirals.simulation.kernel import kernel

__all__ = [
    "exponential", "generator", "hash_key", "normal_quantile", "philox", "poisson_quantile", "stream_key", "uniform",
    "uniforms",
]

MASK = np.uint64(0xFFFFFFFF)
SHIFT = np.uint64(32)
MULTIPLIER_0 = np.uint64(0xD2511F53)
MULTIPLIER_1 = np.uint64(0xCD9E8D57)
WEYL_0 = np.uint64(0x9E3779B9)
WEYL_1 = np.uint64(0xBB67AE85)
SPARE_BITS = np.uint64(12)   # 52 bits and a half step are exact in a float: never 0 and never 1
SCALE = 2.0**-52

# Coefficients of AS 241, highest power first.
CENTRAL_TOP = (
    2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4,
    1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080e0,
)
CENTRAL_BOTTOM = (
    5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4,
    5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0,
)
MIDDLE_TOP = (
    7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258e0,
    3.64784832476320460504e0, 5.76949722146069140550e0, 4.63033784615654529590e0, 1.42343711074968357734e0,
)
MIDDLE_BOTTOM = (
    1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
    6.89767334985100004550e-1, 1.67638483018380384940e0, 2.05319162663775882187e0, 1.0,
)
TAIL_TOP = (
    2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2,
    2.96560571828504891230e-1, 1.78482653991729133580e0, 5.46378491116411436990e0, 6.65790464350110377720e0,
)
TAIL_BOTTOM = (
    2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
    1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0,
)


def stream_key(seed: int, purpose: str, branch: int = 0) -> np.uint64:
    """Return the 64-bit key of a stream.

    Parameters
    ----------
    seed : int
        Seed of the run, any non-negative integer (0 is valid).
    purpose : str
        Name of what is drawn, e.g. ``"background.arrivals"``.
    branch : int
        Fork of a run; 0 for the trunk.
    """
    text = f"{seed}|{purpose}|{branch}".encode()
    return np.uint64(int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little"))


def generator(seed: int, purpose: str, step: int = 0, branch: int = 0) -> np.random.Generator:
    """Return a NumPy generator for Python-side draws of one purpose and step."""
    key = int(stream_key(seed, purpose, branch))
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, step]))


@kernel
def philox(key, step, actor, block):
    """Return four random 32-bit words (as uint64).

    Parameters
    ----------
    key : uint64
        From :func:`stream_key`; its low and high half are the two key words.
    step : int
        In [0, 2**64): low half in counter word 0, high half in word 3.
    actor, block : int
        In [0, 2**32): counter words 1 and 2.
    """
    c0 = np.uint64(step) & MASK
    c1 = np.uint64(actor) & MASK
    c2 = np.uint64(block) & MASK
    c3 = np.uint64(step) >> SHIFT
    k0 = key & MASK
    k1 = key >> SHIFT
    for _ in range(10):
        product_0 = MULTIPLIER_0 * c0
        product_1 = MULTIPLIER_1 * c2
        c0, c1, c2, c3 = (
            (product_1 >> SHIFT) ^ c1 ^ k0,
            product_1 & MASK,
            (product_0 >> SHIFT) ^ c3 ^ k1,
            product_0 & MASK,
        )
        k0 = (k0 + WEYL_0) & MASK
        k1 = (k1 + WEYL_1) & MASK
    return c0, c1, c2, c3


@kernel
def uniforms(key, step, actor, block):
    """Return two independent uniforms in the open interval (0, 1) with 52 random bits each."""
    w0, w1, w2, w3 = philox(key, step, actor, block)
    first = ((w0 << SHIFT) | w1) >> SPARE_BITS
    second = ((w2 << SHIFT) | w3) >> SPARE_BITS
    return (np.float64(first) + 0.5) * SCALE, (np.float64(second) + 0.5) * SCALE


@kernel
def uniform(key, step, actor, block):
    """Return one uniform in (0, 1)."""
    return uniforms(key, step, actor, block)[0]


@kernel
def hash_key(key, step, actor):
    """Return a 32-bit tie-breaker (int64) by two rounds of a 64-bit finaliser; for orders of play only.

    Products wrap modulo 2**64 by intention (uncompiled, NumPy warns of it).
    """
    z = key ^ (np.uint64(step) * np.uint64(0x9E3779B97F4A7C15))
    z ^= np.uint64(actor) * np.uint64(0xD6E8FEB86659FD93)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.int64((z ^ (z >> np.uint64(31))) & MASK)


@kernel
def exponential(u):
    """Return the exponential variate (mean 1) of the uniform `u`."""
    return -math.log1p(-u)


@kernel
def poisson_quantile(mean, u):
    """Return the smallest k with P(Poisson(mean) <= k) >= u.

    Summed up to mean 500, where u beyond the last term that still counts gives the k of that term; above
    it the second-order Cornish-Fisher expansion (off by at most one).
    """
    if mean <= 0.0:
        return 0
    if mean > 500.0:
        z = normal_quantile(u)
        return max(0, int(math.floor(mean + math.sqrt(mean) * z + (z * z - 1.0) / 6.0 + 0.5)))
    term = math.exp(-mean)
    total = term
    k = 0
    while u > total:
        k += 1
        term *= mean / k
        if k > mean and total + term == total:
            break
        total += term
    return k


@kernel
def normal_quantile(u):
    """Return the standard normal quantile of `u` in (0, 1); relative accuracy about 1e-16."""
    q = u - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        return q * _polynomial(CENTRAL_TOP, r) / _polynomial(CENTRAL_BOTTOM, r)
    r = math.sqrt(-math.log(u if q < 0.0 else 1.0 - u))
    if r <= 5.0:
        value = _polynomial(MIDDLE_TOP, r - 1.6) / _polynomial(MIDDLE_BOTTOM, r - 1.6)
    else:
        value = _polynomial(TAIL_TOP, r - 5.0) / _polynomial(TAIL_BOTTOM, r - 5.0)
    return -value if q < 0.0 else value


@kernel
def _polynomial(coefficients, x):
    value = 0.0
    for coefficient in coefficients:
        value = value * x + coefficient
    return value
