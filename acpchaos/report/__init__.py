"""The report room: what a run looks like to people and to dashboards. Reads records, never judges."""
