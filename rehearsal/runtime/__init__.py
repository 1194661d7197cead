"""Where the rehearsal's containers run."""
