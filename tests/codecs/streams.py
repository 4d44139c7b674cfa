"""Made-up streams for the tests of the packet layer."""

import numpy as np

from auralink.codecs.video.packetizer import Packetizer, Unit
from auralink.codecs.video.protocol import Kind
from auralink.codecs.video.syntax import Profile, StreamConfig

INTERVAL_NS = 33_333_333


def config(pts_us: int = 0, **changes: object) -> StreamConfig:
    values: dict[str, object] = {
        "profile": Profile.HYBRID,
        "width": 640,
        "height": 360,
        "base_width": 640,
        "base_height": 360,
        "interval_ns": INTERVAL_NS,
        "pts_us": pts_us,
    }
    return StreamConfig(**(values | changes))  # type: ignore[arg-type]


def key(number: int, payload: bytes = b"key", pts_us: int | None = None) -> Unit:
    pts_us = time_of(number) if pts_us is None else pts_us
    return Unit(
        kind=Kind.KEY,
        number=number,
        reference=True,
        pts_us=pts_us,
        config=config(pts_us),
        payload=payload,
    )


def delta(number: int, *depends: int, reference: bool = True, payload: bytes = b"delta") -> Unit:
    return Unit(
        kind=Kind.DELTA,
        number=number,
        reference=reference,
        depends=depends,
        pts_us=time_of(number),
        payload=payload,
    )


def skip(number: int, depends: int) -> Unit:
    return Unit(
        kind=Kind.SKIP,
        number=number,
        reference=False,
        depends=(depends,),
        pts_us=time_of(number),
    )


def time_of(number: int) -> int:
    return round(number * INTERVAL_NS / 1000)


def layered(
    rng: np.random.Generator, *, first: int, count: int, key_every: int = 40
) -> list[tuple[Unit, tuple[bytes, ...]]]:
    """A stream as an encoder with two layers makes it: odd units are not referred to."""
    packetizer, out = Packetizer(), []
    for i in range(count):
        number = first + i
        payload = rng.bytes(int(rng.integers(20, 600)))
        if i % key_every == 0:
            unit = key(number, rng.bytes(int(rng.integers(800, 6000))))
        elif rng.random() < 0.1 and i % 2:
            unit = skip(number, number - 1)
        elif i % 2:
            unit = delta(number, number - 1, reference=False, payload=payload)
        else:
            if rng.random() < 0.1:
                payload = rng.bytes(int(rng.integers(1000, 3000)))
            unit = delta(number, number - 2, payload=payload)
        out.append((unit, packetizer.packetize(unit)))
    return out
