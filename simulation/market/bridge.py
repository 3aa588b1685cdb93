"""A Brownian bridge through open, high, low and close: the interpolation inside one bar.

In log price a path that goes from the open to the high, to the low and to the close travels the
unfolded distance ``d = (high - open) + (high - low) + (close - low)``. By the reflection principle it
is an ordinary Brownian bridge from 0 to d, folded back whenever it meets high or low: it stays inside,
turns at the high before the low, and ends at the close. The mirror image visits the low first. The
variance over the bar is that of the range, ``(ln high/low)^2 / (4 ln 2)`` (Parkinson 1980, "The extreme
value method for estimating the variance of the rate of return", Journal of Business 53, 61-65), so
the path has the volatility of the bar on the scale of steps, without inventing any on longer scales.

The order of the extremes is drawn with the likelihood of either path: the density of the unfolded
bridge, differentiated once for each extreme, is proportional to ``(d^2/s^2 - 1) exp(-d^2 / 2 s^2)``
(the leading image; s^2 is half the squared range).
"""

import math

from spirals.simulation.kernel import kernel
from spirals.simulation.randomness import normal_quantile, uniform

__all__ = ["fill_bar", "fill_bars", "high_first_probability"]

RANGE_TO_DEVIATION = 1.0 / math.sqrt(4.0 * math.log(2.0))
# s^2 in the order of the extremes, as a share of the squared range. Given the range alone the variance is
# uncertain; one half reproduces the order in simulated Brownian bars to about .04 (see the tests).
ORDER_VARIANCE = 0.5


@kernel
def fill_bars(key, instrument, first_rows, bars, out_price):
    """Fill `out_price` (n_rows,); bar b (open, high, low, close) has the rows from first_rows[b] on."""
    for bar in range(bars.shape[0]):
        if first_rows[bar] >= out_price.shape[0]:
            break
        rows = first_rows[bar + 1] - first_rows[bar]
        fill_bar(key, instrument, first_rows[bar], rows,
                 bars[bar, 0], bars[bar, 1], bars[bar, 2], bars[bar, 3], out_price)


@kernel
def fill_bar(key, instrument, first, rows, opening, high, low, close, out_price):
    """Fill the `rows` (at least 4) rows from `first` that exist; draws: block 0 noise, block 1 order."""
    width = math.log(high / low)
    high_first = uniform(key, first, instrument, 1) < high_first_probability(opening, high, low, close)
    # `near` is the extreme visited first, `start` and `end` the distances of open and close from theirs.
    if high_first:
        near, far, start, end = high, low, math.log(high / opening), math.log(close / low)
    else:
        near, far, start, end = low, high, math.log(opening / low), math.log(high / close)
    distance = start + width + end
    deviation = width * RANGE_TO_DEVIATION / math.sqrt(rows - 1.0)
    # The last rows at which the extremes can still be shown, the close itself being one when end = 0.
    last_far = rows - 2 if close != far else rows - 1
    last_near = last_far - 1
    reached = 1 if opening == near else 0
    travelled = 0.0
    for row in range(min(rows, out_price.shape[0] - first)):
        if row == 0:
            price = opening
        elif row == rows - 1:
            price = close
        else:
            left = float(rows - row)
            noise = normal_quantile(uniform(key, first + row, instrument, 0))
            travelled += (distance - travelled) / left + deviation * math.sqrt((left - 1.0) / left) * noise
            if reached == 0 and (travelled >= start or row == last_near):
                price = near
                reached = 1
            elif reached == 1 and (travelled >= start + width or row == last_far):
                price = far
                reached = 2
            else:
                away = folded(travelled - start, width)
                price = near * math.exp(-away if high_first else away)
        out_price[first + row] = min(max(price, low), high)


@kernel
def folded(distance, width):
    """Return the place in [0, width] of a point that is reflected at both ends."""
    if width <= 0.0:
        return 0.0
    rest = abs(distance) % (2.0 * width)
    return 2.0 * width - rest if rest > width else rest


@kernel
def high_first_probability(opening, high, low, close):
    """Return the probability that the high comes before the low; one half for a flat bar."""
    width = math.log(high / low)
    if width <= 0.0:
        return 0.5
    variance = ORDER_VARIANCE * width * width
    high_first = (math.log(high / opening) + width + math.log(close / low)) ** 2 / variance
    low_first = (math.log(opening / low) + width + math.log(high / close)) ** 2 / variance
    # Both are at least 2, so the weights are positive.
    odds = (low_first - 1.0) / (high_first - 1.0) * math.exp(0.5 * (high_first - low_first))
    return 1.0 / (1.0 + odds)
