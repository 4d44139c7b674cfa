"""Frame to ``av.VideoFrame`` and back: one copy each way, any line size, odd sizes too."""

from typing import Final

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from auralink.codecs.errors import InputError
from auralink.codecs.frame import Frame, Plane

I420: Final = "yuv420p"
# Red, green and blue become what WebRTC's own converters make of them (libyuv: BT.601, limited).
_RGB_MATRIX: Final = int(Colorspace.ITU601)


def to_av(frame: Frame) -> VideoFrame:
    """Copy into a new ``av.VideoFrame`` of the same size, without a pts."""
    picture = VideoFrame(frame.width, frame.height, I420)
    for target, source in zip(picture.planes, frame.planes, strict=True):
        np.copyto(_samples(target), source)
    return picture


def gray_to_av(plane: Plane) -> VideoFrame:
    """Copy one plane into a new single-plane picture."""
    picture = VideoFrame(int(plane.shape[1]), int(plane.shape[0]), "gray")
    np.copyto(_samples(picture.planes[0]), plane)
    return picture


def to_i420(picture: VideoFrame, pts_us: int, scaler: VideoReformatter | None = None) -> Frame:
    """Copy out of any picture, converted to 8-bit 4:2:0 if it is something else.

    I420 samples are taken as they are, whatever range or matrix they are tagged with.  Other YUV
    formats keep their matrix and become limited range; RGB becomes BT.601 limited range.

    Args:
        scaler: reused from picture to picture; without it a conversion builds its tables anew.

    Raises:
        InputError: the format cannot be converted, or the size is out of bounds.
    """
    if picture.format.name != I420:
        picture = _converted(picture, scaler or VideoReformatter())
    y, u, v = (plane_of(picture, index) for index in range(3))
    return Frame(y=y, u=u, v=v, pts_us=pts_us)


def plane_of(picture: VideoFrame, index: int) -> Plane:
    """A copy of one 8-bit plane, C-contiguous."""
    return _samples(picture.planes[index]).copy()


def _samples(plane: VideoPlane) -> Plane:
    """View of the samples that count, without the padding at the end of each line."""
    memory = np.frombuffer(memoryview(plane), np.uint8)
    return memory.reshape(-1, plane.line_size)[: plane.height, : plane.width]


def _converted(picture: VideoFrame, scaler: VideoReformatter) -> VideoFrame:
    try:
        return scaler.reformat(
            picture,
            format=I420,
            dst_colorspace=_RGB_MATRIX if picture.format.is_rgb else None,
            dst_color_range=int(ColorRange.MPEG),
            threads=1,
        )
    except (av.FFmpegError, ValueError) as refused:
        raise InputError(
            f"no way from {picture.format.name} to 8-bit 4:2:0: {refused}"
        ) from refused
