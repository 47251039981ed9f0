"""Timed runs in this process: when slots are due, and the clock that looks for them."""
