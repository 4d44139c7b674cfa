"""Our own weights, each with its manifest, golden vector and training record."""
