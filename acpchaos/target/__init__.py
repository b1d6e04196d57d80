"""Room: where the product meets one cluster. It must not know faults, load, checks or reports."""
