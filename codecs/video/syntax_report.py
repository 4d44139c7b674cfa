"""Receiver reports as bytes, for whatever carries them back to the sender.

::

    0        1 2      3 4      5        6..13
    flags    newest   highest  loss     decoded
    u8       u16      u16      u8/255   u64, bit i: unit newest - i
"""

import struct
from typing import Final

from auralink.codecs.errors import BitstreamError
from auralink.codecs.video.protocol import ReceiverReport

REPORT_VERSION: Final = 1  # upper four bits of the flags
_LAYOUT: Final = struct.Struct(">BHHBQ")
REPORT_BYTES: Final = _LAYOUT.size
_STUCK, _NEWEST, _HIGHEST = 1, 2, 4  # flags: stuck; the field is present
_RESERVED: Final = 8
_LOSS_SCALE: Final = 255


def write_report(report: ReceiverReport) -> bytes:
    """``REPORT_BYTES`` bytes; the loss is rounded to 1/255."""
    flags = REPORT_VERSION << 4
    flags |= _STUCK if report.stuck else 0
    flags |= _NEWEST if report.newest is not None else 0
    flags |= _HIGHEST if report.highest is not None else 0
    loss = round(min(max(report.loss, 0.0), 1.0) * _LOSS_SCALE)
    return _LAYOUT.pack(flags, report.newest or 0, report.highest or 0, loss, report.decoded)


def parse_report(data: bytes) -> ReceiverReport:
    """
    Raises:
        BitstreamError: wrong length, another version, or fields that contradict each other.
    """
    if len(data) != REPORT_BYTES:
        raise BitstreamError(f"receiver report of {len(data)} bytes, {REPORT_BYTES} are expected")
    flags, newest, highest, loss, decoded = _LAYOUT.unpack(data)
    if flags >> 4 != REPORT_VERSION or flags & _RESERVED:
        raise BitstreamError(f"receiver report with flags {flags:#04x} is of another version")
    has_newest, has_highest = bool(flags & _NEWEST), bool(flags & _HIGHEST)
    if has_newest != bool(decoded & 1) or (not has_newest and (newest or decoded)):
        raise BitstreamError("receiver report: the newest unit is not among the decoded ones")
    if not has_highest and highest:
        raise BitstreamError("receiver report: a number where there is none")
    return ReceiverReport(
        newest=newest if has_newest else None,
        decoded=decoded,
        highest=highest if has_highest else None,
        loss=loss / _LOSS_SCALE,
        stuck=bool(flags & _STUCK),
    )
