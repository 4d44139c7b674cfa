"""Top layer: everything that waits, listens or prints."""

import auralink.models  # noqa: F401 - before anything imports ONNX Runtime, which it keeps quiet
