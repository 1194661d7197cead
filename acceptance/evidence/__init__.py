"""The versioned record of a run."""
