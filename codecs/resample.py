"""Change the size of pictures with swscale."""

from typing import Final, Literal, TypeAlias, final

import av
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from auralink.codecs.base.pyav_frames import gray_to_av, plane_of, to_av, to_i420
from auralink.codecs.errors import InputError
from auralink.codecs.frame import Frame, Plane

Kernel: TypeAlias = Literal["lanczos", "bicubic", "area"]

# Accurate rounding and bit-exactness make every machine compute the same samples.
_EXACT: Final = int(Interpolation.ACCURATE_RND | Interpolation.BITEXACT)
_FLAGS: Final[dict[Kernel, int]] = {
    "lanczos": int(Interpolation.LANCZOS) | _EXACT,
    "bicubic": int(Interpolation.BICUBIC) | _EXACT,
    "area": int(Interpolation.AREA) | _EXACT,
}


@final
class Resampler:
    """Scale pictures with one kernel; keeps its filter tables while the sizes stay.

    Use one per call site: alternating sizes rebuild the tables each time.
    """

    def __init__(self, kernel: Kernel = "lanczos") -> None:
        self._flags = _FLAGS[kernel]
        self._pictures = VideoReformatter()
        self._planes = VideoReformatter()

    def resize(self, frame: Frame, width: int, height: int) -> Frame:
        """Scale all planes (the same frame if the size is right already)."""
        if frame.size == (width, height):
            return frame
        return to_i420(self._scale(self._pictures, to_av(frame), width, height), frame.pts_us)

    def resize_plane(self, plane: Plane, width: int, height: int) -> Plane:
        """Scale luma alone: the samples that :meth:`resize` makes, for two thirds of the work."""
        if plane.shape == (height, width):
            return plane
        return plane_of(self._scale(self._planes, gray_to_av(plane), width, height), 0)

    def _scale(
        self, scaler: VideoReformatter, picture: VideoFrame, width: int, height: int
    ) -> VideoFrame:
        try:
            return scaler.reformat(
                picture, width=width, height=height, interpolation=self._flags, threads=1
            )
        except (av.FFmpegError, ValueError) as refused:
            raise InputError(
                f"cannot scale {picture.width}x{picture.height} to {width}x{height}: {refused}"
            ) from refused


def resize(frame: Frame, width: int, height: int, *, kernel: Kernel = "lanczos") -> Frame:
    """Scale one picture; for more than a few keep a :class:`Resampler`."""
    return Resampler(kernel).resize(frame, width, height)
