"""The hardening rows, HARD-01 to HARD-53, as pure functions on a snapshot.

Room: check. One module per subject; `rules()` has them all. A rule that cannot read what it needs
raises Unreadable, which is inconclusive: silence is never success.
"""
