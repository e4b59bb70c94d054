"""The brake: what a trading process embeds.

Invariant: it reads the line, writes only its own heartbeat, and never learns who pressed the pedal. In doubt, closed.
"""
