"""One record of what happened, and one judge of it: simulation, real faults and soak write and use the same."""
