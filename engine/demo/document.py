"""The report of a demo as a page."""

import os
import platform
from collections.abc import Sequence
from importlib import metadata

from auralink.engine.demo.anchor import RatePoint
from auralink.engine.demo.results import WINDOW_US, Results, Side, Spread
from auralink.engine.report.page import Figure, Page
from auralink.engine.report.plot import Axis, Line, Tone, plot
from auralink.engine.report.viewing import stacked_mp4


def document(results: Results, *, command: str) -> Page:
    """Everything the demo found, in order of interest."""
    source = results.source
    first = source[0]
    names = (
        "source",
        f"VP8 {_kbits(results.vp8.bitrate_bps)}",
        f"AIC {_kbits(results.aic.bitrate_bps)}",
    )
    return Page(
        title="AuraLink AIC demo",
        headline=_headline(results),
        subline=(
            f"{results.clip}, {first.width}x{first.height} at {results.fps:g} fps, "
            f"{len(source)} frames, sent in real time over an emulated link of "
            f"{_kbits(results.settings.rate_bps)}."
        ),
        video=stacked_mp4((source, results.vp8.frames, results.aic.frames), results.fps),
        names=names,
        fps=results.fps,
        columns=("", "kbit/s", "SSIM-Y mean", "SSIM-Y worst 5 %", "PSNR-Y mean", "frames held"),
        rows=[_row(side, len(source)) for side in (results.aic, results.vp8)],
        rows_note=(
            "kbit/s: all packets of AIC, headers and parity included; of VP8 the coded frames "
            "alone. Frames held: their own picture was not there in time, the one before was shown."
        ),
        plots=_plots(results),
        facts=_facts(results, command),
        caveats=_caveats(results),
    )


def _headline(results: Results) -> str:
    saving = results.saving
    if saving is not None and saving.share > 0:
        return (
            f'<b class="aic">AIC at {_kbits(saving.aic_bps)}</b> looks like '
            f'<b class="vp8">VP8 at {_kbits(saving.vp8_bps)}</b>: {saving.share:.0%} fewer bits '
            f"at equal SSIM-Y ({saving.ssim:.3f}), on this clip"
        )
    return (
        f'<b class="aic">AIC: {_kbits(results.aic.bitrate_bps)}, SSIM-Y '
        f"{results.aic.quality.mean_ssim:.3f}</b>; "
        f'<b class="vp8">VP8: {_kbits(results.vp8.bitrate_bps)}, SSIM-Y '
        f"{results.vp8.quality.mean_ssim:.3f}</b>, on this clip"
    )


def _row(side: Side, frames: int) -> tuple[str, ...]:
    quality = side.quality
    return (
        side.name,
        f"{side.bitrate_bps / 1000:.1f}",
        f"{quality.mean_ssim:.4f}",
        f"{quality.low_ssim:.4f}",
        f"{quality.mean_psnr_db:.2f} dB",
        f"{side.held} of {frames}",
    )


def _plots(results: Results) -> list[Figure]:
    figures = [_rate_figure(results), _quality_figure(results), _latency_figure(results)]
    if results.curve:
        figures.insert(0, _curve_figure(results.curve))
    return figures


def _curve_figure(curve: Sequence[RatePoint]) -> Figure:
    tones: tuple[tuple[str, Tone], ...] = (("AIC", "aic"), ("VP8", "vp8"))
    lines = [
        Line(
            label=codec,
            tone=tone,
            dots=True,
            points=sorted((p.bitrate_bps / 1000, p.ssim) for p in curve if p.codec == codec),
        )
        for codec, tone in tones
    ]
    return Figure(
        svg=plot(
            lines,
            Axis(title="kbit/s (logarithmic)", log=True),
            Axis(title="SSIM-Y, mean"),
            name="Rate against quality",
        ),
        caption=(
            "Rate against quality of both codecs, nothing lost, first frames of this clip, key "
            "frame included; AIC at the preset that real time on one core calls for. Further left "
            "is cheaper, further up is better."
        ),
    )


def _rate_figure(results: Results) -> Figure:
    step_s = WINDOW_US / 1e6

    def points(side: Side) -> list[tuple[float, float]]:
        values = list(side.rate_over_time)[:-1] or list(side.rate_over_time)
        return [(i * step_s, value / 1000) for i, value in enumerate([*values, values[-1]])]

    link = results.settings.rate_bps / 1000
    end_s = max(step_s, (len(results.aic.rate_over_time) - 1) * step_s)
    lines = (
        Line(label="AIC", tone="aic", step=True, points=points(results.aic)),
        Line(label="VP8", tone="vp8", step=True, points=points(results.vp8)),
        Line(label="link", tone="plain", dashed=True, points=[(0, link), (end_s, link)]),
    )
    svg = plot(
        lines, Axis(title="s", low=0), Axis(title="kbit/s", low=0), name="Bit rate over time"
    )
    return Figure(svg=svg, caption="Bits of each half second, packet headers and parity included.")


def _quality_figure(results: Results) -> Figure:
    start_us = results.source[0].pts_us
    times = [(frame.pts_us - start_us) / 1e6 for frame in results.source]
    lines = (
        Line(
            label="AIC", tone="aic", points=list(zip(times, results.aic.quality.ssim, strict=True))
        ),
        Line(
            label="VP8", tone="vp8", points=list(zip(times, results.vp8.quality.ssim, strict=True))
        ),
    )
    svg = plot(
        lines, Axis(title="s", low=0), Axis(title="SSIM-Y", high=1), name="Quality over time"
    )
    return Figure(
        svg=svg,
        caption="What was on the screen, frame by frame; a held picture loses where things move.",
    )


def _latency_figure(results: Results) -> Figure:
    lines = (
        Line(label="AIC", tone="aic", points=results.latency_over_time),
        Line(
            label="shown at",
            tone="plain",
            dashed=True,
            points=[
                (results.source[0].pts_us / 1e6, results.settings.playout_ms),
                (results.source[-1].pts_us / 1e6, results.settings.playout_ms),
            ],
        ),
    )
    svg = plot(lines, Axis(title="s", low=0), Axis(title="ms", low=0), name="Latency over time")
    return Figure(svg=svg, caption="From capture to decoded: encoding, queue, link and decoding.")


def _facts(results: Results, command: str) -> list[tuple[str, str]]:
    settings, link, last = results.settings, results.last.call.there, results.last
    received = results.last.call.received
    loss = "random" if settings.burst is None else f"in bursts of {settings.burst:g}"
    outcomes = ", ".join(
        f"{count} {name.replace('_', ' ')}" for name, count in results.outcomes.items() if count
    )
    late = f", {results.late} late before encoding" if results.late else ""
    return [
        ("command", command),
        (
            "link",
            f"{_kbits(settings.rate_bps)}, {settings.delay_ms:g} ms one way + up to "
            f"{settings.jitter_ms:g} ms, {settings.loss:.1%} loss, {loss}",
        ),
        ("encoder", results.last.call.encoder),
        ("frames", f"{outcomes}{late}; {last.keys} key"),
        (
            "packets",
            f"{link.sent} sent, {link.lost} lost, {link.dropped} dropped by the full queue, "
            f"{received.recovered} rebuilt from parity",
        ),
        ("neural layer", f"{results.restored} pictures restored"),
        (
            "encoding",
            f"{results.encode_ms.median:.1f} ms, 95 % within {results.encode_ms.p95:.1f} ms",
        ),
        (
            "decoding",
            f"{results.decode_ms.median:.1f} ms, 95 % within {results.decode_ms.p95:.1f} ms",
        ),
        (
            "latency",
            f"{results.latency_ms.median:.0f} ms, 95 % within {results.latency_ms.p95:.0f} ms",
        ),
        ("machine", f"{platform.machine()}, {platform.system()}, {os.cpu_count()} cores"),
        ("versions", _versions()),
    ]


def _versions() -> str:
    ours = ", ".join(f"{name} {metadata.version(name)}" for name in ("auralink-aic", "av"))
    return f"{ours}, Python {platform.python_version()}"


def _spread(spread: Spread) -> str:
    return f"{spread.median:.1f} ms, 95 % within {spread.p95:.1f} ms"


def _caveats(results: Results) -> list[str]:
    caveats = [
        "One clip and one run: an illustration. Measurements over many clips are made by "
        "`auralink bench rd`.",
        "VP8 has it easier here: it is coded as libwebrtc does (constant bit rate, speed -6), but "
        "nothing of it is lost or late, and its packet headers are not counted.",
        "The player shows an H.264 copy (crf 15) of all three sequences in one stream; figures and "
        "plots were computed before that copy was made.",
    ]
    over = results.vp8.bitrate_bps / results.aic.bitrate_bps
    if over > 1.05:
        caveats.insert(
            1,
            f"VP8's rate control could not get down to the bits of AIC: it takes {over - 1:.0%} "
            "more here.",
        )
    if not results.settings.clip:
        caveats.append(
            "The sample clip (Intel IoT DevKit sample videos, CC BY 4.0, cut and re-encoded) had "
            "been compressed before, and parts of it are in the training material."
        )
    return caveats


def _kbits(bits_per_second: float) -> str:
    return f"{bits_per_second / 1000:.0f} kbit/s"
