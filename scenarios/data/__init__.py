"""Real data that ships with the package; sources and licences in README.md."""
