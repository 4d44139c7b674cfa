"""The networks that encoders and decoders may use."""

from auralink.codecs.neural.networks import NeuralNetworks
from auralink.codecs.video.protocol import Networks
from auralink.models import codec_runtime, runtime


def open_networks() -> Networks:
    """Our own weights in ONNX Runtime.  Without usable weights every answer is "plain scaling"."""
    return runtime.open_networks()


def open_neural(key: str | int) -> NeuralNetworks:
    """Those of a learned profile, by its name or by the number in a stream.

    Raises:
        UnsupportedError: this build has none of that name, or their files are not whole.
    """
    return codec_runtime.open_codec(key)
