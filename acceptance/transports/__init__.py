"""The only I/O of the suite."""
