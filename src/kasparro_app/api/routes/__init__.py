"""The operations, by what they are about. Each module exports `OPERATIONS`."""
