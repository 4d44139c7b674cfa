"""Everything on the receiving side of a stream: datagrams in, pictures and reports out."""

from typing import final

from auralink.codecs.errors import BitstreamError
from auralink.codecs.video.depacketizer import Depacketizer, Statistics
from auralink.codecs.video.protocol import Kind, Picture, ReceiverReport, Status, VideoDecoder
from auralink.codecs.video.syntax_packet import NUMBERS, Packet, parse_packet

_HISTORY = 64  # units a report speaks of


@final
class Receiver:
    """Repairs, reorders and decodes one stream."""

    def __init__(self, decoder: VideoDecoder) -> None:
        self._depacketizer = Depacketizer()
        self._decoder = decoder
        self._decoded: list[int] = []  # newest last, numbers as on the wire
        self._highest: int | None = None
        # The newest unit with a picture of its own could not be used, or only in part.
        self._frozen = False

    def push(self, datagram: bytes) -> list[Picture]:
        """Enter one datagram, good or bad; return the pictures that it makes available."""
        self._note(datagram)
        return [self._decode(packets) for packets in self._depacketizer.push(datagram)]

    def report(self) -> ReceiverReport:
        """What to tell the sender now.  Starts a new interval for the loss figure."""
        newest = self._decoded[-1] if self._decoded else None
        held = 0
        for number in self._decoded:
            age = (self._decoded[-1] - number) % NUMBERS
            if age < _HISTORY:
                held |= 1 << age
        return ReceiverReport(
            newest=newest,
            decoded=held,
            highest=self._highest,
            loss=self._depacketizer.loss(),
            stuck=self.stuck,
        )

    @property
    def stuck(self) -> bool:
        """Nothing can be decoded until the sender answers: report at once."""
        waiting = self._highest is not None and not self._decoded
        return self._frozen or waiting or self._depacketizer.stuck

    def statistics(self) -> Statistics:
        return self._depacketizer.statistics()

    def close(self) -> None:
        self._decoder.close()

    def _decode(self, packets: tuple[bytes, ...]) -> Picture:
        picture = self._decoder.decode(packets)
        head = parse_packet(packets[0])
        if picture.restarted:
            # What was decoded before is no reference any more; without this the sender would build
            # its repair on it.
            self._decoded.clear()
        if picture.status is Status.FROZEN:
            self._frozen = self._frozen or (isinstance(head, Packet) and head.reference)
            return picture
        if picture.status is Status.CONCEALED:
            self._frozen = True
            return picture
        if isinstance(head, Packet) and head.kind is not Kind.SKIP:
            self._frozen = False
            self._decoded.append(head.number)
            del self._decoded[:-_HISTORY]
        return picture

    def _note(self, datagram: bytes) -> None:
        try:
            head = parse_packet(datagram)
        except BitstreamError:
            return
        if isinstance(head, Packet) and (
            self._highest is None or 0 < (head.number - self._highest) % NUMBERS < NUMBERS // 2
        ):
            self._highest = head.number
