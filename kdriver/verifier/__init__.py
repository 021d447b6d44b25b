"""Boots a kernel with a driver, runs the event cases and writes the verdict."""
