"""The report room: how a run looks to people and to dashboards. It never judges."""
