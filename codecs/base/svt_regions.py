"""Blocks that SVT-AV1 codes coarser than the rest of one frame: its region-of-interest map.

The library weighs bits against distortion by the frame's quantizer, whatever the map says: next to
a coarse frame quantizer, an offset to a finer one changes next to nothing (measured).  So the frame
gets a quantizer near the finest, and the map makes all the rest coarser.  Right at the finest, what
moves in the rest would be coded with far too many bits; six steps above it cost the least for the
same gain (measured on three clips at 0, 6, 12 and 18).

A map counts for all later frames, and costs 13 bytes in each.  A node without a map ends that: the
library reports it as an error and goes on without one, so the caller keeps its log level at 0.
"""

import ctypes as c
from typing import Final, final

import numpy as np
import numpy.typing as npt

from auralink.codecs.base.hierarchy import COARSEST
from auralink.codecs.base.protocol import Sharpening

BLOCK: Final = 64  # samples, a side of what the map can tell apart

# The switch `enable_roi_map` of the configuration has no option name.  Its place in release 4.1,
# the byte before `tf_strength`, which has one and by that was found to be at 449 (default 3).
_SWITCH_AT: Final = 448
_NEIGHBOUR: Final = (449, 3)
_EVENT: Final = 2  # ROI_MAP_EVENT
_POINTER_BYTES: Final = 8
_ABOVE_FINE: Final = 6  # quantizer steps
_FINE, _REST = 0, 1  # segments; the library prefers the lower one where they meet


class _Map(c.Structure):
    """SvtAv1RoiMapEvt."""

    _fields_ = (
        ("start_picture", c.c_uint64),
        ("segments", c.c_void_p),
        ("offsets", c.c_int16 * 8),
        ("last_segment", c.c_int8),
        ("next", c.c_void_p),
    )


class _Node(c.Structure):
    """EbPrivDataNode: what travels beside a picture."""

    _fields_ = (
        ("kind", c.c_int),
        ("data", c.c_void_p),
        ("size", c.c_uint32),
        ("next", c.c_void_p),
    )


def switch_on(configuration: "c.Array[c.c_char]") -> bool:
    """Allow maps; False if the configuration is not laid out as it should be."""
    at, default = _NEIGHBOUR
    if configuration.raw[_SWITCH_AT] != 0 or configuration.raw[at] != default:
        return False
    configuration[_SWITCH_AT] = b"\1"
    return True


def index_of(quantizer: int) -> int:
    """The AV1 quantizer index of the library's 0..63."""
    return {62: 249, COARSEST: 255}.get(quantizer, 4 * quantizer)


@final
class Regions:
    """The maps of one instance.  Keeps alive what the library still points to."""

    def __init__(self) -> None:
        self._map: _Map | None = None
        self._segments: npt.NDArray[np.uint8] | None = None
        self._node: _Node | None = None

    def picture(self, sharpening: Sharpening | None, *, rest: int) -> tuple[int | None, int]:
        """For the next picture: address of what goes with it (None for nothing), its quantizer.

        Args:
            rest: quantizer of the blocks that are not sharpened.
        """
        if sharpening is None:
            if self._map is None:
                return None, rest
            self._map = self._segments = None
            self._node = _Node(kind=_EVENT, size=_POINTER_BYTES)
            return c.addressof(self._node), rest
        quantizer = min(sharpening.quantizer + _ABOVE_FINE, rest)
        offsets = [0] * 8
        offsets[_FINE] = index_of(sharpening.quantizer) - index_of(quantizer)
        offsets[_REST] = index_of(rest) - index_of(quantizer)
        segments = np.where(sharpening.blocks, _FINE, _REST).astype(np.uint8)
        self._segments = np.ascontiguousarray(segments)
        self._map = _Map(
            segments=self._segments.ctypes.data,
            offsets=(c.c_int16 * 8)(*offsets),
            last_segment=_REST,
        )
        self._node = _Node(kind=_EVENT, data=c.addressof(self._map), size=_POINTER_BYTES)
        return c.addressof(self._node), quantizer
