"""One noun per module: each collects one kind of fact through the transports."""
