"""The few exceptions of the package. Bankruptcy, bad debt and an empty book are outcomes, not errors."""

from collections.abc import Sequence

__all__ = ["ConservationError", "InputError"]


class ConservationError(AssertionError):
    """Money or positions were created or lost: a bug in the engine, never a market outcome."""


class InputError(ValueError):
    """Bad input; carries every problem found, one line each: what, where, allowed, given."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type, tuple[tuple[str, ...]]]:
        return (type(self), (self.problems,))
