"""The stream configuration that opens every key unit, and the integers it is written with.

Everything here is read from untrusted bytes: each value is bounded before it is used, and
:class:`~auralink.codecs.errors.BitstreamError` is the only exception.  ``docs/bitstream.md``
describes the same bytes for the author of another decoder.
"""

import enum
from dataclasses import dataclass
from typing import Final

from auralink.codecs.errors import BitstreamError, InputError
from auralink.codecs.frame import MAX_AREA, MAX_HEIGHT, MAX_WIDTH

VERSION: Final = 1
MAX_VARINT_BYTES: Final = 9  # 63 bits: fits the signed 64-bit integers of every language
MAX_PTS_US: Final = 1 << 62
MIN_INTERVAL_NS: Final = 1_000_000  # 1,000 frames a second
MAX_INTERVAL_NS: Final = 10_000_000_000  # one frame in ten seconds
MAX_MODEL_ID: Final = (1 << 32) - 1


class Profile(enum.IntEnum):
    """Which decoder a stream needs; values below 16 have a base codec in the payload."""

    HYBRID = 1
    NATIVE_AV1 = 2
    NATIVE_VP8 = 3
    NATIVE_VP9 = 4
    NATIVE_H264 = 5
    NEURAL_S = 16
    NEURAL_M = 17

    @property
    def label(self) -> str:
        """The name for people and command lines: ``native-av1``."""
        return self.name.lower().replace("_", "-")

    @property
    def base_codec(self) -> str | None:
        """``av1``, ``vp8``, ``vp9`` or ``h264``; None where a network codes the picture."""
        if self is Profile.HYBRID:
            return "av1"
        family, _, codec = self.label.partition("-")
        return codec if family == "native" else None

    @property
    def learned(self) -> bool:
        """Networks code the picture: every packet can be read alone, and a loss is concealed."""
        return self >= Profile.NEURAL_S

    @classmethod
    def from_label(cls, label: str) -> "Profile":
        for profile in cls:
            if profile.label == label:
                return profile
        names = ", ".join(profile.label for profile in cls)
        raise InputError(f"no profile is called {label!r}: one of {names}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamConfig:
    """What a decoder must know before the first picture; repeated in every key unit.

    ``base_width x base_height`` is the top-left area of the decoded base picture that counts:
    the base codec may have padded it to an even size.
    """

    profile: Profile
    width: int
    height: int
    base_width: int
    base_height: int
    model_id: int = 0  # weights of the network the picture was made for; 0: none
    pts_us: int  # capture time of the key unit
    interval_ns: int  # expected distance of two units

    def __post_init__(self) -> None:
        if fault := _fault(self):
            raise InputError(fault)

    def to_bytes(self) -> bytes:
        out = bytearray((VERSION, self.profile, 0))
        for value in _fields(self):
            write_varint(out, value)
        return bytes(out)


def parse_config(data: bytes, start: int = 0) -> tuple[StreamConfig, int]:
    """Read a configuration; return it with the offset of the byte after it.

    Raises:
        BitstreamError: it is truncated, out of bounds, or of a later version.
    """
    if len(data) < start + 3:
        raise BitstreamError(f"stream configuration cut off after {len(data) - start} bytes")
    version, number, flags = data[start : start + 3]
    if version != VERSION:
        raise BitstreamError(
            f"bitstream version {version}, this reader knows version {VERSION}: "
            f"upgrade to a release that reads version {version}"
        )
    if flags:
        raise BitstreamError(
            f"configuration flags {flags:#04x} belong to bitstream version {VERSION + 1} or "
            f"later: upgrade to a release that reads version {VERSION + 1}"
        )
    try:
        profile = Profile(number)
    except ValueError:
        raise BitstreamError(
            f"profile {number} is unknown to bitstream version {VERSION}: "
            f"upgrade to a release that reads version {VERSION + 1}"
        ) from None
    values, position = [], start + 3
    for _ in range(7):
        value, position = read_varint(data, position)
        values.append(value)
    width, height, base_width, base_height, model_id, pts_us, interval_ns = values
    try:
        config = StreamConfig(
            profile=profile,
            width=width,
            height=height,
            base_width=base_width,
            base_height=base_height,
            model_id=model_id,
            pts_us=pts_us,
            interval_ns=interval_ns,
        )
    except InputError as error:
        raise BitstreamError(f"stream configuration: {error}") from None
    return config, position


def write_varint(out: bytearray, value: int) -> None:
    """Append ``value`` (0 .. 2^63 - 1) as LEB128: seven bits a byte, low bits first."""
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """Return ``(value, offset after it)``; only the shortest form of a value is valid."""
    value = 0
    for count, byte in enumerate(data[position : position + MAX_VARINT_BYTES]):
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            if byte == 0 and count:
                raise BitstreamError(f"overlong integer at byte {position}")
            return value, position + count + 1
    if len(data) >= position + MAX_VARINT_BYTES:
        raise BitstreamError(f"integer of more than {MAX_VARINT_BYTES} bytes at byte {position}")
    raise BitstreamError(f"integer cut off at byte {len(data)}")


def zigzag(value: int) -> int:
    """Map signed to unsigned, small to small: 0, -1, 1, -2 ... become 0, 1, 2, 3 ..."""
    return value << 1 if value >= 0 else (-value << 1) - 1


def unzigzag(value: int) -> int:
    return (value >> 1) ^ -(value & 1)


def _fields(config: StreamConfig) -> tuple[int, ...]:
    return (
        config.width,
        config.height,
        config.base_width,
        config.base_height,
        config.model_id,
        config.pts_us,
        config.interval_ns,
    )


def _fault(config: StreamConfig) -> str:
    """Say which bound is broken, or nothing."""
    width, height, base_width, base_height, model_id, pts_us, interval_ns = _fields(config)
    if not (1 <= width <= MAX_WIDTH and 1 <= height <= MAX_HEIGHT and width * height <= MAX_AREA):
        return f"picture of {width}x{height}: from 1x1 to 4096x2304 (or 2304x4096) is allowed"
    if not (1 <= base_width <= width and 1 <= base_height <= height):
        return f"base picture of {base_width}x{base_height} for a picture of {width}x{height}"
    if not 0 <= model_id <= MAX_MODEL_ID:
        return f"model id {model_id}: 0 to {MAX_MODEL_ID} is allowed"
    if not 0 <= pts_us <= MAX_PTS_US:
        return f"capture time of {pts_us} us: 0 to {MAX_PTS_US} is allowed"
    if not MIN_INTERVAL_NS <= interval_ns <= MAX_INTERVAL_NS:
        return f"frame interval of {interval_ns} ns: 1 ms to 10 s is allowed"
    return ""
