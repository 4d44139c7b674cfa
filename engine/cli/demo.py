"""``auralink demo``: a call over an emulated thin link, live in the terminal, then a report."""

import os
import shlex
import sys
import time
import webbrowser
from collections.abc import Sequence
from contextlib import closing, nullcontext
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live
from rich.table import Table

from auralink.codecs.errors import InputError
from auralink.codecs.frame import Frame
from auralink.codecs.video.options import EncoderOptions
from auralink.codecs.video.profiles import DEFAULT_PROFILE, PROFILES, open_decoder
from auralink.codecs.video.protocol import VideoDecoder, VideoEncoder
from auralink.codecs.video.rate.controller import LIVE
from auralink.engine.cli import demo_rooms, values
from auralink.engine.cli.codec import encoder_for
from auralink.engine.cli.networks import open_networks, open_neural
from auralink.engine.cli.terminal import (
    Json,
    err,
    kilobits,
    note,
    print_facts,
    print_json,
    progress,
)
from auralink.engine.cli.values import known_name
from auralink.engine.demo import anchor, rooms_document
from auralink.engine.demo.document import document
from auralink.engine.demo.live import LiveCall, Log, Snapshot
from auralink.engine.demo.results import Results, conclude
from auralink.engine.demo.settings import SAMPLE_CREDIT, DemoSettings, sample
from auralink.engine.demo.way import way
from auralink.engine.inference.base import encoder_at
from auralink.engine.inference.pool import PoolSettings, WorkerPool
from auralink.engine.link.call import Call
from auralink.engine.media.reader import Clip, ReadOptions
from auralink.engine.report.page import render
from auralink.engine.timeline import write_spans

CORES = 0.6  # of one, for encoding: the receiver and the picture on the screen need some too
CURVE_FRAMES = 75  # two to three seconds: enough for a curve, short enough to wait for


def demo(
    clip: Annotated[str, typer.Option(help="Video file; default: the sample.")] = "",
    rate: Annotated[
        int, typer.Option(parser=values.bitrate, metavar="RATE", help="Of the link: 120k.")
    ] = 120_000,
    loss: Annotated[
        float, typer.Option(parser=values.share, metavar="SHARE", help="Of packets: 2%.")
    ] = 0.02,
    burst: Annotated[
        float | None, typer.Option(min=1, help="Mean length of a run of losses; default: random.")
    ] = None,
    delay: Annotated[
        float, typer.Option(parser=values.milliseconds, metavar="TIME", help="One way: 50ms.")
    ] = 50.0,
    jitter: Annotated[
        float, typer.Option(parser=values.milliseconds, metavar="TIME", help="On top: 10ms.")
    ] = 10.0,
    profile: Annotated[str, typer.Option(help="Codec; a wrong name lists them.")] = DEFAULT_PROFILE,
    seconds: Annotated[float, typer.Option(min=0.5, max=60, help="Of the clip.")] = 10.0,
    seed: Annotated[int, typer.Option(help="Of loss and jitter.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("out/demo"),
    curve: Annotated[bool, typer.Option(help="Measure the rate-quality curve too.")] = True,
    livekit: Annotated[
        bool, typer.Option("--livekit", help="Through real rooms; needs a livekit-server.")
    ] = False,
    trace: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write each frame's way, for ui.perfetto.dev."),
    ] = None,
    open: Annotated[bool, typer.Option(help="Open the report in a browser.")] = True,  # noqa: A002
    json: Json = False,
) -> None:
    """Send a clip over a thin lossy link in real time, and report how it went."""
    settings = DemoSettings(
        clip=clip,
        seconds=seconds,
        profile=profile,
        rate_bps=rate,
        loss=loss,
        burst=burst,
        delay_ms=delay,
        jitter_ms=jitter,
        seed=seed,
    )
    source, fps = _read(settings)
    if livekit and trace:
        error = InputError("--trace is of the emulated link")
        error.add_note("auralink relay --trace FILE draws the way through rooms")
        raise error
    if livekit:
        _rooms(settings, source, fps, out, quiet=json, opens=open)
        return
    results = _run(settings, source, fps, trace, curve=curve, quiet=json)
    page = render(document(results, command=_command()))
    path = _write(out, page)
    if json:
        print_json(results.as_json() | {"report": str(path)})
        return
    print_facts(_facts(results, path))
    if open:
        _show(path)


def _rooms(
    settings: DemoSettings,
    source: Sequence[Frame],
    fps: float,
    out: Path,
    *,
    quiet: bool,
    opens: bool,
) -> None:
    results = demo_rooms.call(settings, source, fps, clip=_name(settings), quiet=quiet)
    path = _write(out, render(rooms_document.document(results, command=_command())))
    if quiet:
        print_json(results.as_json() | {"report": str(path)})
        return
    print_facts([*demo_rooms.facts(results), ("report", str(path))])
    if opens:
        _show(path)


def _name(settings: DemoSettings) -> str:
    return Path(settings.clip).name if settings.clip else f"signer.mp4 ({SAMPLE_CREDIT})"


def _read(settings: DemoSettings) -> tuple[list[Frame], float]:
    """All frames of the clip, which must have one size."""
    with resources.as_file(sample()) as bundled:
        path = settings.clip or str(bundled)
        with Clip(path) as clip:
            fps = clip.info.fps
            most = max(2, round(settings.seconds * fps))
        with Clip(path, ReadOptions(frames=most)) as clip:
            frames = list(clip)
    times = [frame.pts_us for frame in frames]
    if len(frames) < 2 or min(frames[0].size) < 16:
        raise InputError(f"{path}: a demo needs two frames of at least 16x16")
    if len({frame.size for frame in frames}) > 1 or times != sorted(set(times)):
        error = InputError(f"{path}: its size changes or its times go back")
        error.add_note("auralink encode takes such a clip; a demo needs a plain one")
        raise error
    return frames, fps


def _run(
    settings: DemoSettings,
    source: Sequence[Frame],
    fps: float,
    trace: Path | None,
    *,
    curve: bool,
    quiet: bool,
) -> Results:
    def decoder() -> VideoDecoder:
        return open_decoder(open_networks(), open_neural)

    def unhurried() -> tuple[VideoEncoder, VideoDecoder]:
        options = EncoderOptions()
        encoder = encoder_for(settings.profile, fps=fps, options=options, adaptive=False)
        return encoder, decoder()

    known_name("profile", settings.profile, PROFILES)
    with closing(WorkerPool(PoolSettings(workers=1, spares=0))) as pool:
        pool.wait_started()

        def live() -> VideoEncoder:
            options = EncoderOptions(cores=CORES, rate=LIVE)
            clock = time.perf_counter
            return encoder_at(pool, settings.profile, fps=fps, options=options, clock=clock)

        # Libraries, self-tests and tables are loaded once, where they will be used; a call begins
        # when they are.
        anchor.aic(source[:2], live(), decoder(), settings.bitrate_bps)
        log, last = _call(settings, source, live(), decoder(), quiet=quiet)
    if trace:
        write_spans(way(log), trace)
    vp8 = anchor.vp8_at_bits(source, fps, _sent_bps(log, source))
    points: list[anchor.RatePoint] = []
    if curve:
        with progress("measuring the curve", anchor.CURVE_POINTS, quiet=quiet) as bar:
            for point in anchor.curves(source[:CURVE_FRAMES], fps, settings.bitrate_bps, unhurried):
                points.append(point)
                bar.advance(f"{point.codec} {kilobits(point.bitrate_bps)}")
    return conclude(
        settings,
        clip=_name(settings),
        source=source,
        fps=fps,
        log=log,
        last=last,
        vp8=vp8,
        curve=points,
    )


def _call(
    settings: DemoSettings,
    source: Sequence[Frame],
    encoder: VideoEncoder,
    decoder: VideoDecoder,
    *,
    quiet: bool,
) -> tuple[Log, Snapshot]:
    call = Call(
        encoder,
        decoder,
        bitrate_bps=settings.bitrate_bps,
        there=settings.link,
        seed=settings.seed,
        sending=settings.sending,
    )
    console = err()
    shown = not quiet and console.is_terminal
    live = LiveCall(call, source)
    snapshot: Snapshot | None = None
    try:
        with Live(console=console, refresh_per_second=10) if shown else nullcontext() as view:
            for snapshot in live:
                if view is not None:
                    view.update(_table(snapshot, settings))
    finally:
        call.close()
    assert snapshot is not None
    return live.log, snapshot


def _table(now: Snapshot, settings: DemoSettings) -> Table:
    """The last second in numbers."""
    table = Table(
        title=f"{now.at_s:4.1f} s  {now.call.encoder}",
        title_justify="left",
        box=None,
        padding=(0, 3, 0, 0),
        header_style="dim",
    )
    for column in ("kbit/s", "fps", "encode", "decode", "latency", "quantizer", "base"):
        table.add_column(column, justify="right")
    table.add_row(
        f"[bold]{now.bitrate_bps / 1000:6.1f}[/] of {settings.rate_bps / 1000:g}",
        f"{now.fps:4.1f}",
        f"{now.encode_ms:5.1f} ms",
        f"{now.decode_ms:4.1f} ms",
        f"{now.latency_ms:4.0f} ms",
        f"{now.quantizer}",
        "{}x{}".format(*now.base_size),
    )
    table.add_row()
    call = now.call
    table.add_row(
        *(
            f"[dim]{name}[/]"
            for name in ("lost", "repaired", "parity", "queue", "keys", "frozen", "dropped")
        )
    )
    table.add_row(
        f"{call.there.lost} of {call.there.sent}",
        f"{call.received.recovered}",
        f"{now.parity:.0%}",
        f"{call.queued_ms:.0f} ms",
        f"{now.keys}",
        f"{now.frozen}",
        f"{now.dropped}",
    )
    return table


def _sent_bps(log: Log, source: Sequence[Frame]) -> float:
    return sum(item.coded.size for item in log.sent) * 8 / anchor.duration_s(source)


def _facts(results: Results, path: Path) -> list[tuple[str, str]]:
    aic, vp8, there = results.aic, results.vp8, results.last.call.there
    facts = [
        (
            "AIC",
            f"{kilobits(aic.bitrate_bps)}  SSIM-Y {aic.quality.mean_ssim:.4f}  over the link: "
            f"{there.lost} of {there.sent} packets lost, {aic.held} of {len(results.source)} "
            "frames held",
        ),
        ("VP8", f"{kilobits(vp8.bitrate_bps)}  SSIM-Y {vp8.quality.mean_ssim:.4f}  nothing lost"),
        (
            "time",
            f"{results.encode_ms.median:.1f} ms to encode, {results.decode_ms.median:.1f} ms to "
            f"decode, {results.latency_ms.median:.0f} ms from capture to picture",
        ),
    ]
    if results.saving is not None:
        saving = results.saving
        facts.append(
            (
                "saving",
                f"AIC at {kilobits(saving.aic_bps)} has the SSIM-Y of VP8 at "
                f"{kilobits(saving.vp8_bps)}: {saving.share:.0%} fewer bits, on this clip",
            )
        )
    return [*facts, ("report", str(path))]


def _write(folder: Path, page: str) -> Path:
    path = folder / "report.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    except OSError as refused:
        error = InputError(f"{path}: cannot be written: {(refused.strerror or '').lower()}")
        error.add_note("name another folder with --out")
        raise error from refused
    return path


def _command() -> str:
    return shlex.join(["auralink", *sys.argv[1:]])


def _show(path: Path) -> None:
    """Open a browser where there is a screen; a terminal browser is not what is wanted."""
    screen = sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    if screen and sys.stdout.isatty() and not webbrowser.open(path.resolve().as_uri()):
        note(f"open {path} in a browser")
