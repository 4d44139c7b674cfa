"""What a call through real rooms measured; everything here is computed from what was recorded."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from auralink.codecs.frame import Frame, blank
from auralink.codecs.resample import Resampler
from auralink.engine.demo.rooms import TICK_S, Recorded, Viewed, source_frames
from auralink.engine.demo.screen import Quality, compare
from auralink.engine.demo.settings import DemoSettings
from auralink.engine.link.netem import LinkCounts
from auralink.engine.rehearsal import marks
from auralink.engine.rehearsal.pictures import as_frame
from auralink.engine.rehearsal.seen import Shown, Smoothness, smoothness


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSide:
    """One viewer's call.

    Attributes:
        bitrate_bps: with all headers; of the publisher's track, or of the link.
        frames: what was on the screen at each captured frame's time plus that viewer's own delay.
        held: how many of them are not of that time.
    """

    name: str
    bitrate_bps: float
    frames: Sequence[Frame] = field(repr=False)
    quality: Quality = field(repr=False)
    smooth: Smoothness
    held: int
    latency_over_time: Sequence[tuple[float, float]] = field(repr=False)  # s, ms


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomResults:
    settings: DemoSettings
    clip: str
    whole: bool
    fps: float
    source: Sequence[Frame] = field(repr=False)
    original: RoomSide
    restored: RoomSide
    carried: LinkCounts
    rate_over_time: Sequence[float] = field(repr=False)  # bit/s, per `TICK_S`

    def as_json(self) -> dict[str, object]:
        """Plain values, without pictures."""
        return {
            "settings": asdict(self.settings),
            "clip": self.clip,
            "shaping": "network" if self.whole else "packets of the relay",
            "frames": len(self.source),
            "size": list(self.source[0].size),
            "fps": self.fps,
            "original": _plain(self.original),
            "restored": _plain(self.restored),
            "link": asdict(self.carried),
        }


def conclude(settings: DemoSettings, clip: str, recorded: Recorded) -> RoomResults:
    source = source_frames(recorded)
    seconds = (recorded.end_us - recorded.start_us) / 1e6
    return RoomResults(
        settings=settings,
        clip=clip,
        whole=recorded.whole,
        fps=recorded.script.fps,
        source=source,
        original=_side(
            "original track, near room", recorded.original_bps, recorded.original, recorded, source
        ),
        restored=_side(
            "AIC over the link, far room",
            recorded.carried.sent_bytes * 8 / seconds,
            recorded.restored,
            recorded,
            source,
        ),
        carried=recorded.carried,
        rate_over_time=[size * 8 / TICK_S for size in recorded.over_time],
    )


def _side(
    name: str, bitrate_bps: float, viewed: Viewed, recorded: Recorded, source: Sequence[Frame]
) -> RoomSide:
    smooth = smoothness(viewed.shown, recorded.published, recorded.start_us, recorded.end_us)
    delay_ms = smooth.latency_ms.p95
    frames, held = on_screen(
        source, viewed, recorded.published, delay_ms=0.0 if math.isnan(delay_ms) else delay_ms
    )
    start_us = source[0].pts_us
    return RoomSide(
        name=name,
        bitrate_bps=bitrate_bps,
        frames=frames,
        quality=compare(map(_unmarked, source), map(_unmarked, frames)),
        smooth=smooth,
        held=held,
        latency_over_time=[
            ((at_us - start_us) / 1e6, (one.at_us - at_us) / 1e3)
            for one in viewed.shown
            if recorded.start_us
            <= (at_us := recorded.published.get(one.number, 0))
            < recorded.end_us
        ],
    )


def on_screen(
    source: Sequence[Frame], viewed: Viewed, published: dict[int, int], *, delay_ms: float
) -> tuple[list[Frame], int]:
    """The newest picture that was there ``delay_ms`` after each frame was captured.

    Returns:
        Pictures of the source's size, and how many of them are not of their frame's time.
    """
    resampler = Resampler()
    frames: list[Frame] = []
    held, at, current = 0, -1, blank(*source[0].size, luma=128)
    for frame in source:
        before = at
        while at + 1 < len(viewed.shown) and (
            viewed.shown[at + 1].at_us <= frame.pts_us + delay_ms * 1e3
            and published.get(viewed.shown[at + 1].number, 0) <= frame.pts_us
        ):
            at += 1
        if at != before:
            current = resampler.resize(_read(viewed.pictures, viewed.shown[at]), *frame.size)
        held += at < 0 or published.get(viewed.shown[at].number) != frame.pts_us
        frames.append(current.at(frame.pts_us))
    return frames, held


def _read(path: Path, shown: Shown) -> Frame:
    width, height = shown.size
    size = width * height + 2 * ((width + 1) // 2) * ((height + 1) // 2)
    return as_frame(np.fromfile(path, np.uint8, count=size, offset=shown.offset), shown.size, 0)


def _unmarked(frame: Frame) -> Frame:
    """Below the numbers: they are no part of the clip."""
    rows = slice(marks.ROWS, None)
    half = slice(marks.ROWS // 2, None)
    return Frame(
        y=np.ascontiguousarray(frame.y[rows]),
        u=np.ascontiguousarray(frame.u[half]),
        v=np.ascontiguousarray(frame.v[half]),
        pts_us=frame.pts_us,
    )


def _plain(side: RoomSide) -> dict[str, object]:
    return {
        "bitrate_bps": side.bitrate_bps,
        "mean_ssim": side.quality.mean_ssim,
        "low_ssim": side.quality.low_ssim,
        "mean_psnr_db": side.quality.mean_psnr_db,
        "held_frames": side.held,
        **asdict(side.smooth),
    }
