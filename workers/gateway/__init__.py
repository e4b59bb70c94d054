"""The gateway: takes admitted orders out of a journal, in order, and forwards each to the venue under its own gate."""
