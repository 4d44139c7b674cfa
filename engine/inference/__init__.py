"""Where native code and networks run: worker processes."""
