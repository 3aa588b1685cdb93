"""Runs: one run with its twins, its attribution and its family tree, and the sweep of a study."""
