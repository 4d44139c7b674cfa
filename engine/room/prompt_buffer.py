"""Pictures as soon as their last packet is there: a video jitter buffer that believes the marker.

aiortc's own takes a picture for complete when the first packet of the next one arrives, a frame
interval late, and gives one picture per packet: after a gap that a retransmission closed, pictures
of one packet each stay behind for ever.  RFC 3550, section 5.1, and the payload formats of VP8,
VP9, H.264 and AV1 set the marker on the last packet of a picture.

A stream may begin in the middle: what it announced first came before anybody listened.  A decoder
that had another stream before takes its pictures for its own then, without an error and for ever;
so nothing leaves before a picture that a decoder can begin with, which is asked for.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket
from aiortc.utils import uint16_add

_CAPACITY = 512  # packets, as aiortc's own
_ASK_EVERY: Final = 15  # pictures in vain: servers pass on two requests a second


@dataclass(frozen=True, slots=True)
class Waiting:
    """A complete picture beyond the first that a packet completed."""

    frame: JitterFrame
    payload_type: int


@final
class PromptBuffer(JitterBuffer):
    """`add` gives the first complete picture, `more` holds those that became complete with it.

    Args:
        begins: whether a decoder can begin with a picture; by default with any.
    """

    def __init__(self, begins: Callable[[Waiting], bool] = lambda picture: True) -> None:
        super().__init__(capacity=_CAPACITY, is_video=True)
        self.more: deque[Waiting] = deque(maxlen=_CAPACITY)
        self._begins = begins
        self._begun = False
        self._in_vain = 0  # pictures before the one to begin with

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Whether a key picture is wanted, and the first that is complete."""
        before = self._in_vain
        wanted, frame = super().add(packet)
        asks = any(count % _ASK_EVERY == 0 for count in range(before, self._in_vain))
        return wanted or asks, frame

    def anew(self) -> "PromptBuffer":
        """An empty one for the same stream, which waits for its beginning if this one does."""
        other = PromptBuffer(self._begins)
        other._begun, other._in_vain = self._begun, self._in_vain
        return other

    def _remove_frame(self, sequence_number: int) -> JitterFrame | None:
        first = self._next()
        if first is None:
            return None
        while (waiting := self._next()) is not None:
            self.more.append(waiting)
        return first.frame

    def _next(self) -> Waiting | None:
        """Take the oldest picture out if it is complete, and of use."""
        while (picture := self._complete()) is not None:
            self._begun = self._begun or self._begins(picture)
            if self._begun:
                return picture
            self._in_vain += 1
        return None

    def _complete(self) -> Waiting | None:
        self._skip_padding()
        packets: list[RtpPacket] = []
        for count in range(self.capacity):
            packet = self._at(count)
            if packet is None:
                return None
            if packets and packet.timestamp != packets[0].timestamp:
                return self._take(packets)  # a sender that sets no markers
            packets.append(packet)
            if packet.marker:
                return self._take(packets)
        return None

    def _take(self, packets: list[RtpPacket]) -> Waiting:
        self.remove(len(packets))
        data = b"".join(_data(packet) for packet in packets)
        return Waiting(JitterFrame(data, packets[0].timestamp), packets[0].payload_type)

    def _skip_padding(self) -> None:
        """Servers send empty packets after a picture, which belong to none."""
        while (packet := self._at(0)) is not None and not _data(packet):
            self.remove(1)

    def _at(self, count: int) -> RtpPacket | None:
        origin = self._origin
        return None if origin is None else self._packets[uint16_add(origin, count) % self.capacity]


def _data(packet: RtpPacket) -> bytes:
    """Payload without its descriptor, as aiortc's receiver leaves it there."""
    data: bytes = getattr(packet, "_data", b"")
    return data
