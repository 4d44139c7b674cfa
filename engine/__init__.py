"""Top layer: everything that waits, listens or prints."""
