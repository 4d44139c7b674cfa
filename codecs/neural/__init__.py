"""The learned codec without its networks: symbols, integer arithmetic, packets."""
