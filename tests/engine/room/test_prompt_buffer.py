"""When pictures leave the video jitter buffer."""

from aiortc.jitterbuffer import JitterFrame
from aiortc.rtp import RtpPacket

from auralink.codecs.base.native import open_encoder
from auralink.codecs.base.protocol import Order
from auralink.engine.room.key_pictures import begins
from auralink.engine.room.prompt_buffer import PromptBuffer

from ...codecs.pictures import moving


def packet(number: int, picture: int, *, last: bool, data: bytes | None = None) -> RtpPacket:
    made = RtpPacket(payload_type=96, sequence_number=number % 65_536, timestamp=picture * 3_000)
    made.marker = int(last)
    made._data = bytes([number % 256]) if data is None else data
    return made


def add(buffer: PromptBuffer, one: RtpPacket) -> list[tuple[int, bytes]]:
    """Time and bytes of what became complete."""
    _, frame = buffer.add(one)
    found: list[JitterFrame] = [] if frame is None else [frame]
    found += [waiting.frame for waiting in buffer.more]
    buffer.more.clear()
    return [(frame.timestamp // 3_000, frame.data) for frame in found]


def test_a_picture_leaves_with_its_last_packet() -> None:
    buffer = PromptBuffer()

    assert add(buffer, packet(1, 1, last=False)) == []
    assert add(buffer, packet(2, 1, last=True)) == [(1, b"\1\2")]
    assert add(buffer, packet(3, 2, last=True)) == [(2, b"\3")]


def test_all_that_a_late_packet_completes_leaves_at_once() -> None:
    buffer = PromptBuffer()
    add(buffer, packet(1, 1, last=True))

    late = [add(buffer, packet(number, number, last=True)) for number in (3, 4, 5)]

    assert late == [[], [], []]
    assert add(buffer, packet(2, 2, last=True)) == [
        (2, b"\2"),
        (3, b"\3"),
        (4, b"\4"),
        (5, b"\5"),
    ]


def test_without_markers_the_next_picture_ends_one() -> None:
    buffer = PromptBuffer()
    add(buffer, packet(1, 1, last=False))
    add(buffer, packet(2, 1, last=False))

    assert add(buffer, packet(3, 2, last=False)) == [(1, b"\1\2")]


def test_padding_after_a_picture_belongs_to_none() -> None:
    buffer = PromptBuffer()
    add(buffer, packet(1, 1, last=True))

    assert add(buffer, packet(2, 1, last=False, data=b"")) == []
    assert add(buffer, packet(3, 2, last=True)) == [(2, b"\3")]


def test_numbers_go_around() -> None:
    buffer = PromptBuffer()

    found = [add(buffer, packet(number, number, last=True)) for number in range(65_530, 65_545)]

    assert [len(one) for one in found] == [1] * 15


def test_a_picture_larger_than_the_buffer_does_not_stop_what_follows() -> None:
    buffer = PromptBuffer()
    for number in range(700):
        buffer.add(packet(number, 1, last=False))
    add(buffer, packet(700, 1, last=True))

    found = [add(buffer, packet(number, number, last=True)) for number in range(701, 720)]

    assert found[-1] == [(719, bytes([719 % 256]))]


def test_a_stream_begins_with_a_picture_that_a_decoder_can_begin_with_and_asks_for_it() -> None:
    buffer = PromptBuffer(lambda picture: picture.frame.data == b"key")
    asked, left = [], []
    for number in range(40):
        data = b"key" if number == 35 else b"other"
        wanted, frame = buffer.add(packet(number, number, last=True, data=data))
        asked += [number] if wanted else []
        left += [] if frame is None else [number]

    assert left == [35, 36, 37, 38, 39]
    assert asked == [0, 15, 30]


def test_a_buffer_made_anew_in_vain_still_waits_and_one_that_began_does_not() -> None:
    buffer = PromptBuffer(lambda picture: picture.frame.data == b"key")

    assert add(buffer.anew(), packet(1, 1, last=True, data=b"other")) == []
    add(buffer, packet(1, 1, last=True, data=b"key"))
    assert add(buffer.anew(), packet(2, 2, last=True, data=b"other")) == [(2, b"other")]


def test_keys_are_told_from_other_pictures() -> None:
    vp8 = open_encoder("vp8", 30)
    h264 = open_encoder("h264", 30)
    for codec, encoder in (("VP8", vp8), ("H264", h264)):
        units = [
            encoder.encode(
                moving(number, (64, 64)).at(number * 33_333),
                Order(number=number, bitrate_bps=100_000, key=number == 0),
            )
            for number in range(4)
        ]
        encoder.close()
        assert [begins(codec, unit.data) for unit in units] == [True, False, False, False]
    assert begins("VP9", b"anything")
    assert not begins("VP8", b"")
