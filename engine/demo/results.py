"""What a demo measured; everything here is computed from what happened."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from auralink.codecs.frame import Frame
from auralink.codecs.video.protocol import Outcome, Status
from auralink.engine.demo.anchor import Coded, RatePoint, duration_s, sums_per
from auralink.engine.demo.live import Log, Snapshot
from auralink.engine.demo.screen import Quality, compare, on_screen, rate_at
from auralink.engine.demo.settings import DemoSettings

WINDOW_US = 500_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Median and 95th percentile."""

    median: float
    p95: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One codec's showing on the clip."""

    name: str
    frames: Sequence[Frame] = field(repr=False)
    bitrate_bps: float
    rate_over_time: Sequence[float] = field(repr=False)  # bit/s per half second
    quality: Quality = field(repr=False)
    held: int  # frames whose own picture was not there in time


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """Bits of both codecs at one quality, read off the curves."""

    ssim: float
    aic_bps: float
    vp8_bps: float

    @property
    def share(self) -> float:
        return 1 - self.aic_bps / self.vp8_bps


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    settings: DemoSettings
    clip: str
    source: Sequence[Frame] = field(repr=False)
    fps: float
    aic: Side
    vp8: Side
    last: Snapshot
    outcomes: dict[str, int]
    encode_ms: Spread
    decode_ms: Spread
    latency_ms: Spread
    latency_over_time: Sequence[tuple[float, float]] = field(repr=False)
    restored: int
    late: int
    curve: Sequence[RatePoint]
    saving: Saving | None

    def as_json(self) -> dict[str, object]:
        """Plain values, without pictures."""
        return {
            "settings": asdict(self.settings),
            "clip": self.clip,
            "encoder": self.last.call.encoder,
            "frames": len(self.source),
            "size": list(self.source[0].size),
            "fps": self.fps,
            "aic": _side_json(self.aic),
            "vp8": _side_json(self.vp8),
            "outcomes": self.outcomes,
            "late": self.late,
            "keys": self.last.keys,
            "restored": self.restored,
            "packets": asdict(self.last.call.there),
            "receiver": asdict(self.last.call.received),
            "encode_ms": asdict(self.encode_ms),
            "decode_ms": asdict(self.decode_ms),
            "latency_ms": asdict(self.latency_ms),
            "curve": [asdict(point) for point in self.curve],
            "saving": None
            if self.saving is None
            else asdict(self.saving) | {"share": self.saving.share},
        }


def conclude(
    settings: DemoSettings,
    *,
    clip: str,
    source: Sequence[Frame],
    fps: float,
    log: Log,
    last: Snapshot,
    vp8: Coded,
    curve: Sequence[RatePoint],
) -> Results:
    """Compare what was seen with what was captured."""
    shown, held = on_screen(source, log.played, settings.playout_ms)
    sizes = _sizes(source, log)
    played = [item for item in log.played if item.picture.status is Status.DECODED]
    latencies = [
        (item.picture.frame.pts_us / 1e6, item.latency_ms or 0.0)
        for item in played
        if item.picture.frame is not None
    ]
    coded = [item for item in log.sent if item.coded.outcome is Outcome.CODED]
    return Results(
        settings=settings,
        clip=clip,
        source=source,
        fps=fps,
        aic=Side(
            name="AIC over the link",
            frames=shown,
            bitrate_bps=sum(sizes) * 8 / duration_s(source),
            rate_over_time=sums_per(sizes, source, WINDOW_US),
            quality=compare(source, shown),
            held=held,
        ),
        vp8=Side(
            name="VP8, nothing lost",
            frames=vp8.frames,
            bitrate_bps=vp8.bitrate_bps,
            rate_over_time=sums_per(vp8.sizes, source, WINDOW_US),
            quality=compare(source, vp8.frames),
            held=0,
        ),
        last=last,
        outcomes={
            outcome.value: sum(item.coded.outcome is outcome for item in log.sent)
            for outcome in Outcome
        },
        encode_ms=_spread([item.encode_ms for item in coded]),
        decode_ms=_spread([item.decode_ms for item in played]),
        latency_ms=_spread([latency for _, latency in latencies]),
        latency_over_time=latencies,
        restored=sum(item.picture.restored for item in played),
        late=log.late,
        curve=curve,
        saving=_saving(curve, sum(sizes) * 8 / duration_s(source)),
    )


def _sizes(source: Sequence[Frame], log: Log) -> list[int]:
    """Bytes sent for each captured frame."""
    sent = {item.frame.pts_us: item.coded.size for item in log.sent}
    return [sent.get(frame.pts_us, 0) for frame in source]


def _saving(curve: Sequence[RatePoint], near_bps: float) -> Saving | None:
    """At the measured AIC point nearest to `near_bps` whose quality VP8's curve reaches too."""
    vp8 = [(point.bitrate_bps, _decibels(point.ssim)) for point in curve if point.codec == "VP8"]
    ours = sorted(
        (point for point in curve if point.codec == "AIC"),
        key=lambda point: abs(math.log(point.bitrate_bps / near_bps)),
    )
    for point in ours:
        rate = rate_at(vp8, _decibels(point.ssim))
        if rate is not None:
            return Saving(ssim=point.ssim, aic_bps=point.bitrate_bps, vp8_bps=rate)
    return None


def _decibels(ssim: float) -> float:
    return -10 * math.log10(max(1e-6, 1 - ssim))


def _spread(values: Sequence[float]) -> Spread:
    ordered = sorted(values) or [0.0]
    return Spread(median=statistics.median(ordered), p95=ordered[round(0.95 * (len(ordered) - 1))])


def _side_json(side: Side) -> dict[str, object]:
    return {
        "bitrate_bps": side.bitrate_bps,
        "mean_ssim": side.quality.mean_ssim,
        "low_ssim": side.quality.low_ssim,
        "mean_psnr_db": side.quality.mean_psnr_db,
        "held_frames": side.held,
    }
