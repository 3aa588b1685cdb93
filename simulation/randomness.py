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

__all__ = ["exponential", "generator", "hash_key", "normal_quantile", "poisson_quantile", "stream_key", "uniform", "uniforms"]

MASK = np.uint64(0xFFFFFFFF)
SHIFT = np.uint64(32)
MULTIPLIER_0 = np.uint64(0xD2511F53)
MULTIPLIER_1 = np.uint64(0xCD9E8D57)
WEYL_0 = np.uint64(0x9E3779B9)
WEYL_1 = np.uint64(0xBB67AE85)
SCALE = 2.0**-53


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
    return np.random.Generator(np.random.Philox(key=int(stream_key(seed, purpose, branch)), counter=[0, 0, 0, step]))


@kernel
def philox(key, step, actor, block):
    """Return four 32-bit words (as uint64) of the counter (step, actor, block, 0)."""
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
    """Return two independent uniforms in the open interval (0, 1) with 53 random bits each."""
    w0, w1, w2, w3 = philox(key, step, actor, block)
    first = ((w0 << SHIFT) | w1) >> np.uint64(11)
    second = ((w2 << SHIFT) | w3) >> np.uint64(11)
    return (np.float64(first) + 0.5) * SCALE, (np.float64(second) + 0.5) * SCALE


@kernel
def uniform(key, step, actor, block):
    """Return one uniform in (0, 1)."""
    return uniforms(key, step, actor, block)[0]


@kernel
def hash_key(key, step, actor):
    """Return a 32-bit tie-breaker (int64) by two rounds of a 64-bit finaliser; for orders of play only."""
    z = key ^ (np.uint64(step) * np.uint64(0x9E3779B97F4A7C15)) ^ (np.uint64(actor) * np.uint64(0xD6E8FEB86659FD93))
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.int64((z ^ (z >> np.uint64(31))) & MASK)


@kernel
def exponential(u):
    """Return the exponential variate (mean 1) of the uniform `u`."""
    return -math.log1p(-u)


@kernel
def poisson_quantile(mean, u):
    """Return the smallest k with P(Poisson(mean) <= k) >= u; a rounded normal above mean 500."""
    if mean <= 0.0:
        return 0
    if mean > 500.0:
        return max(0, int(math.floor(mean + math.sqrt(mean) * normal_quantile(u) + 0.5)))
    term = math.exp(-mean)
    total = term
    k = 0
    while u > total and k < 2000:
        k += 1
        term *= mean / k
        total += term
    return k


@kernel
def normal_quantile(u):
    """Return the standard normal quantile of `u` in (0, 1); relative accuracy about 1e-16."""
    q = u - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        top = (((((((2.5090809287301226727e3 * r + 3.3430575583588128105e4) * r + 6.7265770927008700853e4) * r
              + 4.5921953931549871457e4) * r + 1.3731693765509461125e4) * r + 1.9715909503065514427e3) * r
              + 1.3314166789178437745e2) * r + 3.3871328727963666080e0)
        bottom = (((((((5.2264952788528545610e3 * r + 2.8729085735721942674e4) * r + 3.9307895800092710610e4) * r
                 + 2.1213794301586595867e4) * r + 5.3941960214247511077e3) * r + 6.8718700749205790830e2) * r
                 + 4.2313330701600911252e1) * r + 1.0)
        return q * top / bottom
    r = u if q < 0.0 else 1.0 - u
    r = math.sqrt(-math.log(r))
    if r <= 5.0:
        r -= 1.6
        top = (((((((7.74545014278341407640e-4 * r + 2.27238449892691845833e-2) * r + 2.41780725177450611770e-1) * r
              + 1.27045825245236838258e0) * r + 3.64784832476320460504e0) * r + 5.76949722146069140550e0) * r
              + 4.63033784615654529590e0) * r + 1.42343711074968357734e0)
        bottom = (((((((1.05075007164441684324e-9 * r + 5.47593808499534494600e-4) * r + 1.51986665636164571966e-2) * r
                 + 1.48103976427480074590e-1) * r + 6.89767334985100004550e-1) * r + 1.67638483018380384940e0) * r
                 + 2.05319162663775882187e0) * r + 1.0)
    else:
        r -= 5.0
        top = (((((((2.01033439929228813265e-7 * r + 2.71155556874348757815e-5) * r + 1.24266094738807843860e-3) * r
              + 2.65321895265761230930e-2) * r + 2.96560571828504891230e-1) * r + 1.78482653991729133580e0) * r
              + 5.46378491116411436990e0) * r + 6.65790464350110377720e0)
        bottom = (((((((2.04426310338993978564e-15 * r + 1.42151175831644588870e-7) * r + 1.84631831751005468180e-5) * r
                 + 7.86869131145613259100e-4) * r + 1.48753612908506148525e-2) * r + 1.36929880922735805310e-1) * r
                 + 5.99832206555887937690e-1) * r + 1.0)
    value = top / bottom
    return -value if q < 0.0 else value
