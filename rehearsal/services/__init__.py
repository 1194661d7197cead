"""The real servers of the rehearsal: how each is configured and started."""
