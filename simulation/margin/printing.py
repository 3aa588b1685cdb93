"""Policies print themselves: ``repr`` is Python to paste, :func:`to_toml` a scenario's ``[margin]`` table."""

from spirals.simulation.margin.policy import MarginPolicy
from spirals.simulation.toml_text import part_to_toml

__all__ = ["to_toml"]


def to_toml(policy: MarginPolicy, table: str = "margin", comments: bool = False) -> str:
    """Return `policy` with everything inside it as TOML text.

    Parameters
    ----------
    policy : MarginPolicy
    table : str
        Name of the table.
    comments : bool
        Put unit, range and help of each parameter behind its line.

    Examples
    --------
    >>> from spirals.simulation.margin import Floor, Static
    >>> print(to_toml(Floor(Static(initial=0.1, maintenance=0.05), floor=0.2)), end="")
    [margin]
    type = "Floor"
    floor = 0.2
    <BLANKLINE>
    [margin.inner]
    type = "Static"
    initial = 0.1
    maintenance = 0.05
    """
    return part_to_toml(policy, table, comments)
