"""The flows of Kasparro, written against the ports alone."""
