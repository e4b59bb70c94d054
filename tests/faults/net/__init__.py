"""Faults of the network and fail-over by sentinels, between hosts that are network namespaces of this machine."""
