"""The committed pages of the event fits: each shipped crash fitted, the other predicted.

``python -m spirals.scenarios.calibration.event_fit_reference results/reference`` runs ``spirals fit-event --quick``
both ways and keeps the pages (``event-fit-<event>.md``): about six minutes on one free core.
"""

import sys
from pathlib import Path

from spirals.scenarios.calibration.event_fit import open_event
from spirals.scenarios.calibration.event_fit_text import markdown
from spirals.scenarios.command.event_fit_verb import QUICK, fitted_answer
from spirals.scenarios.results.store import write_whole

__all__ = ["EVENTS", "write_event_fits"]

EVENTS = ("october-2025", "black-thursday-2020")


def write_event_fits(folder: Path) -> list[Path]:
    """Fit each event, predict the other, write both pages and return them."""
    written = []
    for name, other in (EVENTS, EVENTS[::-1]):
        seeds, iterations = QUICK
        parts, _ = fitted_answer(open_event(name), open_event(other), range(seeds), iterations, thin=True)
        path = folder / f"event-fit-{name}.md"
        write_whole(path, markdown(f"Event fit: {name}", f"spirals fit-event {name} --transfer {other} --quick",
                                   parts).encode())
        written.append(path)
    return written


if __name__ == "__main__":
    for page in write_event_fits(Path(sys.argv[1])):
        print(page)
