"""Writing records in sets: a pure plan between two rounds of set-based SQL."""
