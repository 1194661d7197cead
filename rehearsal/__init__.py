"""The rehearsal: a disposable stand-in for the production server, made of real servers."""
