"""Implementations of the core's ports, in families that do not know one another."""
