"""The lab: a three-zone kind cluster with real stores and ACP's stand-in, made from package
registries alone.

Why it exists: every suite needs a cluster it may break. This package makes one, says what it cost,
and takes it away again without a trace. It knows nothing of suites, faults or verdicts; all it
hands over is a target profile.
"""
