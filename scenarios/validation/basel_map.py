"""The six-dimensional map of the Basel leverage cycle, and the closed form of its stability.

Aymanns, Caccioli, Farmer and Tan (2016), "Taming the Basel leverage cycle", Journal of Financial Stability. State:
perceived variance, fundamentalist's weight, price, bank's share, liabilities, last price.
"""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.kernel import kernel

__all__ = ["BankingSystem", "critical_by_jacobian", "critical_in_theory", "cubic_radius", "lyapunov", "orbit",
           "return_rate", "swing_growth"]

Array = NDArray[np.float64]
STATE = 6
VARIANCE, WEIGHT, PRICE, SHARE, LIABILITIES, LAST = range(STATE)
# rows of the array of parameters that the kernels read
NAMES = ("tau", "t_var", "delta", "theta", "eta", "variance_floor", "alpha", "b", "e_bar", "w_b", "mu", "rho")
TAU, T_VAR, DELTA, THETA, ETA, FLOOR, ALPHA, B, E_BAR, W_B, MU, RHO = range(len(NAMES))
DIFFERENCE = 1e-6


@dataclasses.dataclass(frozen=True)
class BankingSystem:
    """Parameters, with the published values; times in years, rates per year.

    `alpha` is the level of the leverage policy ``alpha (variance + variance_floor)^b``.
    """

    tau: float = 0.1
    t_var: float = 0.1
    delta: float = 0.5
    theta: float = 10.0
    eta: float = 10.0
    variance_floor: float = 1e-6
    alpha: float = 0.075
    b: float = -0.5
    e_bar: float = 2.27
    w_b: float = 0.3
    mu: float = 25.0
    rho: float = 0.1
    weight: float = 0.5

    def row(self) -> Array:
        """Return the parameters as the kernels read them."""
        return np.array([getattr(self, name) for name in NAMES])

    def at_leverage(self, leverage: float) -> "BankingSystem":
        """Return the system whose policy asks for `leverage` when nothing moves."""
        return dataclasses.replace(self, alpha=leverage / self.variance_floor**self.b)

    def state(self, variance: float = 0.0) -> Array:
        """Return the state at rest, at the target leverage of `variance`; a fixed point for 0."""
        leverage = self.alpha * (variance + self.variance_floor) ** self.b
        assets = leverage * self.e_bar
        return np.array([variance, self.weight, self.mu, assets * self.w_b / self.mu, assets - self.e_bar, self.mu])


@kernel
def advance(row, state, new):
    """Write the next state into `new`; no noise. Returns whether the price stayed positive and finite."""
    tau, w_b, mu = row[TAU], row[W_B], row[MU]
    price, share, weight = state[PRICE], state[SHARE], state[WEIGHT]
    jump = math.log(price / state[LAST]) * row[T_VAR] / tau
    target = row[ALPHA] * (state[VARIANCE] + row[FLOOR]) ** row[B]
    assets = price * share / w_b
    equity = assets - state[LIABILITIES]
    borrowed = tau * row[THETA] * (target * equity - assets)
    flow = tau * row[ETA] * (row[E_BAR] - equity)
    cash_bank = (1.0 - w_b) * share * price / w_b + flow
    cash_fund = (1.0 - weight) * (1.0 - share) * price / weight - flow
    heavier = weight + weight / price * tau * row[RHO] * (mu - price)
    below = 1.0 - w_b * share - (1.0 - share) * heavier
    fresh = (w_b * (cash_bank + borrowed) + heavier * cash_fund) / below
    new[VARIANCE] = (1.0 - tau * row[DELTA]) * state[VARIANCE] + tau * row[DELTA] * jump * jump
    new[WEIGHT] = heavier
    new[PRICE] = fresh
    new[SHARE] = w_b * (share * fresh + cash_bank + borrowed) / fresh
    new[LIABILITIES] = state[LIABILITIES] + borrowed
    new[LAST] = price
    return fresh > 0.0 and fresh < 1e12


@kernel
def orbit(row, start, steps):
    """Return states of shape (steps + 1, 6); NaN from where the price leaves the positive numbers."""
    states = np.full((steps + 1, STATE), np.nan)
    states[0] = start
    for step in range(steps):
        if not advance(row, states[step], states[step + 1]):
            states[step + 1] = np.nan
            break
    return states


@kernel
def lyapunov(row, start, warm_up, steps, gap):
    """Return the largest Lyapunov exponent per step: two orbits, renormalised to `gap` in every step.

    Distances are relative to price, share and liabilities; the variance is left out of them.
    """
    here, other = start.copy(), start.copy()
    next_here, next_other = np.zeros(STATE), np.zeros(STATE)
    scale = np.array([0.0, 1.0, 1.0 / row[MU], 1.0, 1.0 / row[MU], 1.0 / row[MU]])
    other[PRICE] *= 1.0 + gap
    total = 0.0
    for step in range(warm_up + steps):
        if not (advance(row, here, next_here) and advance(row, other, next_other)):
            return np.inf
        distance = 0.0
        for place in range(STATE):
            distance += ((next_other[place] - next_here[place]) * scale[place]) ** 2
        distance = max(math.sqrt(distance), 1e-300)
        if step >= warm_up:
            total += math.log(distance / gap)
        for place in range(STATE):
            here[place] = next_here[place]
            other[place] = next_here[place] + (next_other[place] - next_here[place]) * gap / distance
        other[VARIANCE] = max(other[VARIANCE], 0.0)
    return total / steps


def jacobian(system: BankingSystem) -> Array:
    """Return the Jacobian of the whole map at its fixed point by central differences, shape (6, 6)."""
    row, centre = system.row(), system.state()
    matrix = np.empty((STATE, STATE))
    up, down = np.empty(STATE), np.empty(STATE)
    for place in range(STATE):
        step = DIFFERENCE * (system.variance_floor if place == VARIANCE else max(abs(centre[place]), 1e-3))
        for sign, new in ((1.0, up), (-1.0, down)):
            moved = centre.copy()
            moved[place] += sign * step
            advance(row, moved, new)
        matrix[:, place] = (up - down) / (2.0 * step)
    return matrix


def radius(system: BankingSystem) -> float:
    """Return the largest modulus of an eigenvalue, without the one of the line of fixed points."""
    values = np.linalg.eigvals(jacobian(system))
    return float(np.abs(np.delete(values, np.argmin(np.abs(values - 1.0)))).max())


def radius_in_theory(system: BankingSystem) -> float:
    """Return the largest modulus of an eigenvalue of the linear map of price, share and liabilities."""
    return float(np.abs(eigenvalues_in_theory(system)).max())


def swing_growth(system: BankingSystem) -> float:
    """Return the growth per step of the swings, the logarithm of the largest modulus of a complex eigenvalue.

    NaN where nothing swings. Slow returns to rest (real eigenvalues) are left out: a kick hardly excites them.
    """
    values = eigenvalues_in_theory(system)
    swings = np.abs(values[np.abs(values.imag) > 1e-9])
    return math.log(float(swings.max())) if len(swings) else math.nan


def return_rate(system: BankingSystem) -> float:
    """Return the decay per step of the slow return to value, the logarithm of the largest real eigenvalue below 1."""
    values = eigenvalues_in_theory(system)
    slow = values.real[(np.abs(values.imag) <= 1e-9) & (values.real > 0.0) & (values.real < 1.0)]
    return math.log(float(slow.max())) if len(slow) else math.nan


def eigenvalues_in_theory(system: BankingSystem) -> NDArray[np.complex128]:
    """Return the eigenvalues of the linear map of price, share and liabilities, written out by hand.

    The variance and the fundamentalist's weight do not feed back at the fixed point: the variance is of second order in
    price changes, and every weight is a fixed point.
    """
    s = system
    leverage = s.alpha * s.variance_floor**s.b
    n = leverage * s.e_bar * s.w_b / s.mu
    below = 1.0 - s.w_b * n - s.weight * (1.0 - n)
    lend, pay = s.tau * s.theta, s.tau * s.eta
    assets = np.array([n, s.mu, 0.0]) / s.w_b             # by price, share, liabilities
    equity = assets - np.array([0.0, 0.0, 1.0])
    borrowed = lend * (leverage * equity - assets)
    bank = (1.0 - s.w_b) * assets - pay * equity + borrowed
    fund = (1.0 - s.weight) * np.array([1.0 - n, -s.mu, 0.0]) + s.weight * pay * equity
    price = s.w_b * bank + fund + np.array([-(1.0 - n) * s.tau * s.rho, s.mu * (s.w_b - s.weight), 0.0])
    price /= below
    share = s.w_b / s.mu * bank - (1.0 - s.w_b) * n / s.mu * price + np.array([0.0, s.w_b, 0.0])
    matrix = np.array([price, share, borrowed + np.array([0.0, 0.0, 1.0])])
    return np.asarray(np.linalg.eigvals(matrix), np.complex128)


def cubic_radius(system: BankingSystem, leverage: float) -> float:
    """Return the largest modulus of a root of the stability cubic, which holds for ``tau theta = tau eta = 1``."""
    s = system
    n = leverage * s.e_bar * s.w_b / s.mu
    below = 1.0 - s.w_b * n - s.weight * (1.0 - n)
    k1, k2 = s.w_b * (leverage - 2.0) + s.weight, s.w_b * (leverage - 1.0)
    roots = np.roots([below, -(below - (1.0 - n) * s.tau * s.rho + n * k1), n * (k1 + k2), -n * k2])
    return float(np.abs(roots).max())


def critical_by_jacobian(system: BankingSystem) -> float:
    """Return the leverage at which the fixed point of the map loses stability."""
    return bisected(lambda leverage: radius(system.at_leverage(leverage)) - 1.0, system)


def critical_in_theory(system: BankingSystem) -> float:
    """Return the same by the closed form."""
    return bisected(lambda leverage: radius_in_theory(system.at_leverage(leverage)) - 1.0, system)


def bisected(excess: Callable[[float], float], system: BankingSystem) -> float:
    """Return the first leverage above 1.05 at which `excess` becomes positive; NaN when the bank's share reaches 1."""
    low, high = 1.05, math.nan
    limit = 0.999 * system.mu / (system.e_bar * system.w_b)
    for leverage in np.arange(1.1, limit, 0.1):
        if excess(leverage) > 0.0: 
            high = float(leverage)
            break
        low = float(leverage)
    for _ in range(30):
        middle = 0.5 * (low + high)
        if excess(middle) > 0.0: 
            high = middle
        else:
            low = middle
    return high
