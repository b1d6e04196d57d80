"""Gathers what the posture rows are judged from: a live cluster or rendered manifests.

Room: posture, beside load and faults. It judges nothing; what it gathers is a record.snapshot.
"""
