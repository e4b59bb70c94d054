"""The deterministic simulation: the shipped code and functions under a virtual clock and invented faults."""
