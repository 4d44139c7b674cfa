"""What a viewer saw of a call, frame by frame, and how good it was."""

import importlib
import statistics
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from auralink.codecs.frame import Frame, blank
from auralink.codecs.resample import Resampler
from auralink.engine.link.call import Played, is_new

_TOLERANCE_US = 1000  # capture times lose fractions of a millisecond on the wire


def on_screen(
    frames: Sequence[Frame], played: Iterable[Played], delay_ms: float
) -> tuple[list[Frame], int]:
    """The picture at each frame's time, and how many of them are not of that time.

    The viewer shows frame ``t`` at ``t + delay_ms``: the newest picture not later than ``t`` that
    is ready by then.  So a late picture shortens a freeze, but does not undo it.  Before the first
    picture the screen is grey.
    """
    waiting = deque(
        (item.at_us, item.picture.frame)
        for item in played
        if is_new(item) and item.picture.frame is not None
    )
    resampler = Resampler()
    shown, held = [], 0
    current: Frame | None = None
    for frame in frames:
        deadline_us = frame.pts_us + delay_ms * 1000
        while (
            waiting
            and waiting[0][0] <= deadline_us
            and waiting[0][1].pts_us <= frame.pts_us + _TOLERANCE_US
        ):
            current = waiting.popleft()[1]
        picture = blank(*frame.size, luma=128) if current is None else current
        held += current is None or abs(current.pts_us - frame.pts_us) > _TOLERANCE_US
        shown.append(resampler.resize(picture, *frame.size).at(frame.pts_us))
    return shown, held


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Luma quality of a sequence against its source."""

    ssim: tuple[float, ...]  # per frame
    psnr_db: tuple[float, ...]

    @property
    def mean_ssim(self) -> float:
        return statistics.fmean(self.ssim)

    @property
    def low_ssim(self) -> float:
        """5th percentile: one frame in twenty is worse."""
        return sorted(self.ssim)[len(self.ssim) // 20]

    @property
    def mean_psnr_db(self) -> float:
        return statistics.fmean(self.psnr_db)


def compare(source: Iterable[Frame], shown: Iterable[Frame]) -> Quality:
    """
    Raises:
        InputError: the pictures are smaller than the window of SSIM.
    """
    metrics = _metrics()
    pairs = [(a.y, b.y) for a, b in zip(source, shown, strict=True)]
    return Quality(
        ssim=tuple(metrics.ssim(a, b) for a, b in pairs),
        psnr_db=tuple(metrics.psnr(a, b) for a, b in pairs),
    )


def rate_at(points: Sequence[tuple[float, float]], quality: float) -> float | None:
    """Rate that a curve of (rate, quality) points needs for a quality; None outside of it."""
    bdrate = importlib.import_module("auralink.bench.bdrate")
    find: Callable[..., float | None] = bdrate.rate_at
    return find([bdrate.RatePoint(*point) for point in points], quality)


def _metrics() -> Any:
    # The measurements lie above the engine: found by name, when wanted, as `auralink bench` is.
    return importlib.import_module("auralink.bench.metrics")
