"""The host: what runs here, which driver fits, fetch, check, load, status, unload."""
