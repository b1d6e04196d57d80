"""Room: the stores below ACP: asked for facts, backed up, restored. Judging is done elsewhere."""
