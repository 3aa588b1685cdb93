"""Early warning: does a score that is known now tell of a cascade that starts soon, how reliably and how early?

A row is one look at one run: the scores at that moment, and whether a material cascade starts within the next T
seconds. Looks of one run depend on one another, so every interval resamples *runs*. Rows after the first material
cascade has begun are not used: a warning while it burns is none.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.errors import InputError
from spirals.simulation.measures.intervals import Interval

__all__ = ["Looks", "WarningQuality", "auc", "roc", "warning_quality"]

Series = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Looks:
    """Looks at many runs.

    Attributes
    ----------
    run : ndarray of shape (n,), int64
        Number of the run.
    seconds : ndarray of shape (n,), float64
        [s] Since the opening.
    onset : ndarray of shape (n,), float64
        [s] Start of the run's first material cascade, infinite where there is none; looks are before it.
    scores : mapping of str to ndarray of shape (n,)
        Larger means more danger.
    """

    run: NDArray[np.int64]
    seconds: Series
    onset: Series
    scores: Mapping[str, Series]

    def labels(self, within_seconds: float) -> NDArray[np.bool_]:
        """Return whether the cascade starts within the next `within_seconds` of each look."""
        return np.asarray(self.onset - self.seconds <= within_seconds)


@dataclasses.dataclass(frozen=True)
class WarningQuality:
    """How well one score warns.

    Attributes
    ----------
    score : str
    auc : Interval
        Probability that a look before a cascade scores above one that is not (ties count half): .5 is chance.
    threshold : float
        Score above which an alarm sounds: the false alarm rate at or below the stated one.
    false_alarms : float
        [fraction] Looks without a cascade ahead that sound it.
    detected : Interval
        [fraction of runs with a cascade] That had an alarm within the stated time before it.
    lead_seconds : Interval
        [s] From the first such alarm to the cascade, mean over the runs that had one.
    """

    score: str
    auc: Interval
    threshold: float
    false_alarms: float
    detected: Interval
    lead_seconds: Interval


def auc(scores: Series, labels: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve by the rank sum (Mann and Whitney 1947); NaN with one class only."""
    from scipy.stats import rankdata

    positive = int(labels.sum())
    negative = len(labels) - positive
    if not positive or not negative:
        return math.nan
    ranks = rankdata(scores)
    return float((ranks[labels].sum() - positive * (positive + 1) / 2.0) / (positive * negative))


def roc(scores: Series, labels: NDArray[np.bool_]) -> tuple[Series, Series]:
    """Return false and true alarm rates for falling thresholds, both from 0 to 1; tied scores are one step."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    true, false = np.cumsum(labels[order])[last], np.cumsum(~labels[order])[last]
    return (np.concatenate([[0.0], false / max(1, false[-1])]), np.concatenate([[0.0], true / max(1, true[-1])]))


def warning_quality(
    looks: Looks, within_seconds: float, *, false_alarm_rate: float = 0.1, seed: int = 0, resamples: int = 500
) -> list[WarningQuality]:
    """Return for every score how reliably and how early it warns.

    Parameters
    ----------
    looks : Looks
    within_seconds : float
        [s] T, above 0: a look is followed by a cascade when one starts within this time.
    false_alarm_rate : float
        In (0, 1), of looks that no cascade follows.
    seed : int
        Of the bootstrap over runs.
    resamples : int
        At least 2.

    Raises
    ------
    InputError
        Parameters out of range, and looks of which all or none are followed by a cascade.
    """
    found = [] if within_seconds > 0.0 else [f"within_seconds must be above 0, was {within_seconds!r}"]
    if not 0.0 < false_alarm_rate < 1.0:
        found.append(f"false_alarm_rate must lie between 0 and 1, was {false_alarm_rate!r}")
    if resamples < 2:
        found.append(f"resamples must be at least 2, was {resamples!r}")
    labels = looks.labels(within_seconds) if not found else np.zeros(0, bool)
    if not found and (labels.all() or not labels.any()):
        found.append(f"looks must be followed by a cascade in some cases and not in others, were {int(labels.sum())} "
                     f"of {len(labels)}: more runs, or another time")
    if found:
        raise InputError(found)
    return [_quality(looks, name, labels, within_seconds, false_alarm_rate, seed, resamples) for name in looks.scores]


def _quality(
    looks: Looks, name: str, labels: NDArray[np.bool_], within: float, rate: float, seed: int, resamples: int
) -> WarningQuality:
    scores = np.asarray(looks.scores[name], np.float64)
    threshold = _threshold(scores[~labels], rate)
    leads = _leads(looks, scores > threshold, labels)
    return WarningQuality(
        name, _over_runs(looks.run, (scores, labels), auc, seed, resamples), threshold,
        float((scores[~labels] > threshold).mean()),
        _of_runs(np.where(np.isnan(leads), 0.0, 1.0), seed, resamples), _of_runs(leads, seed, resamples))


def _threshold(calm: Series, rate: float) -> float:
    """Return the smallest score of calm looks that at most `rate` of them exceed."""
    ordered = np.sort(calm)
    return float(ordered[min(len(ordered) - 1, math.ceil((1.0 - rate) * len(ordered)) - 1)])


def _leads(looks: Looks, alarm: NDArray[np.bool_], labels: NDArray[np.bool_]) -> Series:
    """Return per run with a cascade the time from the first alarm within T of it; NaN without one."""
    found = []
    for run in np.unique(looks.run[labels]):
        rows = (looks.run == run) & labels & alarm
        found.append(float((looks.onset[rows] - looks.seconds[rows]).max()) if rows.any() else math.nan)
    return np.array(found)


def _over_runs(
    run: NDArray[np.int64], columns: Sequence[NDArray[np.generic]], statistic: object, seed: int, resamples: int
) -> Interval:
    """Return a statistic of rows with its percentile interval over runs, which are drawn with all their rows."""
    from spirals.simulation.randomness import generator

    assert callable(statistic)
    numbers = np.unique(run)
    rows = [np.flatnonzero(run == number) for number in numbers]
    draws = generator(seed, "early_warning.bootstrap").integers(0, len(numbers), (resamples, len(numbers)))
    values = []
    for picked in draws:
        chosen = np.concatenate([rows[k] for k in picked])
        values.append(float(statistic(*(column[chosen] for column in columns))))
    kept = np.array([value for value in values if not math.isnan(value)])
    low, high = np.quantile(kept, [0.025, 0.975]) if len(kept) > 1 else (math.nan, math.nan)
    error = float(kept.std(ddof=1)) if len(kept) > 1 else math.nan
    return Interval(float(statistic(*columns)), float(low), float(high), error, len(numbers))


def _of_runs(values: Series, seed: int, resamples: int) -> Interval:
    """Return the mean of one value per run with its percentile interval; NaN values are left out."""
    from spirals.simulation.measures.intervals import bootstrap_interval

    kept = values[~np.isnan(values)]
    return bootstrap_interval((kept,), np.mean, seed, resamples=resamples)
