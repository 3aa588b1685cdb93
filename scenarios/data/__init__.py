"""Real prices that ship with the package: bars of March 2020 and of September and October 2025.

Sources, licences, columns and what is missing stand in ``README.md`` of this folder.
"""
