"""Benchmarks: bars that a measurement must meet, as ratios within one run. `make bench` runs all.

They know the product's inner parts and are known by none of them.
"""
