"""The commands of `killswitch audit`, one in each file."""
