"""A small Kubernetes API server over real HTTP, for tests of everything that talks to a cluster."""
