"""The service as a process: listening, beginning, serving, ending."""
