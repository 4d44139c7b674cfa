"""The networks that decoders may use."""

from auralink.codecs.video.protocol import Networks


def open_networks() -> Networks | None:
    """Our own weights in ONNX Runtime; None where there are none."""
    return None
