"""The core model and what everything stands on: kernels, artifacts, verdicts, errors, processes."""
