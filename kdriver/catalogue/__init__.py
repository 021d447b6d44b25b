"""Reads and checks the catalogue of events and renders C and documents from it."""
