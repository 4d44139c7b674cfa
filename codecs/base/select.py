"""Which base encoders this machine has, which one serves, and why.

An AV1 library found by its file may still be of a release whose structures we do not know, so
each engine is tried on a few small frames, and its units decoded, before anything is built on it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal, TypeAlias, cast

import numpy as np

from auralink.codecs.base import native, pyav_av1
from auralink.codecs.base.aom import AomAv1
from auralink.codecs.base.dav1d import Dav1dDecoder
from auralink.codecs.base.protocol import BaseDecoder, BaseEncoder, Order
from auralink.codecs.base.svt import SvtAv1
from auralink.codecs.errors import AuraLinkError, UnsupportedError
from auralink.codecs.frame import Frame

Engine: TypeAlias = Literal["svt", "aom", "pyav"]
ENGINES: Final[tuple[Engine, ...]] = ("svt", "aom", "pyav")

_PRESETS_PER_SPEED: Final = {6: range(1, 8), 7: range(8, 10), 8: range(10, 11), 9: range(11, 13)}
_TEST_SIZE: Final = (96, 64)
_TEST_FRAMES: Final = 3
# Both codecs reach this at quantizer 30 on the test pattern by far; garbage is below 15.
_TEST_PSNR_DB: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFact:
    """What `auralink doctor` says of one engine."""

    engine: str
    name: str  # library and version, empty if none
    ok: bool
    chosen: bool
    why: str


def open_encoder(
    codec: str,
    size: tuple[int, int],
    *,
    fps: float,
    preset: int,
    screen: bool = False,
    engine: str = "auto",
    quantizer: float | None = None,
) -> BaseEncoder:
    """Open a base encoder.

    Args:
        codec: ``av1``, ``vp8``, ``vp9`` or ``h264``.
        engine: for AV1 ``svt``, ``aom`` or ``pyav``; ``auto`` is the first that passes its test.
        quantizer: constant quality, for engines without a quantizer per frame.

    Raises:
        UnsupportedError: this machine has no such encoder.
        EncoderError: the library refused the settings.
    """
    if codec in ("vp8", "vp9", "h264"):
        return native.open_encoder(cast(native.NativeCodec, codec), fps, quantizer=quantizer)
    if codec != "av1":
        raise UnsupportedError(f"no base codec is called {codec!r}: av1, vp8, vp9, h264")
    name = engine if engine != "auto" else _choose()
    if name == "svt":
        return SvtAv1(size, fps, preset=preset, screen=screen, realtime=preset >= 7)
    if name == "aom":
        return AomAv1(size, speed=_speed(preset), screen=screen)
    return pyav_av1.open_encoder(fps, preset=max(4, preset), screen=screen, quantizer=quantizer)


def open_decoder(codec: str) -> BaseDecoder:
    """
    Raises:
        UnsupportedError: no such codec.
    """
    if codec == "av1":
        return Dav1dDecoder()
    if codec in ("vp8", "vp9", "h264"):
        return native.open_decoder(cast(native.NativeCodec, codec))
    raise UnsupportedError(f"no base codec is called {codec!r}: av1, vp8, vp9, h264")


def survey() -> tuple[EngineFact, ...]:
    """Try every AV1 engine; the first that works is chosen."""
    facts: list[EngineFact] = []
    for engine in ENGINES:
        name, fault = self_test(engine)
        chosen = not fault and not any(fact.chosen for fact in facts)
        why = fault or ("first that passed its test" if chosen else "works; kept in reserve")
        facts.append(EngineFact(engine=engine, name=name, ok=not fault, chosen=chosen, why=why))
    return tuple(facts)


@cache
def self_test(engine: Engine) -> tuple[str, str]:
    """Code and decode a few frames; return the engine's name and its fault, empty if none."""
    name = ""
    try:
        encoder = _OPENERS[engine]()
        name = encoder.name
        try:
            fault = _try(encoder)
        finally:
            encoder.close()
    except AuraLinkError as error:
        fault = str(error)
    return name, fault


_OPENERS: Final[dict[Engine, Callable[[], BaseEncoder]]] = {
    "svt": lambda: SvtAv1(_TEST_SIZE, 30, preset=10, realtime=True),
    "aom": lambda: AomAv1(_TEST_SIZE, speed=9),
    "pyav": lambda: pyav_av1.open_encoder(30, preset=10, quantizer=30),
}


def _choose() -> Engine:
    for engine in ENGINES:
        if not self_test(engine)[1]:
            return engine
    faults = "; ".join(f"{engine}: {self_test(engine)[1]}" for engine in ENGINES)
    raise UnsupportedError(
        f"no AV1 encoder works here ({faults}): install the wheel, `pip install av`"
    )


def _try(encoder: BaseEncoder) -> str:
    decoder = Dav1dDecoder()
    try:
        for number in range(_TEST_FRAMES):
            picture = _pattern(number)
            unit = encoder.encode(picture, Order(number=number, quantizer=30, key=number == 0))
            if unit.key != (number == 0):
                return f"frame {number}: {'a' if unit.key else 'no'} key"
            decoded = decoder.decode(unit.data, 0)
            error = np.mean((picture.y.astype(np.float32) - decoded.y) ** 2)
            psnr_db = 10 * np.log10(255**2 / max(float(error), 1e-6))
            if psnr_db < _TEST_PSNR_DB:
                return f"frame {number} comes back with {psnr_db:.1f} dB"
    finally:
        decoder.close()
    return ""


def _pattern(number: int) -> Frame:
    """A soft moving wave: every block has something to code and to predict."""
    width, height = _TEST_SIZE
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    luma = 128 + 60 * np.sin((x + 2 * number) / 9) * np.cos(y / 7)
    grey = np.full((height // 2, width // 2), 128, np.uint8)
    return Frame(y=luma.astype(np.uint8), u=grey, v=grey, pts_us=number * 33_333)


def _speed(preset: int) -> int:
    """libaom's cpu-used that takes about the time of an SVT-AV1 preset."""
    return next((speed for speed, presets in _PRESETS_PER_SPEED.items() if preset in presets), 9)
