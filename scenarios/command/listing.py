"""What ``spirals list`` shows: names with one line each, read from files without importing them."""

from spirals.scenarios.inputs.catalogue_index import entries
from spirals.scenarios.inputs.parts import SLOTS
from spirals.scenarios.inputs.schema import module_file, read_schema

__all__ = ["KINDS", "listed"]

#: Kind to the slots of parts that it lists; the others are catalogue files or measures.
PART_KINDS = {
    "policies": ("MarginPolicy",),
    "mechanisms": ("MarginCalls", "LiquidationMechanism", "LossWaterfall"),
    "depths": ("Depth",),
    "worlds": ("OutsideWorld",),
    "shocks": ("Shock",),
}
CATALOGUE_KINDS = {"scenarios": "scenario", "studies": "study", "venues": "venue", "populations": "population",
                   "books": "book"}
KINDS = (
    "scenarios", "studies", "policies", "mechanisms", "venues", "populations", "books", "depths", "worlds", "shocks",
    "measures",
)


def listed(kind: str) -> list[dict[str, str]]:
    """Return ``{name, summary}`` of everything of a kind, one of :data:`KINDS`."""
    if kind in CATALOGUE_KINDS:
        prefix = "" if kind in ("scenarios", "studies") else f"{CATALOGUE_KINDS[kind]}-"  # as `extends` wants it
        return [{**entry, "name": prefix + entry["name"]} for entry in entries(CATALOGUE_KINDS[kind])]
    if kind == "measures":
        from spirals.simulation.measures.catalogue import MEASURES

        return [{"name": name, "summary": summary} for name, summary in MEASURES.items()]
    return [entry for slot in PART_KINDS[kind] for entry in _parts(slot)]


def _parts(slot: str) -> list[dict[str, str]]:
    found = []
    for name, module in sorted(SLOTS[slot].items()):
        file = module_file(module)
        schema = read_schema(file, name) if file is not None else None
        found.append({"name": name, "summary": schema.summary if schema else ""})
    return found
