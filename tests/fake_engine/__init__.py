"""A container engine without containers, and the kubelets of its nodes on the fake API server."""
