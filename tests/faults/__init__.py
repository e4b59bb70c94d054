"""Real faults: frozen, killed, starved and cut-off processes, with the product as it is shipped."""
