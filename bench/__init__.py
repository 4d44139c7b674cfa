"""Measurements.  Each command writes the JSON that the documents quote."""
