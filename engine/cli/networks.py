"""The networks that decoders may use."""

from auralink.codecs.video.protocol import Networks
from auralink.models import runtime


def open_networks() -> Networks:
    """Our own weights in ONNX Runtime.  Without usable weights every answer is "plain scaling"."""
    return runtime.open_networks()
