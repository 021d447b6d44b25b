"""Apt repositories: signed releases, package lists, the host's own sources."""
