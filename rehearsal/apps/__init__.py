"""Small stand-ins for the private applications; they speak the real ones' interfaces."""
