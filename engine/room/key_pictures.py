"""Which coded pictures a decoder can begin with, by their first bytes.  Pure.

VP8: the frame tag's first bit is 0 in a key frame (RFC 6386, section 9.1).  H.264: an IDR slice has
type 5 (ITU-T H.264, table 7-1).
"""

from typing import Final

_START_CODE: Final = b"\0\0\1"
_IDR: Final = 5


def begins(codec: str, data: bytes) -> bool:
    """
    Args:
        codec: as SDP names it; of one that is not known here any picture may be the first.
        data: a whole picture; H.264 with start codes.
    """
    match codec.upper():
        case "VP8":
            return bool(data) and not data[0] & 1
        case "H264":
            units = data.split(_START_CODE)[1:]
            return any(unit and unit[0] & 0x1F == _IDR for unit in units)
        case _:
            return True
