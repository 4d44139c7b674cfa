"""Anything that codes a clip and gives it back, as the measurements see it.

A base encoder, an anchor and the full AIC codec are all the same here: a :class:`Subject` codes a
clip at one :class:`Point` and returns real sizes and real pictures.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, final

from auralink.bench.clips import Clip
from auralink.codecs.base.protocol import BaseDecoder, BaseEncoder, BaseUnit, Order
from auralink.codecs.frame import Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One place on a rate-quality curve: a bit rate, or else a constant quantizer."""

    bitrate_bps: int = 0  # 0: constant quality
    quantizer: float = 40  # on the subject's own scale

    @property
    def label(self) -> str:
        return f"{self.bitrate_bps / 1000:g}k" if self.bitrate_bps else f"q{self.quantizer:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What became of a clip at one point.

    ``sizes`` has the bytes of each frame as sent, headers included, 0 for a frame not sent;
    ``frames`` what a viewer sees at each frame's time, so both are as long as the clip.  Seconds
    are of processor time, all threads of the process together.
    """

    sizes: tuple[int, ...]
    frames: tuple[Frame, ...] = field(repr=False)
    keys: int
    encode_s: float
    decode_s: float


class Subject(Protocol):
    @property
    def name(self) -> str:
        """Short and unique: the key in results, the label in plots."""
        ...

    def settings(self, clip: Clip) -> dict[str, str]:
        """How it is set for this clip, exactly enough to repeat it."""
        ...

    def points(self, clip: Clip) -> Sequence[Point]:
        """Where to measure, from few bits to many."""
        ...

    def run(self, clip: Clip, point: Point) -> Run:
        """Code all frames, then decode them.  Fresh state each time."""
        ...


@final
class BaseSubject:
    """A base codec as a subject: one key frame at the start, no losses.

    Args:
        open_encoder: makes a fresh encoder for a clip and a point.
        choose_points: where to measure this clip.
        describe: settings for this clip, beyond the encoder's own name.
    """

    def __init__(
        self,
        name: str,
        *,
        open_encoder: Callable[[Clip, Point], BaseEncoder],
        open_decoder: Callable[[], BaseDecoder],
        choose_points: Callable[[Clip], Sequence[Point]],
        describe: Callable[[Clip], dict[str, str]],
    ) -> None:
        self._name = name
        self._open_encoder = open_encoder
        self._open_decoder = open_decoder
        self._choose_points = choose_points
        self._describe = describe

    @property
    def name(self) -> str:
        return self._name

    def settings(self, clip: Clip) -> dict[str, str]:
        encoder = self._open_encoder(clip, self.points(clip)[-1])
        encoder_name = encoder.name
        encoder.close()
        return {"encoder": encoder_name, **self._describe(clip)}

    def points(self, clip: Clip) -> Sequence[Point]:
        return self._choose_points(clip)

    def run(self, clip: Clip, point: Point) -> Run:
        started = time.process_time()
        units = encode(self._open_encoder(clip, point), clip, point)
        encoded = time.process_time()
        frames = decode(self._open_decoder(), clip, units)
        return Run(
            sizes=tuple(len(unit.data) for unit in units),
            frames=frames,
            keys=sum(unit.key for unit in units),
            encode_s=encoded - started,
            decode_s=time.process_time() - encoded,
        )


def encode(encoder: BaseEncoder, clip: Clip, point: Point) -> list[BaseUnit]:
    """Code a clip from start to end and close the encoder."""
    try:
        return [
            encoder.encode(
                frame,
                Order(
                    number=number,
                    quantizer=point.quantizer,
                    bitrate_bps=point.bitrate_bps,
                    key=number == 0,
                ),
            )
            for number, frame in enumerate(clip.frames)
        ]
    finally:
        encoder.close()


def decode(decoder: BaseDecoder, clip: Clip, units: Sequence[BaseUnit]) -> tuple[Frame, ...]:
    try:
        return tuple(
            decoder.decode(unit.data, frame.pts_us)
            for unit, frame in zip(units, clip.frames, strict=True)
        )
    finally:
        decoder.close()
