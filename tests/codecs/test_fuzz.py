"""Damaged bytes into every parser: nothing but ``BitstreamError``, within bounds.

``FUZZ_CASES`` sets the number of inputs per parser; each is a valid input with bytes changed, cut
out, put in, or cut off.
"""

import json
import os
import runpy
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from auralink.codecs.av1.headers import HeaderReader
from auralink.codecs.av1.obu import restore, strip
from auralink.codecs.errors import BitstreamError
from auralink.codecs.neural import frame_code, packet
from auralink.codecs.neural.tiles import Grid
from auralink.codecs.video.container import read_packets
from auralink.codecs.video.depacketizer import MAX_HELD_BYTES, MAX_HELD_UNITS, Depacketizer
from auralink.codecs.video.depacketizer_unit import UnitReader
from auralink.codecs.video.options import EncoderOptions
from auralink.codecs.video.packetizer import Packetizer
from auralink.codecs.video.parity_receiver import HISTORY_BYTES, HISTORY_UNITS, ParityReceiver
from auralink.codecs.video.profiles import open_decoder, open_encoder
from auralink.codecs.video.protocol import Status, Wish
from auralink.codecs.video.receiver import Receiver
from auralink.codecs.video.syntax import parse_config
from auralink.codecs.video.syntax_packet import NUMBERS, Packet, parse_packet

from .neural import samples
from .neural.networks import networks
from .pictures import moving
from .streams import config, delta, key

CASES = int(os.environ.get("FUZZ_CASES", "10000"))
VECTORS = Path(__file__).parents[1] / "vectors"
PACKETS = [
    bytes.fromhex(vector["hex"]) for vector in json.loads((VECTORS / "packets.json").read_text())
]
FILE = (VECTORS / "moving_128x96.aic").read_bytes()
UNITS = runpy.run_path(str(VECTORS / "make.py"))["temporal_units"]()

pytestmark = pytest.mark.fuzz


def damaged(seeds: list[bytes], seed: int, cases: int = CASES) -> Iterator[bytes]:
    rng = np.random.default_rng(seed)
    for start in range(0, cases, 1000):
        draws = rng.integers(0, 1 << 31, (min(1000, cases - start), 8)).tolist()
        for pick, way, where, *values in draws:
            yield _damage(bytearray(seeds[pick % len(seeds)]), way, where, values)


def _damage(data: bytearray, way: int, where: int, values: list[int]) -> bytes:
    # Headers are where parsers go wrong: half of all damage is in the first 16 bytes.
    reach = min(len(data), 16) if where & 1 else len(data)
    place = (where >> 1) % max(1, reach)
    match way % 6:
        case 0:
            del data[place:]
        case 1:
            del data[place : place + 1 + values[0] % 4]
        case 2:
            data[place:place] = bytes(value & 0xFF for value in values[: 1 + values[0] % 4])
        case 3:
            data[place : place + 1] = (b"\0", b"\xff", b"\x80", b"\x7f")[values[0] % 4]
        case 4 if data:
            data[place] ^= 1 << values[0] % 8
        case _:
            for i, value in enumerate(values[: 1 + values[4] % 4]):
                spot = (place + i * (values[0] % 5)) % max(1, len(data))
                data[spot : spot + 1] = bytes((value & 0xFF,))
    return bytes(data)


def parse_container(data: bytes) -> None:
    for _ in read_packets(BytesIO(data)):
        pass


def read_alone(data: bytes) -> None:
    UnitReader().read([data])


@pytest.mark.parametrize(
    ("parse", "seeds"),
    [
        pytest.param(parse_packet, PACKETS, id="packet"),
        pytest.param(parse_config, [config(1 << 40, model_id=9).to_bytes()], id="config"),
        pytest.param(parse_container, [FILE], id="container"),
        pytest.param(strip, UNITS, id="strip"),
        pytest.param(restore, [strip(unit) for unit in UNITS], id="restore"),
        pytest.param(read_alone, PACKETS, id="unit"),
    ],
)
def test_raises_nothing_but_bitstream_errors(
    parse: Callable[[bytes], object], seeds: list[bytes]
) -> None:
    for data in damaged(seeds, 1):
        with suppress(BitstreamError):
            parse(data)


def test_av1_headers_hold_their_state_through_damage() -> None:
    reader = HeaderReader()
    for i, data in enumerate(damaged(UNITS, 2)):
        if i % 50 == 0:
            reader.read(UNITS[0])
        with suppress(BitstreamError):
            for header in reader.read(data):
                assert 0 <= header.base_q_idx <= 255
                assert header.width * header.height < 10_000_000


def test_parity_stays_within_its_history() -> None:
    receiver = ParityReceiver()
    for data in damaged(PACKETS, 3):
        with suppress(BitstreamError):
            for rebuilt in receiver.receive(parse_packet(data)):
                assert isinstance(rebuilt, Packet)
        assert len(receiver._units) <= HISTORY_UNITS
        assert receiver._bytes <= HISTORY_BYTES


def test_the_depacketizer_never_raises_and_recovers_at_a_key_unit() -> None:
    depacketizer, reader, read = Depacketizer(), UnitReader(), 0
    stream = [data for _, data in read_packets(BytesIO(FILE))]
    for i, data in enumerate(damaged([*PACKETS, *stream], 4)):
        for packets in depacketizer.push(data if i % 3 else stream[i // 3 % len(stream)]):
            with suppress(BitstreamError):
                reader.read(packets)
                read += 1
        assert len(depacketizer._held) <= MAX_HELD_UNITS
        assert depacketizer._held_bytes <= MAX_HELD_BYTES
        if i % 100 == 0:
            assert 0 <= depacketizer.loss() <= 1
            assert depacketizer.stuck == (depacketizer.missing() is not None)
    assert read

    opening = free_number(depacketizer)
    packetizer, released = Packetizer(), []
    for number in range(opening, opening + 80):
        unit = delta(number, number - 1) if number > opening else key(number)
        released += depacketizer.push(packetizer.packetize(unit)[0])

    assert len(released) == 80
    assert not depacketizer.stuck


def free_number(depacketizer: Depacketizer) -> int:
    """Start of a run of numbers, ahead of the newest unit, that no damaged packet had."""
    newest, seen = depacketizer._newest or 0, depacketizer._loss._seen
    seen_numbers = {number % NUMBERS for number in seen}
    for number in range(newest + 1, newest + 60_000, 80):
        if seen_numbers.isdisjoint(n % NUMBERS for n in range(number, number + 80)):
            return number
    raise AssertionError("no free numbers")


def test_payloads_of_networks_are_read_or_refused() -> None:
    grid, model = Grid(3, 5), samples.model()
    frames = [
        samples.symbols(3, 5, intra=intra, busy=0.2, seed=seed)
        for seed in range(4)
        for intra in (True, False)
    ]
    seeds = [
        payload
        for frame in frames
        for limit in (10_000, 300)
        for payload in frame_code.write(model, frame, limit)[0]
    ]
    for data in damaged(seeds, 5):
        with suppress(BitstreamError):
            content = packet.read(model, grid, data)
            assert abs(content.part.vectors).max() <= 252


def test_a_learned_stream_is_shown_whatever_arrives_and_whole_from_the_next_key_on() -> None:
    encoder = open_encoder(
        "neural-s", fps=30, options=EncoderOptions(quantizer=30), neural=networks
    )
    size = (48, 32)
    stream = [
        data
        for number in range(60)
        for data in encoder.encode(moving(number, size), Wish(key=number % 15 == 0)).packets
    ]
    receiver = Receiver(open_decoder(neural=networks))
    for i, data in enumerate(damaged(stream, 6, CASES // 10)):
        for picture in receiver.push(data if i % 3 else stream[i // 3 % len(stream)]):
            assert picture.frame is None or picture.status is not Status.FROZEN or picture.reason

    after = Receiver(open_decoder(neural=networks))
    for data in damaged(stream, 7, 300):
        after.push(data)
    opening = free_number(after._depacketizer)
    fresh = open_encoder("neural-s", fps=30, neural=networks)
    fresh._writer._number = opening
    statuses = [
        picture.status
        for number in range(10)
        for data in fresh.encode(moving(number, size), Wish(key=number == 0)).packets
        for picture in after.push(data)
    ]
    assert statuses == [Status.DECODED] * 10
