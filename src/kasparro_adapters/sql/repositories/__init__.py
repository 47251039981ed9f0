"""The storage ports over SQL, one module each."""
