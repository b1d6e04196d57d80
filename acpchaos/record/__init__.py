"""The record room: what happened, as typed events in one folder per run."""
