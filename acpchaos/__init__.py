"""acpchaos: proves that an ACP installation on Kubernetes survives what breaks it."""
