"""The line: the only package that speaks to Redis. Nothing above it knows a key, a command or a socket."""
