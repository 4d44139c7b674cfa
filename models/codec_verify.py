"""Proves on this machine that a learned codec decodes as it did where it was made."""

import time

import numpy as np

from auralink.models.codec_golden import decode_stream, read_stream
from auralink.models.codec_manifest import CodecEntry
from auralink.models.codec_runtime import OnnxCodec
from auralink.models.codec_store import load_codec
from auralink.models.errors import ModelError
from auralink.models.verify import Verification


def verify_codec(entry: CodecEntry) -> Verification:
    """Check the files of an entry and decode its golden stream.  Never raises for a bad file."""
    try:
        codec = OnnxCodec(load_codec(entry))
        stream, expected = read_stream(entry)
        decode_stream(codec, stream)  # makes the sessions
        started = time.perf_counter()
        made = decode_stream(codec, stream)
        ms = (time.perf_counter() - started) * 1e3 / len(stream.frames)
    except ModelError as exc:
        return Verification(ok=False, detail=str(exc), ms=0.0)
    allowed = entry.golden.tolerance
    off = max(_difference(a, b) for a, b in zip(made, expected, strict=True))
    detail = (
        f"{len(stream.frames)} frames: off by at most {off:.0f} grey levels (allowed {allowed:g})"
    )
    return Verification(ok=off <= allowed, detail=detail, ms=ms)


def _difference(made: np.ndarray, expected: np.ndarray) -> float:
    if made.shape != expected.shape:
        return float("inf")
    return float(np.abs(made.astype(np.int16) - expected.astype(np.int16)).max())
