"""The line: the only package that speaks to Redis.

Invariant: nothing above it knows a key, a command or a socket, and nothing in it decides about trading.
"""
