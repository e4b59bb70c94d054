"""Hours of ordinary life and trouble: a small fleet, operators, faults from a seeded plan, and a judge of it all."""
