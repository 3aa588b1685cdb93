"""The command `spirals`: its verbs, and what `list` and `show` answer."""

from spirals.scenarios.command.entry import main

__all__ = ["main"]
