"""The report of a call through real rooms as a page."""

import os
import platform

from auralink.engine.demo.rooms import TICK_S
from auralink.engine.demo.rooms_results import RoomResults, RoomSide
from auralink.engine.report.page import Figure, Page
from auralink.engine.report.plot import Axis, Line, plot
from auralink.engine.report.viewing import stacked_mp4


def document(results: RoomResults, *, command: str) -> Page:
    source, original, restored = results.source, results.original, results.restored
    share = restored.bitrate_bps / original.bitrate_bps
    first = source[0]
    return Page(
        title="AuraLink AIC demo, LiveKit",
        headline=(
            f'<b class="aic">{_kbits(restored.bitrate_bps)} on the thin link</b> carried a track '
            f'of <b class="vp8">{_kbits(original.bitrate_bps)}</b>: {share:.0%} of its bits, '
            f"SSIM-Y {restored.quality.mean_ssim:.3f} after {original.quality.mean_ssim:.3f}"
        ),
        subline=(
            f"{results.clip}, {first.width}x{first.height} at {results.fps:g} fps, "
            f"{len(source)} frames, from room to room through livekit-server; published and "
            "watched by the official SDK."
        ),
        video=stacked_mp4((source, original.frames, restored.frames), results.fps),
        names=(
            "source",
            f"original track {_kbits(original.bitrate_bps)}",
            f"AIC {_kbits(restored.bitrate_bps)}",
        ),
        fps=results.fps,
        columns=(
            "",
            "kbit/s",
            "SSIM-Y mean",
            "worst 5 %",
            "PSNR-Y mean",
            "latency p50 / p95",
            "freezes, longest",
            "frames held",
        ),
        rows=[_row(side, len(source)) for side in (restored, original)],
        rows_note=(
            "kbit/s: everything on the thin link with the headers of all layers, against the "
            "original track with its own. Latency: from capture to the viewer's program. Freezes: "
            "times over 200 ms without a new picture. SSIM and PSNR: what was on the screen, one "
            "viewer's delay after capture, against the source, below the frame numbers."
        ),
        plots=[_rate(results), _quality(results), _latency(results)],
        facts=_facts(results, command),
        caveats=_caveats(results),
    )


def _row(side: RoomSide, frames: int) -> tuple[str, ...]:
    smooth, quality = side.smooth, side.quality
    return (
        side.name,
        f"{side.bitrate_bps / 1000:.1f}",
        f"{quality.mean_ssim:.4f}",
        f"{quality.low_ssim:.4f}",
        f"{quality.mean_psnr_db:.2f} dB",
        f"{smooth.latency_ms.p50:.0f} / {smooth.latency_ms.p95:.0f} ms",
        f"{smooth.freezes}, {smooth.longest_ms:.0f} ms",
        f"{side.held} of {frames}",
    )


def _rate(results: RoomResults) -> Figure:
    rates = [rate / 1000 for rate in results.rate_over_time]
    end_s = len(rates) * TICK_S
    points = [(index * TICK_S, rate) for index, rate in enumerate([*rates, rates[-1]])]
    original, link = results.original.bitrate_bps / 1000, results.settings.rate_bps / 1000
    lines = (
        Line(label="thin link", tone="aic", step=True, points=points),
        Line(label="original, mean", tone="vp8", points=[(0, original), (end_s, original)]),
        Line(label="link's rate", tone="plain", dashed=True, points=[(0, link), (end_s, link)]),
    )
    svg = plot(lines, Axis(title="s", low=0), Axis(title="kbit/s", low=0), name="Bits over time")
    return Figure(svg=svg, caption="Bits of each half second on the link, all headers included.")


def _quality(results: RoomResults) -> Figure:
    start_us = results.source[0].pts_us
    times = [(frame.pts_us - start_us) / 1e6 for frame in results.source]
    lines = (
        Line(
            label="AIC",
            tone="aic",
            points=list(zip(times, results.restored.quality.ssim, strict=True)),
        ),
        Line(
            label="original",
            tone="vp8",
            points=list(zip(times, results.original.quality.ssim, strict=True)),
        ),
    )
    svg = plot(lines, Axis(title="s", low=0), Axis(title="SSIM-Y", high=1), name="Quality")
    return Figure(svg=svg, caption="What was on both screens, frame by frame, against the source.")


def _latency(results: RoomResults) -> Figure:
    lines = (
        Line(label="far room", tone="aic", points=results.restored.latency_over_time),
        Line(label="near room", tone="vp8", points=results.original.latency_over_time),
    )
    svg = plot(lines, Axis(title="s", low=0), Axis(title="ms", low=0), name="Latency over time")
    return Figure(svg=svg, caption="From capture to the viewer's program, of each new picture.")


def _facts(results: RoomResults, command: str) -> list[tuple[str, str]]:
    settings, link = results.settings, results.carried
    loss = "random" if settings.burst is None else f"in bursts of {settings.burst:g}"
    shaped = (
        "whole networks: namespaces and TUN devices, both ways; the rate from near to far"
        if results.whole
        else "the relay's data-track packets from near to far alone (as root: whole networks)"
    )
    return [
        ("command", command),
        (
            "link",
            f"{_kbits(settings.rate_bps)}, {settings.delay_ms:g} ms one way + up to "
            f"{settings.jitter_ms:g} ms, {settings.loss:.1%} loss, {loss}",
        ),
        ("shaped", shaped),
        (
            "packets",
            f"{link.sent} sent, {link.lost} lost, {link.dropped} dropped by the full queue",
        ),
        ("profile", settings.profile),
        ("machine", f"{platform.machine()}, {platform.system()}, {os.cpu_count()} cores"),
    ]


def _caveats(results: RoomResults) -> list[str]:
    caveats = [
        "One clip and one run: an illustration. `auralink bench relay` measures over many "
        "conditions.",
        "Both servers, both viewers, the publisher and the relay share this machine; on a busy one "
        "latencies are larger than they would be.",
        "AIC codes what the publisher's VP8 left of the clip, and the far room gets VP8 again: it "
        "can be no better than the original track.",
        "The blocks in the upper left corner are the frame numbers by which pictures are matched.",
    ]
    if not results.whole:
        caveats.append(
            "Signalling, reports and media of both rooms felt no bad network; only the relay's own "
            "packets did."
        )
    return caveats


def _kbits(bits_per_second: float) -> str:
    return f"{bits_per_second / 1000:.0f} kbit/s"
