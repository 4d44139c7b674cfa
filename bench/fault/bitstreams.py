"""F34: damaged packets of pictures and of sound, into the whole receiving side."""

import contextlib
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np
import psutil

from auralink.bench.fault.values import Fault, Trial, expect
from auralink.codecs.audio.packet import parse_packet as parse_sound
from auralink.codecs.errors import BitstreamError
from auralink.codecs.frame import Frame
from auralink.codecs.video.depacketizer import Depacketizer
from auralink.codecs.video.profiles import open_decoder, open_encoder
from auralink.codecs.video.protocol import Status, Wish
from auralink.codecs.video.receiver import Receiver

_SIZE: Final = (320, 240)
_FRAMES: Final = 30  # that are damaged
_KEY_EVERY: Final = 10
_KEYS: Final = 30  # good ones afterwards
_DAMAGED: Final = 400  # packets of a trial
_MOST_MS_PER_KB: Final = 1.0
_MOST_MB: Final = 64.0
_SLOWEST_S: Final = 2.0  # of one packet, decoding included: nothing hangs


@dataclass(frozen=True, slots=True)
class Stream:
    """Good packets: those to be damaged, and what comes after, by units from one key to the next.

    A damaged number is the number of a unit ahead, and good ones are then old for a while: packets
    that came through SRTP are not damaged, so that this is what a hostile sender does to itself.
    """

    first: tuple[bytes, ...]
    after: tuple[tuple[bytes, ...], ...]


@contextlib.contextmanager
def _stream() -> Iterator[Stream]:
    encoder = open_encoder("hybrid", fps=30)
    try:
        units = [
            encoder.encode(
                _moving(number), Wish(bitrate_bps=200_000, key=number % _KEY_EVERY == 0)
            ).packets
            for number in range(_FRAMES + _KEYS * _KEY_EVERY)
        ]
    finally:
        encoder.close()
    packets = [
        tuple(chain(*units[at : at + _KEY_EVERY])) for at in range(0, len(units), _KEY_EVERY)
    ]
    split = _FRAMES // _KEY_EVERY
    yield Stream(tuple(chain(*packets[:split])), tuple(packets[split:]))


def _moving(number: int) -> Frame:
    width, height = _SIZE
    rows, columns = np.mgrid[:height, :width]
    y = ((columns + 3 * number) % 64 * 3 + (rows // 8 % 2) * 40).astype(np.uint8)
    grey = np.full((height // 2, width // 2), 128, np.uint8)
    return Frame(y=y, u=grey, v=grey, pts_us=number * 33_333)


def _damaged(stream: Stream, seed: int) -> Trial:
    chance = random.Random(seed)
    packets = [_spoil(chance.choice(stream.first), chance) for _ in range(_DAMAGED)]
    parse_ms = _parsed(packets)
    receiver = Receiver(open_decoder())
    before_mb = _megabytes()
    wrong, slowest_s, keys = "", 0.0, 0
    try:
        for packet in (*stream.first[:8], *packets):
            began_s = time.process_time()
            receiver.push(packet)
            slowest_s = max(slowest_s, time.process_time() - began_s)
        grown_mb = _megabytes() - before_mb
        keys = _keys_until_shown(receiver, stream)
        wrong = _sound(chance)
    except Exception as error:  # whatever it is: that is what the trial is about
        wrong, grown_mb = f"raised {type(error).__name__}", 0.0
    finally:
        receiver.close()
    told = expect(
        parser_slow=parse_ms > _MOST_MS_PER_KB,
        a_packet_hung=slowest_s > _SLOWEST_S,
        memory_grew=grown_mb > _MOST_MB,
        good_stream_not_shown_after_it=not wrong and keys > _KEYS,
    )
    return Trial(
        wrong=", ".join(filter(None, (wrong, told))),
        figures={
            "parser, ms per kB": parse_ms,
            "slowest packet, ms of processor": 1e3 * slowest_s,
            "MB": grown_mb,
            "key units until shown": keys,
        },
    )


def _keys_until_shown(receiver: Receiver, stream: Stream) -> int:
    """Which of the good key units was shown first, from 1; one more than there are: none."""
    for number, packets in enumerate(stream.after, 1):
        pictures = [one for packet in packets for one in receiver.push(packet)]
        if any(one.status is Status.DECODED for one in pictures):
            return number
    return _KEYS + 1


def _parsed(packets: list[bytes]) -> float:
    """Milliseconds of processor per kB, until a unit would go to the decoder."""
    depacketizer = Depacketizer()
    began_s = time.process_time()
    for packet in packets:
        depacketizer.push(packet)
    return 1e3 * (time.process_time() - began_s) / (sum(map(len, packets)) / 1000)


def _sound(chance: random.Random) -> str:
    for _ in range(_DAMAGED):
        with contextlib.suppress(BitstreamError):
            parse_sound(chance.randbytes(chance.randint(0, 300)))
    return ""


def _spoil(packet: bytes, chance: random.Random) -> bytes:
    """Bits flipped, bytes cut out, put in or cut off; lengths and headers most of all."""
    data = bytearray(packet)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(min(len(data), 16) if chance.random() < 0.5 else len(data))
        match chance.randrange(4):
            case 0:
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                del data[at : at + chance.randint(1, 8)]
            case 2:
                data[at:at] = chance.randbytes(chance.randint(1, 8))
            case _:
                data[at] = 255
        if not data:
            return bytes(data)
    return bytes(data[: chance.randint(0, len(data))] if chance.random() < 0.2 else data)


def _megabytes() -> float:
    return float(psutil.Process(os.getpid()).memory_info().rss) / 2**20


FAULTS: Final = (
    Fault(
        number="F34",
        name="four hundred damaged packets of pictures, and garbage for sound",
        expected="nothing is raised and nothing hangs, at most 1 ms per kB to parse and 64 MB; "
        "good key units are shown again",
        prepare=_stream,
        inject=_damaged,
    ),
)
