"""One decoder for every profile: each key unit says which it is."""

from collections.abc import Callable, Sequence
from typing import final

from auralink.codecs.errors import BitstreamError
from auralink.codecs.video.protocol import Kind, Picture, VideoDecoder
from auralink.codecs.video.syntax import parse_config
from auralink.codecs.video.syntax_packet import Packet, parse_packet

OpenDecoder = Callable[[], VideoDecoder]


@final
class AnyDecoder:
    """Hands units to the decoder of their stream; opens another when the kind of profile changes.

    Args:
        base: opens a decoder of streams with a base codec.
        learned: opens one of streams coded by networks.
    """

    def __init__(self, base: OpenDecoder, learned: OpenDecoder) -> None:
        self._open = {False: base, True: learned}
        self._learned = False
        self._decoder = base()

    def decode(self, packets: Sequence[bytes]) -> Picture:
        learned = _is_learned(packets)
        if learned is not None and learned is not self._learned:
            self._decoder.close()
            self._learned, self._decoder = learned, self._open[learned]()
        return self._decoder.decode(packets)

    def close(self) -> None:
        self._decoder.close()


def _is_learned(packets: Sequence[bytes]) -> bool | None:
    """What a key unit says; None for other units and for what cannot be read."""
    try:
        packet = parse_packet(packets[0]) if packets else None
        if not isinstance(packet, Packet) or packet.kind is not Kind.KEY:
            return None
        return parse_config(packet.payload)[0].profile.learned
    except BitstreamError:
        return None
