"""Saved state: the state of a run as arrays, its digest, and the file that holds it."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.randomness import stream_key
from spirals.simulation.stages import Stages
from spirals.simulation.state import hash_arrays

__all__ = ["SCHEMA_VERSION", "SavedState"]

SCHEMA_VERSION = 1


class SavedState(Stages):
    """A run whose whole state can be read, compared, saved and continued."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the whole state by name (live references): what decides how the run continues."""
        found = {
            "accounts": self.accounts, "positions": self.positions, "counters": self._counters,
            "shadow_consumed": self.shadow_consumed, "clock": np.array([self.step_index, self.branch], np.int64),
        }
        for prefix, part in (("market", self.market), ("book", self.book), ("margin", self.margin),
                             ("population", self.population)):
            found.update({f"{prefix}.{name}": array for name, array in part.arrays().items()})
        return found

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Continue from the arrays of a simulation with the same set-up."""
        def part(prefix: str) -> dict[str, NDArray[Any]]:
            return {name[len(prefix):]: array for name, array in arrays.items() if name.startswith(prefix)}

        for name in ("accounts", "positions", "shadow_consumed"):
            np.copyto(getattr(self, name), arrays[name])
        np.copyto(self._counters, arrays["counters"])
        self.step_index, self.branch = (int(value) for value in arrays["clock"])
        self._tie_key = stream_key(self.seed, "arrival.tie", self.branch)
        self.market.restore(part("market."))
        self.book.restore(part("book."))
        self.margin.restore(part("margin."), self.market.state)
        self.population.restore(part("population."))
        self._select_rows(self.step_index + 1)

    def hash(self) -> str:
        """Return a digest of the state; equal digests continue equally."""
        return hash_arrays(self.arrays())

    def save(self, path: Path | str) -> None:
        """Write state and recorder to an `npz` file, whole or not at all."""
        path = Path(path)
        arrays = self.arrays()
        arrays.update({f"recorder.{name}": array for name, array in self.recorder.arrays().items()})
        arrays["schema_version"] = np.array([SCHEMA_VERSION])
        temporary = path.with_name(path.name + ".tmp")
        with temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        temporary.replace(path)

    def load(self, path: Path | str) -> None:
        """Continue from a file written by :meth:`save` of a simulation with the same set-up.

        Raises
        ------
        ValueError
            The file was written by a newer version, or for another set-up.
        """
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        version = int(arrays.pop("schema_version")[0])
        if version > SCHEMA_VERSION:
            raise ValueError(f"{path}: state of schema_version {version}, this program reads up to {SCHEMA_VERSION}")
        mine = (self.accounts.shape, self.recorder.steps.shape)
        if (arrays["accounts"].shape, arrays["recorder.steps"].shape) != mine:
            raise ValueError(f"{path}: state of another set-up (accounts, instruments or steps differ)")
        self.recorder.restore({n[9:]: a for n, a in arrays.items() if n.startswith("recorder.")})
        self.restore(arrays)
