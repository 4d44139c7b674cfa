"""The sending side: what it tells the encoder of the link."""

from auralink.codecs.frame import Frame, blank
from auralink.codecs.video.protocol import Coded, Kind, Outcome, Wish
from auralink.engine.link.sender import Sending, StreamSender

RATE = 80_000  # 10 bytes a millisecond
INTERVAL_US = 50_000


class SlowFirst:
    """Units of 500 bytes, 50 ms of the link each; remembers what it was asked for."""

    def __init__(self) -> None:
        self.wishes: list[Wish] = []

    def encode(self, frame: Frame, wish: Wish) -> Coded:
        number = len(self.wishes)
        self.wishes.append(wish)
        packet = bytes([1 << 6, 0, number]) + bytes(497)
        return Coded(outcome=Outcome.CODED, packets=(packet,), number=number, kind=Kind.DELTA)

    def close(self) -> None:
        pass


def backlogs(ready_us: list[int]) -> list[int]:
    """What the encoder is told before each frame; frame ``n`` is ready at ``ready_us[n]``."""
    encoder = SlowFirst()
    sender = StreamSender(encoder, bitrate_bps=RATE, sending=Sending(parity=0.0))
    for number, ready in enumerate(ready_us):
        times = iter([max(number * INTERVAL_US, ready_us[number - 1] if number else 0), ready])
        sender.encode(blank(16, 16).at(number * INTERVAL_US), lambda times=times: next(times))  # type: ignore[misc]
    sender.close()
    return [wish.backlog_bits for wish in encoder.wishes]


def test_a_link_that_keeps_up_owes_nothing() -> None:
    assert backlogs([0, 50_000, 100_000, 150_000]) == [0, 0, 0, 0]


def test_a_frame_that_took_long_is_owed_from_when_it_left() -> None:
    told = backlogs([300_000] * 5)

    # Frames wait at once though their capture times lie 50 ms apart; two were saved up.
    assert told == [0, 0, 0, 4_000, 8_000]
