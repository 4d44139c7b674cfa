"""Several sequences as one small video: side by side in one stream, so that they cannot drift."""

import io
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

import av
import numpy as np

from auralink.codecs.base.pyav_frames import to_av
from auralink.codecs.frame import Frame, Plane, pad

# Visually lossless: what is seen is the codec under test, not the one that carries it here.
# Key frames every half second or so: seeking must not take long.
_OPTIONS: Final = {"preset": "veryfast", "crf": "15", "bf": "0", "g": "15"}
_CLOCK_HZ: Final = 90_000


def stacked_mp4(sequences: Sequence[Sequence[Frame]], fps: float) -> bytes:
    """H.264 of all sequences next to one another, left to right, with the first one's times.

    All must have the same size and length; odd sizes are padded by a column or row.
    """
    file = io.BytesIO()
    size = sequences[0][0].size
    width, height = size[0] + size[0] % 2, size[1] + size[1] % 2
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream(
            "libx264", rate=Fraction(fps).limit_denominator(1001), options=_OPTIONS
        )
        stream.width, stream.height = width * len(sequences), height
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, _CLOCK_HZ)
        first_us, last = sequences[0][0].pts_us, -1
        for pictures in zip(*sequences, strict=True):
            row = to_av(_row([pad(picture, width, height) for picture in pictures]))
            last = max(last + 1, round((pictures[0].pts_us - first_us) * _CLOCK_HZ / 1e6))
            row.pts, row.time_base = last, Fraction(1, _CLOCK_HZ)
            out.mux(stream.encode(row))
        out.mux(stream.encode(None))
    return file.getvalue()


def _row(pictures: Sequence[Frame]) -> Frame:
    def joined(planes: Sequence[Plane]) -> Plane:
        return np.ascontiguousarray(np.concatenate(planes, axis=1))

    return Frame(
        y=joined([picture.y for picture in pictures]),
        u=joined([picture.u for picture in pictures]),
        v=joined([picture.v for picture in pictures]),
        pts_us=pictures[0].pts_us,
    )
