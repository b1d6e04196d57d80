"""Room: faults that prove they bit and always heal. It must not know load, checks or reports."""
