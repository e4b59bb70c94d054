"""The brake: what a trading process embeds. It reads the line and never learns who pressed the pedal."""
