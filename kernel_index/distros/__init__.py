"""One class for each distribution family."""
