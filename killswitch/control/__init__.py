"""The pedal: what an operator's tool or a risk rule uses. It writes the line and never touches a gate."""
