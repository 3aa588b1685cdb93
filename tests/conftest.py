"""What all tests share: repeatable hypothesis examples and figures without a screen."""

import os

from hypothesis import HealthCheck, settings

os.environ["MPLBACKEND"] = "Agg"

# Derandomised: a failure is the same on every machine. Compilation and loaded machines make deadlines meaningless.
settings.register_profile(
    "spirals",
    derandomize=True,
    deadline=None,
    max_examples=50,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("spirals")
