"""Measurements.  Each command writes the JSON that the documents quote."""

import auralink.models  # noqa: F401 - what it sets comes before anything imports numpy
