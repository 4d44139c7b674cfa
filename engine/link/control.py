"""Messages between the two ends of a link, topic ``aic.ctl``.  Pure.

::

    byte 0   1..2     3..
    kind     stream   body

    1 HELLO      who receives asks what there is; stream 0, empty
    2 STREAM     JSON: what a stream carries; sent on HELLO and on every change
    3 KEY        the stream shall be decodable from here on; empty
    4 FEEDBACK   8 bytes: units that arrived, a receiver report (docs/bitstream.md), then for each
                 packet that misses the age of its unit, from the highest on, and its index: u8, u8
    5 ESTIMATE   stream 0; u32 bit/s that the link carries, u8 share lost (of 255)

FEEDBACK and ESTIMATE may get lost, the next one replaces them; the others go on a reliable ordered
channel.  Numbers are big-endian.  Unknown kinds are ignored, so that newer ends can talk to older
ones.
"""

import json
import struct
from dataclasses import asdict, dataclass
from typing import Final, TypeAlias

from auralink.codecs.errors import BitstreamError
from auralink.codecs.video.syntax_report import REPORT_BYTES, parse_report, write_report
from auralink.engine.link.resending import HISTORY, MOST_GAPS, NUMBERS, Feedback, Gap

TOPIC: Final = "aic.ctl"
MAX_BYTES: Final = 2_000
_HEAD: Final = struct.Struct(">BH")
_ESTIMATE: Final = struct.Struct(">IB")
_MAX_TEXT: Final = 256
_ARRIVED: Final = 8  # bytes

_HELLO, _STREAM, _KEY, _FEEDBACK, _REPORT = 1, 2, 3, 4, 5


@dataclass(frozen=True, slots=True)
class Hello:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamInfo:
    """What a stream carries.

    Attributes:
        kind: "video", "audio".
        track: sid of the original track.
        identity: who published it.
        width, height: of the newest picture; 0 for audio.
        muted: nothing is sent for now, on purpose.
    """

    stream: int
    kind: str
    track: str
    identity: str
    name: str
    source: str
    width: int = 0
    height: int = 0
    muted: bool = False


@dataclass(frozen=True, slots=True)
class KeyRequest:
    stream: int


@dataclass(frozen=True, slots=True)
class StreamFeedback:
    stream: int
    feedback: Feedback


@dataclass(frozen=True, slots=True)
class Estimate:
    rate_bps: int
    loss: float  # 0..1


Message: TypeAlias = Hello | StreamInfo | KeyRequest | StreamFeedback | Estimate


def write(message: Message) -> bytes:
    match message:
        case Hello():
            return _HEAD.pack(_HELLO, 0)
        case StreamInfo():
            fields = asdict(message)
            stream = fields.pop("stream")
            body = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
            return _HEAD.pack(_STREAM, stream) + body
        case KeyRequest(stream):
            return _HEAD.pack(_KEY, stream)
        case StreamFeedback(stream, feedback):
            return _HEAD.pack(_FEEDBACK, stream) + _feedback_bytes(feedback)
        case Estimate(rate_bps, loss):
            rate = min(max(rate_bps, 0), 0xFFFF_FFFF)
            return _HEAD.pack(_REPORT, 0) + _ESTIMATE.pack(rate, round(min(max(loss, 0), 1) * 255))


def parse(data: bytes) -> Message | None:
    """None for a kind that is not known.

    Raises:
        BitstreamError: malformed.
    """
    if not _HEAD.size <= len(data) <= MAX_BYTES:
        raise BitstreamError(f"control message of {len(data)} bytes: 3 to {MAX_BYTES} are allowed")
    kind, stream = _HEAD.unpack_from(data)
    body = data[_HEAD.size :]
    match kind:
        case 1:
            return Hello()
        case 2:
            return _stream(stream, body)
        case 3:
            return KeyRequest(stream)
        case 4:
            return StreamFeedback(stream, _feedback(body))
        case 5:
            if len(body) != _ESTIMATE.size:
                raise BitstreamError(f"estimate of {len(body)} bytes, not {_ESTIMATE.size}")
            rate, loss = _ESTIMATE.unpack(body)
            return Estimate(rate, loss / 255)
        case _:
            return None


def _feedback_bytes(feedback: Feedback) -> bytes:
    highest = feedback.report.highest or 0
    gaps = b"".join(
        bytes(((highest - gap.number) % NUMBERS, gap.index)) for gap in feedback.gaps[:MOST_GAPS]
    )
    return feedback.arrived.to_bytes(_ARRIVED) + write_report(feedback.report) + gaps


def _feedback(body: bytes) -> Feedback:
    end = _ARRIVED + REPORT_BYTES
    gaps = body[end:]
    if len(body) < end or len(gaps) % 2 or len(gaps) > 2 * MOST_GAPS:
        raise BitstreamError(f"feedback of {len(body)} bytes: {end} and up to {MOST_GAPS} pairs")
    report = parse_report(body[_ARRIVED:end])
    if gaps and (report.highest is None or max(gaps[::2]) >= HISTORY):
        raise BitstreamError("feedback misses a packet of a unit that it does not speak of")
    highest = report.highest or 0
    return Feedback(
        report=report,
        arrived=int.from_bytes(body[:_ARRIVED]),
        gaps=tuple(
            Gap((highest - age) % NUMBERS, index)
            for age, index in zip(gaps[::2], gaps[1::2], strict=True)
        ),
    )


def _stream(stream: int, body: bytes) -> StreamInfo:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise BitstreamError("a stream's description is no JSON") from None
    if not isinstance(told, dict):
        raise BitstreamError("a stream's description is no JSON object")
    info = StreamInfo(
        stream=stream,
        kind=_text(told, "kind"),
        track=_text(told, "track"),
        identity=_text(told, "identity"),
        name=_text(told, "name"),
        source=_text(told, "source"),
        width=_number(told, "width"),
        height=_number(told, "height"),
        muted=told.get("muted") is True,
    )
    if info.kind not in ("audio", "video"):
        raise BitstreamError(f"a stream is audio or video, not {info.kind!r}")
    return info


def _text(told: dict[str, object], key: str) -> str:
    value = told.get(key)
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise BitstreamError(f"a stream's {key} is no text of at most {_MAX_TEXT} characters")
    return value


def _number(told: dict[str, object], key: str) -> int:
    value = told.get(key, 0)
    if type(value) is not int or not 0 <= value <= 65_535:
        raise BitstreamError(f"a stream's {key} is no number of 0 to 65535")
    return value
