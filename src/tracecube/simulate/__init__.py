"""The forward model run forwards."""
