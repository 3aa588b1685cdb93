"""The command ``spirals`` with toy parts and toy runs, for tests in a process of its own."""

import sys

import scenario_toys as toys


def main():
    toys.use_toy_catalogue()
    from spirals.scenarios.command import entry as command
    from spirals.scenarios.runs import study_sweep

    study_sweep.CELL_FUNCTION = "scenario_toys:toy_cell"
    study_sweep.compile_first = lambda *_: None
    return command.main()


if __name__ == "__main__":
    sys.exit(main())
