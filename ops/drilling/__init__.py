"""What `killswitch drill` tells and writes."""
