"""Saved state: the state of a run as arrays, its digest, and the file that holds it."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spirals.simulation.copying import copy_records
from spirals.simulation.randomness import stream_key
from spirals.simulation.stages import Stages
from spirals.simulation.state import hash_arrays

__all__ = ["SCHEMA_VERSION", "SavedState"]

SCHEMA_VERSION = 2   # 2: equity by ten kinds, background orders that were cut


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
            copy_records(getattr(self, name), arrays[name])
        np.copyto(self._counters, arrays["counters"])
        self.step_index, branch = (int(value) for value in arrays["clock"])
        self.market.restore(part("market."))
        self.book.restore(part("book."))
        self.margin.restore(part("margin."), self.market.state)
        self.population.restore(part("population."))
        self.rebranch(branch)

    def rebranch(self, branch: int, *, outside: bool = False) -> None:
        """Take other draws from here on; every branch has its own.

        Parameters
        ----------
        branch : int
        outside : bool
            Draw the outside path anew as well: its past stays, its future belongs to the branch.

        Raises
        ------
        InputError
            `outside` with an outside world that has no noise of its own.
        """
        self.branch = branch
        if outside:
            self.market.redraw((*self.market.forks, (self.step_index, branch)))
        self._tie_key = stream_key(self.seed, "arrival.tie", branch)
        self._select_rows(self.step_index + 1)

    def hash(self) -> str:
        """Return a digest of the state; equal digests continue equally."""
        return hash_arrays(self.arrays())

    def save(self, path: Path | str) -> None:
        """Write state and recorder to an `npz` file, whole or not at all."""
        path = Path(path)
        arrays = self.arrays()
        arrays.update({f"recorder.{name}": array for name, array in self.recorder.arrays().items()})
        arrays["schema_version"], arrays["seed"] = np.array([SCHEMA_VERSION]), np.array([str(self.seed)])
        temporary = path.with_name(path.name + ".tmp")
        with temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        temporary.replace(path)

    def load(self, path: Path | str) -> None:
        """Continue from a file written by :meth:`save` of a simulation with the same set-up.

        Raises
        ------
        ValueError
            The file is no saved state, was written by another version, or for another set-up or seed.
        """
        arrays = _read_arrays(Path(path))
        version = int(arrays.pop("schema_version")[0])
        if version != SCHEMA_VERSION:
            raise ValueError(f"{path}: state of schema_version {version}, this program reads {SCHEMA_VERSION}: the "
                             "records have changed; run the scenario again")
        seed = str(arrays.pop("seed", np.array([str(self.seed)]))[0])
        if seed != str(self.seed):
            raise ValueError(f"{path}: state of a run with seed {seed}, this one has {self.seed}: "
                             "other draws")
        mine = (self.accounts.shape, self.recorder.steps.shape)
        if (arrays["accounts"].shape, arrays["recorder.steps"].shape) != mine:
            raise ValueError(f"{path}: state of another set-up (accounts, instruments or steps differ)")
        self.recorder.restore({n[9:]: a for n, a in arrays.items() if n.startswith("recorder.")})
        self.restore(arrays)


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file by name."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (AttributeError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: must be a state written by save(), gave {error}") from None
    if not {"schema_version", "accounts", "recorder.steps"} <= set(arrays):
        raise ValueError(f"{path}: must be a state written by save(), had no schema_version or no accounts")
    return arrays
