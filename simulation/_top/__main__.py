"""Run the command: ``python -m spirals``."""

import sys

from spirals.scenarios.command.entry import main

if __name__ == "__main__":
    sys.exit(main())
