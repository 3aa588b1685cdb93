"""Named scenarios, studies and venues: one TOML file each.

``name.toml`` is a scenario, ``study-name.toml`` a study, ``venue-name.toml`` inputs of a venue. The table
``[sources]`` of a scenario gives for each number its source or the word "assumption".
"""
