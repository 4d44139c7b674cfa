"""Faults that `bench faults` injects, a module per family."""
