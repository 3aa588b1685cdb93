"""What is asked: scenarios and studies, from TOML files and overrides to checked objects."""
