"""Measured rows of the checks, and the page that is made of them."""
