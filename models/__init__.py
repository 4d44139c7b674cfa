"""Which network is which: manifest, hashes, golden vectors, ONNX Runtime sessions."""
