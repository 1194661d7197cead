"""What can go wrong in production, each with the items it must turn red."""
