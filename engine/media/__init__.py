"""Pictures in from files and cameras, pictures out to files."""
