"""Loads the acceptance plugin and nothing else."""

pytest_plugins = ["acceptance.plugin"]
