"""Where one piece of work runs: on this machine, in a container, on a cluster."""
