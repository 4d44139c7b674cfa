"""Which network is which: manifest, hashes, golden vectors, ONNX Runtime sessions."""

import os

import auralink.codecs  # noqa: F401 - what it sets comes before anything imports numpy

# ONNX Runtime (seen in 1.32) keeps a device id in ~/.cache/Microsoft and reports to its maker from
# the moment that it is imported, unless this is set before.  A choice that somebody made stays.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
