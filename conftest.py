"""Loads the plugin, nothing else."""

pytest_plugins = ["acpchaos.plugin"]
