"""What this engine took for the frames it coded, and what that says of frames like them.  Pure.

Time is kept per megapixel, quality by bits per pixel.  A figure is given only where something was
measured; its confidence grows with the count.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Final, final

from auralink.engine.rpc.requests import Media

KEPT: Final = 500  # measurements of each kind: the last quarter of a minute of a stream
# A figure from as many frames as a second has counts half.
HALF: Final = 30
# Quality is remembered by bits per pixel, in steps of an octave.
_NEAR_OCTAVES: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """
    Attributes:
        p50_ms, p95_ms: of coding; None if nothing like it was.
        quality: mean SSIM at about these bits; None if none was measured.
        samples: behind the times.
    """

    p50_ms: float | None = None
    p95_ms: float | None = None
    quality: float | None = None
    samples: int = 0

    @property
    def confidence(self) -> float:
        return self.samples / (self.samples + HALF)


@dataclass(slots=True)
class _Kind:
    ms_per_unit: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    quality: dict[int, deque[float]] = field(default_factory=dict)  # by octave of bits per pixel


@final
class Costs:
    """Bounded: three kinds of media, `KEPT` times each, some forty octaves."""

    def __init__(self) -> None:
        self._kinds = {media: _Kind() for media in Media}
        self.frames = 0
        self._mean_ms = 0.0

    @property
    def mean_ms(self) -> float:
        """Of coding a frame, smoothed over about a hundred; 0 before the first."""
        return self._mean_ms

    def note(
        self,
        media: Media,
        size: tuple[int, int],
        *,
        encode_ms: float,
        bits_per_pixel: float,
        ssim: float | None,
    ) -> None:
        """Enter one coded frame.

        Args:
            size: of the picture, (0, 0) for sound.
        """
        self.frames += 1
        weight = 1 / min(self.frames, 100)
        self._mean_ms += weight * (encode_ms - self._mean_ms)
        kind = self._kinds[media]
        kind.ms_per_unit.append(encode_ms / _amount(size))
        if ssim is not None and bits_per_pixel > 0:
            at = _octave(bits_per_pixel)
            kind.quality.setdefault(at, deque(maxlen=KEPT)).append(ssim)

    def expect(self, media: Media, size: tuple[int, int], *, bits_per_pixel: float) -> Expectation:
        kind = self._kinds[media]
        if not kind.ms_per_unit:
            return Expectation()
        ordered = sorted(kind.ms_per_unit)
        amount = _amount(size)
        return Expectation(
            p50_ms=amount * ordered[len(ordered) // 2],
            p95_ms=amount * ordered[min(len(ordered) - 1, len(ordered) * 95 // 100)],
            quality=self._quality(kind, bits_per_pixel),
            samples=len(ordered),
        )

    def _quality(self, kind: _Kind, bits_per_pixel: float) -> float | None:
        if bits_per_pixel <= 0 or not kind.quality:
            return None
        wanted = _octave(bits_per_pixel)
        nearest = min(kind.quality, key=lambda at: abs(at - wanted))
        if abs(nearest - wanted) > _NEAR_OCTAVES:
            return None
        values = kind.quality[nearest]
        return sum(values) / len(values)


def _amount(size: tuple[int, int]) -> float:
    """Megapixels; a frame of sound is one."""
    return size[0] * size[1] / 1e6 or 1.0


def _octave(bits_per_pixel: float) -> int:
    return round(min(20.0, max(-20.0, math.log2(bits_per_pixel))))
