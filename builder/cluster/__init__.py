"""Builds on other machines: dask.distributed carries each to a worker, whose result comes back into the store here."""
