"""Named scenarios, studies and venues: one TOML file each."""
