"""The small arrays that stage 1 keeps beside the MARKET record: rules (constant) and state."""

import numpy as np

__all__ = ["FEED_RULES", "FEED_STATE"]

FEED_RULES = np.dtype([             # one row: parameters of feed, volatility and funding
    ("step_seconds", "f8"),         # [s]
    ("opening_seconds", "f8"),      # [s] time of day (UTC) of the opening
    ("mark", "i8"),                 # place in price_feed.MARKS
    ("feedback_weight", "f8"),      # [fraction per step]
    ("basis_weight", "f8"),         # [fraction per step]
    ("latency_steps", "i8"),
    ("volatility_source", "i8"),    # places in volatility.SOURCES, ESTIMATORS, KINDS
    ("volatility_estimator", "i8"),
    ("volatility_kind", "i8"),
    ("sample_steps", "i8"),
    ("sample_days", "f8"),
    ("decay", "f8"),
    ("floor", "f8"),                # [per sqrt day]
    ("stressed", "f8"),             # [per sqrt day] 0: largest rolling value so far
    ("funding_kind", "i8"),         # place in funding.FUNDING_KINDS
    ("interest_rate", "f8"),        # [fraction per interval]
    ("clamp", "f8"),
    ("cap", "f8"),
    ("interval_seconds", "f8"),
])

FEED_STATE = np.dtype([             # one row per instrument
    ("step", "i8"),                 # last step that was advanced to
    ("offset", "f8"),               # [log price] permanent impact of the venue on the index
    ("oracle_step", "i8"),          # step of the index that the oracle shows
    ("sampled", "f8"),              # [quote] source of the volatility at the last sample
    ("high", "f8"), ("low", "f8"),  # [quote] its extremes since then
    ("variance", "f8"),             # [per day] EWMA
    ("window_sum", "f8"),           # [per day] sum of the observations in the rolling window
    ("samples", "i8"),              # observations so far
    ("premium_samples", "i8"),      # observations in this funding interval
    ("funding_left", "f8"),         # [fraction] of the funding interval that is still to come
    ("funding_due", "i8"),          # 1: an interval ended in this step and was not paid yet
])
