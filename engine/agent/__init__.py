"""LiveKit's agent worker protocol: a fleet of engines shares rooms through LiveKit's dispatcher."""
