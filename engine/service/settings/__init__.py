"""All settings: one tree, read once, checked whole; each value knows where it came from."""
